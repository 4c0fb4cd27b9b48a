//! Organizations and their seat limits.

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{CodePrefix, OrganizationId, UserId},
    names::{OrganizationName, Place, SeatUsageName},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    random::below,
    rpc::{Patch, check_etag, place_not_found},
};

use super::{App, Change, access, closing, members, rules};
use crate::{
    domain::{
        member::Role,
        organization::{Organization, OrganizationFields},
        seat::Seats,
    },
    store::{InsertOutcome, Waiting},
};

/// Number of derived code prefixes that are tried in order, before random numbers.
const PREFIXES_IN_ORDER: u32 = 20;
/// Maximum number of derived code prefixes that are tried.
const PREFIXES_MAX: u32 = 40;
/// Upper bound (exclusive) of the random numbers in derived code prefixes.
const PREFIX_NUMBERS: u32 = 1_000_000_000;

/// The organization to create.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// The prefix of its enrollment codes; None if it is derived from the id.
    pub code_prefix: Option<CodePrefix>,
    /// The first administrator; None for the acting user.
    pub admin: Option<UserId>,
    /// Its other fields.
    pub fields: OrganizationFields,
}

/// The licensed seats of an organization and their use.
#[derive(Debug)]
pub struct SeatUsage(pub SeatUsageName, pub Seats);

/// Creates an organization with its first administrator.
pub async fn create(
    change: &mut Change,
    id: Option<OrganizationId>,
    new: NewOrganization,
) -> Result<Organization> {
    rules::CREATE_ORGANIZATION.require_scope(&change.caller)?;
    let id = id.unwrap_or_else(|| OrganizationId::made(change.new_id()));
    if !change.caller.may_reach(&id) {
        return Err(Error::new(
            ErrorReason::ScopeMissing,
            "Use an access token that is not bound to other organizations.",
        )
        .metadata("claim", "organizations"));
    }
    let admin = new.admin.unwrap_or_else(|| change.user());
    let chosen = new.code_prefix;
    let prefix = chosen
        .clone()
        .unwrap_or_else(|| CodePrefix::derived(&id, 1));
    let mut organization = Organization::new(id, prefix, change.now);
    new.fields.set(&mut organization);
    insert(change, &mut organization, chosen.is_some()).await?;
    let place = Place::Organization(organization.id.clone());
    change.record_by_caller("organization.created", &place, place.to_string(), []);
    members::insert_first(change, place, admin, Role::Admin).await?;
    Ok(organization)
}

/// Inserts the organization, trying one derived prefix after another until one is free.
async fn insert(
    change: &mut Change,
    organization: &mut Organization,
    prefix_is_chosen: bool,
) -> Result<()> {
    for attempt in 1..=PREFIXES_MAX {
        match change.repository.insert_organization(organization).await? {
            InsertOutcome::Inserted => return Ok(()),
            InsertOutcome::IdTaken => {
                return Err(Error::new(
                    ErrorReason::OrganizationExists,
                    "Choose another organization_id: this one is, or was, in use.",
                )
                .resource(
                    "homeroom/Organization",
                    Place::Organization(organization.id.clone()).to_string(),
                ));
            }
            InsertOutcome::PrefixTaken if prefix_is_chosen => break,
            InsertOutcome::PrefixTaken => {
                let number = if attempt < PREFIXES_IN_ORDER {
                    attempt + 1
                } else {
                    PREFIXES_IN_ORDER + below(change.random.as_ref(), PREFIX_NUMBERS)
                };
                organization.code_prefix = CodePrefix::derived(&organization.id, number);
            }
        }
    }
    Err(Error::new(
        ErrorReason::CodeTaken,
        "Choose another code_prefix: another organization, perhaps a deleted one, has this prefix or one that reads like it (O and 0 read alike, and so do I, L and 1), or one of the two prefixes begins with the other.",
    )
    .violation(
        "organization.code_prefix",
        "is taken, perhaps by an organization that was deleted since",
    ))
}

/// Changes an organization, but not its code prefix: only the current one is accepted (B4). Access is checked before
/// the lock and under it, as [`Change::enter`] does.
pub async fn update(
    change: &mut Change,
    name: OrganizationName,
    (fields, code_prefix, etag): (OrganizationFields, Option<CodePrefix>, String),
) -> Result<Organization> {
    let place = Place::Organization(name.0);
    load_to_update(change, &place, &fields, code_prefix.is_some()).await?;
    change.lock(&place).await?;
    let before = load_to_update(change, &place, &fields, code_prefix.is_some()).await?;
    check_etag(&etag, before.revision)?;
    if code_prefix.is_some_and(|prefix| prefix != before.code_prefix) {
        return Err(Error::new(
            ErrorReason::InvalidRequest,
            "Leave organization.code_prefix as it is: codes have been handed out with it.",
        )
        .violation("organization.code_prefix", "is fixed once set"));
    }
    let mut after = before.clone();
    fields.set(&mut after);
    if after == before {
        return Ok(before);
    }
    after.revision += 1;
    after.update_time = change.now;
    change.repository.save_organization(&after).await?;
    let limit = after.seat_limit;
    let limit = (limit != before.seat_limit).then(|| limit.to_string());
    change.record_by_caller(
        "organization.updated",
        &place,
        place.to_string(),
        [("seat_limit", limit.as_deref().unwrap_or_default())],
    );
    Ok(after)
}

/// Returns the organization if the caller may make these changes.
async fn load_to_update(
    change: &mut Change,
    place: &Place,
    fields: &OrganizationFields,
    names_prefix: bool,
) -> Result<Organization> {
    let caller = change.caller.clone();
    let standing = access::standing_in_reach(&mut change.repository, &caller, place).await?;
    if !access::is_visible(&caller, place, &standing) {
        return Err(place_not_found(place));
    }
    let organization = load(change, place).await?;
    let only_seats = caller.has(rules::UPDATE_SEAT_LIMIT_SCOPE)
        && !names_prefix
        && matches!(
            fields,
            OrganizationFields {
                display_name: Patch::Keep,
                seat_limit: Patch::Set(_),
                labels: Patch::Keep,
            }
        );
    // Roles are checked first: a refusal for want of a role must not reveal the seat limit.
    if !only_seats && !access::is_met_by_role(&rules::UPDATE_ORGANIZATION, &standing) {
        return Err(access::role_required(place, &standing));
    }
    if fields.seat_limit.set(&mut organization.seat_limit.clone()) {
        caller.require(rules::UPDATE_SEAT_LIMIT_SCOPE)?;
    }
    Ok(organization)
}

/// Deletes an organization permanently. With `force` its classes, members and requests are deleted too; without it, the
/// organization must have no classes and no members but administrators.
pub async fn delete(
    change: &mut Change,
    OrganizationName(id): OrganizationName,
    (force, etag): (bool, String),
) -> Result<()> {
    let place = Place::Organization(id.clone());
    let (mut seats, _) = change
        .enter(&place, &rules::DELETE_ORGANIZATION, None)
        .await?;
    let organization = load(change, &place).await?;
    check_etag(&etag, organization.revision)?;
    let repository = &mut change.repository;
    let empty = !repository.has_classes(&id).await?
        && !repository.has_members_besides_administrators(&id).await?;
    if !empty && !force {
        return Err(Error::new(
            ErrorReason::OrganizationNotEmpty,
            "Set force to delete the organization with its classes and members, or remove them first.",
        )
        .precondition("EMPTY", place.to_string(), "it has classes or members"));
    }
    closing::close_requests(change, &mut seats, &Waiting::InOrganization(id.clone())).await?;
    let repository = &mut change.repository;
    repository.delete_members(&place).await?;
    repository.delete_classes(&id, change.now).await?;
    repository.forget_removals(&place).await?;
    repository.delete_organization(&id, change.now).await?;
    repository
        .save_seats(&id, &Seats { used: 0, ..seats })
        .await?;
    change.record_by_caller("organization.deleted", &place, place.to_string(), []);
    Ok(())
}

async fn load(change: &mut Change, place: &Place) -> Result<Organization> {
    change
        .repository
        .organization(place.organization())
        .await?
        .ok_or_else(|| place_not_found(place))
}

impl App {
    /// Reads one organization.
    pub async fn organization(
        &self,
        caller: &Caller,
        name: OrganizationName,
    ) -> Result<Organization> {
        let place = Place::Organization(name.0);
        let mut repository = self.store.read().await?;
        let rule = &rules::GET_ORGANIZATION;
        access::authorize(&mut repository, caller, &place, rule, None).await?;
        repository
            .organization(place.organization())
            .await?
            .ok_or_else(|| place_not_found(&place))
    }

    /// Lists the acting user's organizations, or all of them for the platform, in the order of their ids.
    pub async fn organizations(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<Organization>> {
        let after: Option<OrganizationId> = page.cursor_as()?;
        let everyone = rules::LIST_ORGANIZATIONS.is_met_by_scope(caller);
        let member = (!everyone).then_some(&caller.user);
        let (after, limit) = (after.as_ref(), page.limit());
        let found = if let Some(bound) = &caller.organizations {
            self.organizations_among(bound, member, after, limit)
                .await?
        } else {
            let mut repository = self.store.read().await?;
            repository.list_organizations(member, after, limit).await?
        };
        Ok(page.cut(found, |last| last.id.to_string()))
    }

    /// Reads the organizations that a token is bound to one by one: a token holds few.
    async fn organizations_among(
        &self,
        bound: &[OrganizationId],
        member: Option<&UserId>,
        after: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<Vec<Organization>> {
        let mut ids: Vec<&OrganizationId> = bound.iter().filter(|id| Some(*id) > after).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut repository = self.store.read().await?;
        let mut found = Vec::new();
        for id in ids {
            if found.len() >= limit as usize {
                break;
            }
            if let Some(user) = member {
                let place = Place::Organization(id.clone());
                if repository.member(&place, user).await?.is_none() {
                    continue;
                }
            }
            found.extend(repository.organization(id).await?);
        }
        Ok(found)
    }

    /// Returns an organization's seat limit and the seats in use.
    pub async fn seat_usage(&self, caller: &Caller, name: SeatUsageName) -> Result<SeatUsage> {
        let place = Place::Organization(name.0.clone());
        let mut repository = self.store.read().await?;
        let rule = &rules::GET_SEAT_USAGE;
        access::authorize(&mut repository, caller, &place, rule, None).await?;
        let seats = repository.seats(place.organization()).await?;
        let seats = seats.ok_or_else(|| place_not_found(&place))?;
        Ok(SeatUsage(name, seats))
    }
}
