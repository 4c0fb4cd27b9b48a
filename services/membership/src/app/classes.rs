//! Classes and their owners.

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{ClassId, OrganizationId, UserId},
    names::{ClassName, MemberName, OrganizationName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    rpc::{check_etag, place_not_found},
};

use super::{
    App, Change, access, closing, members, members::NewMember, refusals, rules, rules::Rule,
};
use crate::{
    domain::{
        class::{Class, ClassFields, ClassFilter, ClassState},
        member::{Particulars, Role},
        seat::Seats,
    },
    store::{InsertOutcome, Repository, Waiting},
};

/// The class to create.
#[derive(Debug, Clone)]
pub struct NewClass {
    /// The chosen id; None if the server makes one.
    pub id: Option<ClassId>,
    /// Its owner; None for the acting user.
    pub owner: Option<UserId>,
    /// Its other fields.
    pub fields: ClassFields,
}

/// Creates a class with its owner. A teacher owns the class that they create; an administrator may name another
/// administrator or teacher of the organization.
pub async fn create(change: &mut Change, parent: OrganizationName, new: NewClass) -> Result<Class> {
    let organization = Place::Organization(parent.0.clone());
    let (_, standing) = change
        .enter(&organization, &rules::CREATE_CLASS, None)
        .await?;
    let owner = new.owner.unwrap_or_else(|| change.user());
    if owner != change.caller.user {
        if standing.role_in_organization != Some(Role::Admin) {
            return Err(access::role_required(&organization, &standing));
        }
        require_possible_owner(change, &organization, &owner, "class.owner").await?;
    }
    let name = ClassName {
        organization: parent.0,
        class: new.id.unwrap_or_else(|| ClassId::made(change.new_id())),
    };
    let mut class = Class::new(name, owner, change.now);
    new.fields.set(&mut class);
    if change.repository.insert_class(&class).await? != InsertOutcome::Inserted {
        return Err(Error::new(
            ErrorReason::ClassExists,
            "Choose another class_id: this one is, or was, in use in the organization.",
        )
        .resource("homeroom/Class", class.name.to_string()));
    }
    let name = class.name.to_string();
    let place = Place::Class(class.name.clone());
    change.record_by_caller(
        "class.created",
        &place,
        name,
        [("owner", class.owner.as_str())],
    );
    members::insert_first(change, place, class.owner.clone(), Role::Owner).await?;
    Ok(class)
}

/// Returns `MEMBER_NOT_FOUND` unless the user is an administrator or teacher of the organization.
async fn require_possible_owner(
    change: &mut Change,
    organization: &Place,
    user: &UserId,
    field: &str,
) -> Result<()> {
    let member = change.repository.member(organization, user).await?;
    if member.is_some_and(|member| member.role != Role::Student) {
        return Ok(());
    }
    Err(Error::new(
        ErrorReason::MemberNotFound,
        format!("Name an administrator or teacher of the organization in {field}."),
    )
    .resource(
        "homeroom/Member",
        MemberName {
            place: organization.clone(),
            user: user.clone(),
        }
        .to_string(),
    ))
}

/// Maximum number of classes that `LAST_OWNER` names.
pub const OWNED_CLASSES_NAMED_MAX: u32 = 100;

/// Returns `LAST_OWNER` if the user owns a class of this organization, or of any if None.
pub(crate) async fn refuse_owner(
    repository: &mut Repository,
    user: &UserId,
    organization: Option<&OrganizationId>,
) -> Result<()> {
    let owned = repository.classes_owned_by(user, organization, OWNED_CLASSES_NAMED_MAX);
    let owned = owned.await?;
    if owned.is_empty() {
        Ok(())
    } else {
        Err(refusals::last_owner(&owned))
    }
}

/// Locks and returns a class that is to be changed, if the rule allows the call and the etag matches.
async fn load_to_change(
    change: &mut Change,
    name: &ClassName,
    rule: &Rule,
    etag: &str,
) -> Result<(Class, Seats)> {
    let place = Place::Class(name.clone());
    let (seats, _) = change.enter(&place, rule, None).await?;
    let class = change
        .repository
        .class(name)
        .await?
        .ok_or_else(|| place_not_found(&place))?;
    check_etag(etag, class.revision)?;
    Ok((class, seats))
}

/// Stores a changed class with its event; skips a class that did not change.
async fn save(
    change: &mut Change,
    before: &Class,
    mut after: Class,
    event_type: &'static str,
) -> Result<Class> {
    if after == *before {
        return Ok(after);
    }
    after.revision += 1;
    after.update_time = change.now;
    change.repository.save_class(&after).await?;
    let owner = if after.owner == before.owner {
        ""
    } else {
        after.owner.as_str()
    };
    let place = Place::Class(after.name.clone());
    change.record_by_caller(event_type, &place, place.to_string(), [("owner", owner)]);
    Ok(after)
}

/// Changes a class.
pub async fn update(
    change: &mut Change,
    name: ClassName,
    (fields, etag): (ClassFields, String),
) -> Result<Class> {
    let (before, _) = load_to_change(change, &name, &rules::UPDATE_CLASS, &etag).await?;
    let mut after = before.clone();
    fields.set(&mut after);
    save(change, &before, after, "class.updated").await
}

/// Archives a class: nobody can join, waiting requests are closed, members stay.
pub async fn archive(change: &mut Change, name: ClassName, etag: String) -> Result<Class> {
    let (before, mut seats) = load_to_change(change, &name, &rules::ARCHIVE_CLASS, &etag).await?;
    let after = Class {
        state: ClassState::Archived,
        ..before.clone()
    };
    closing::close_requests(change, &mut seats, &Waiting::InClass(name.clone())).await?;
    change.save_seats(&name.organization, &seats).await?;
    save(change, &before, after, "class.archived").await
}

/// Reopens an archived class.
pub async fn unarchive(change: &mut Change, name: ClassName, etag: String) -> Result<Class> {
    let (before, _) = load_to_change(change, &name, &rules::UNARCHIVE_CLASS, &etag).await?;
    let after = Class {
        state: ClassState::Active,
        ..before.clone()
    };
    save(change, &before, after, "class.unarchived").await
}

/// Deletes a class permanently with its memberships and waiting requests; its members stay in the organization and keep
/// their seats (R7).
pub async fn delete(change: &mut Change, name: ClassName, etag: String) -> Result<()> {
    let (_, mut seats) = load_to_change(change, &name, &rules::DELETE_CLASS, &etag).await?;
    closing::close_requests(change, &mut seats, &Waiting::InClass(name.clone())).await?;
    change.save_seats(&name.organization, &seats).await?;
    let place = Place::Class(name.clone());
    change.repository.delete_members(&place).await?;
    change.repository.forget_removals(&place).await?;
    change.repository.delete_class(&name, change.now).await?;
    change.record_by_caller("class.deleted", &place, place.to_string(), []);
    Ok(())
}

/// Makes another administrator or teacher of the organization the owner; the previous owner becomes a co-teacher.
pub async fn transfer_ownership(
    change: &mut Change,
    name: ClassName,
    (owner, etag): (UserId, String),
) -> Result<Class> {
    let rule = &rules::TRANSFER_CLASS_OWNERSHIP;
    let (before, _) = load_to_change(change, &name, rule, &etag).await?;
    if owner == before.owner {
        return Ok(before);
    }
    let organization = Place::Organization(name.organization.clone());
    require_possible_owner(change, &organization, &owner, "owner").await?;
    let place = Place::Class(name.clone());
    set_role(change, &place, &before.owner, Role::CoTeacher).await?;
    let after = Class {
        owner: owner.clone(),
        ..before.clone()
    };
    if !set_role(change, &place, &owner, Role::Owner).await? {
        let new = NewMember {
            user: owner,
            particulars: Particulars::default(),
            role: Role::Owner,
        };
        members::enrol(change, &place, new).await?;
    }
    save(change, &before, after, "class.ownership_transferred").await
}

/// Gives a member of a class another role. Returns false if the user is not a member of it.
async fn set_role(change: &mut Change, place: &Place, user: &UserId, role: Role) -> Result<bool> {
    let Some(member) = change.repository.member(place, user).await? else {
        return Ok(false);
    };
    members::change_role(change, member, role).await?;
    Ok(true)
}

impl App {
    /// Reads one class.
    pub async fn class(&self, caller: &Caller, name: ClassName) -> Result<Class> {
        let place = Place::Class(name.clone());
        let mut repository = self.store.read().await?;
        access::authorize(&mut repository, caller, &place, &rules::GET_CLASS, None).await?;
        repository
            .class(&name)
            .await?
            .ok_or_else(|| place_not_found(&place))
    }

    /// Lists an organization's classes in the order of their ids: an administrator sees all of them, others those that
    /// they are members of.
    pub async fn classes(
        &self,
        caller: &Caller,
        OrganizationName(organization): OrganizationName,
        filter: ClassFilter,
        page: &PageRequest,
    ) -> Result<Page<Class>> {
        let place = Place::Organization(organization.clone());
        let mut repository = self.store.read().await?;
        let rule = &rules::LIST_CLASSES;
        let standing = access::authorize(&mut repository, caller, &place, rule, None).await?;
        let sees_all = standing.role_in_organization == Some(Role::Admin);
        let member = (!sees_all).then_some(&caller.user);
        let after: Option<ClassId> = page.cursor_as()?;
        let found = repository
            .list_classes(&organization, member, &filter, after.as_ref(), page.limit())
            .await?;
        Ok(page.cut(found, |last| last.name.class.to_string()))
    }
}
