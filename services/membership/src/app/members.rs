//! The code that both kinds of membership share: particulars, events and lists.

use homeroom_api::{
    ids::UserId,
    names::{MemberName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    rpc::Patch,
};

use super::{
    App, Change, access, decisions,
    new_events::{member_ended, member_joined, member_updated},
    refusals, rules,
    rules::Rule,
};
use crate::{
    admission::plan::Plan,
    domain::{
        member::{Member, MemberFilter, Particulars, Provenance, Role, SetByHand},
        organization::FIRST_REVISION,
        seat::Seats,
    },
    store::Wanted,
};

/// The member to add.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// The person.
    pub user: UserId,
    /// The particulars shown to staff; ignored if the person is in the organization already.
    pub particulars: Particulars,
    /// A role that fits the place.
    pub role: Role,
}

/// The fields of an organization's member that staff set.
#[derive(Debug, Clone, Default)]
pub struct MemberFields {
    /// ADMIN, TEACHER or STUDENT; None leaves it as it is.
    pub role: Option<Role>,
    /// The name shown to staff.
    pub display_name: Patch<String>,
    /// The address in canonical form.
    pub email: Patch<String>,
    /// The id in the school's own system.
    pub external_id: Patch<String>,
}

/// Makes the user the first member of a new organization or class, with its event (R6).
pub(crate) async fn insert_first(
    change: &mut Change,
    place: Place,
    user: UserId,
    role: Role,
) -> Result<()> {
    let member = Member {
        place,
        user,
        particulars: Particulars::default(),
        told_time: change.now,
        set_by_hand: SetByHand::default(),
        role,
        join_time: change.now,
        provenance: Provenance::added(&change.caller.user),
        revision: FIRST_REVISION,
    };
    change
        .repository
        .insert_members(std::slice::from_ref(&member))
        .await?;
    let event = member_joined(&member, change.caller.user.as_str());
    change.record(event);
    Ok(())
}

/// Adds a member as an admission does: a new Student takes a seat, waiting requests are closed, removals lifted (R7,
/// R8, P8). Fails with `MEMBER_EXISTS` or `NO_SEATS`. Must be called under the organization's lock.
pub(crate) async fn enrol(change: &mut Change, place: &Place, new: NewMember) -> Result<Member> {
    let person = (place.clone(), new.user);
    let known = change
        .repository
        .facts(&[Wanted::person(person.clone())])
        .await?;
    let organization = known.organizations.get(place.organization());
    let seats = organization.map_or_else(Seats::default, |known| known.seats);
    if known.members.contains_key(&person) {
        let (place, user) = person;
        return Err(refusals::member_exists(&MemberName { place, user }));
    }
    let mut plan = Plan::new(known, change.now);
    let adder = change.user();
    plan.enrol(
        &person,
        new.role,
        (&new.particulars, change.now),
        &Provenance::added(&adder),
        adder.as_str(),
    )
    .map_err(|_| {
        let organization = Place::Organization(place.organization().clone());
        refusals::no_seats(&organization, &seats)
    })?;
    plan.lift_removals(&person);
    let member = plan
        .known()
        .members
        .get(&person)
        .cloned()
        .ok_or_else(|| Error::internal("a person who was added is no member"))?;
    decisions::save(change, plan).await?;
    Ok(member)
}

/// Records `member.updated`.
pub fn record_role(change: &mut Change, member: &Member, previous: Role) {
    let event = member_updated(member, previous, change.caller.user.as_str());
    change.record(event);
}

/// Gives a member of a class another role, with its event.
pub(crate) async fn change_role(change: &mut Change, member: Member, role: Role) -> Result<()> {
    let previous = member.role;
    let member = Member { role, ..member };
    change.repository.save_member(&member).await?;
    record_role(change, &member, previous);
    Ok(())
}

/// Stores that staff removed these members of a place, which keeps them out until they are approved (R8), and records
/// the ends.
pub(crate) async fn removed(change: &mut Change, place: &Place, members: &[Member]) -> Result<()> {
    let caller = &change.caller.user;
    let by_staff = members
        .iter()
        .map(|member| &member.user)
        .filter(|user| *user != caller);
    change
        .repository
        .record_removals(place, by_staff, change.now)
        .await?;
    for member in members {
        record_ended(change, member);
    }
    Ok(())
}

/// Records the end of a membership.
pub fn record_ended(change: &mut Change, member: &Member) {
    let event = member_ended(member, change.caller.user.as_str());
    change.record(event);
}

/// Returns the membership, or `MEMBER_NOT_FOUND`.
pub(crate) async fn load(change: &mut Change, name: &MemberName) -> Result<Member> {
    change
        .repository
        .member(&name.place, &name.user)
        .await?
        .ok_or_else(|| refusals::member_not_found(name))
}

impl App {
    /// Reads one member of an organization or a class.
    pub async fn member(&self, caller: &Caller, name: MemberName) -> Result<Member> {
        let rule = match name.place {
            Place::Organization(_) => &rules::GET_ORGANIZATION_MEMBER,
            Place::Class(_) => &rules::GET_CLASS_MEMBER,
        };
        let mut repository = self.store.read().await?;
        let person = Some(&name.user);
        access::authorize(&mut repository, caller, &name.place, rule, person).await?;
        repository
            .member(&name.place, &name.user)
            .await?
            .ok_or_else(|| refusals::member_not_found(&name))
    }

    /// Lists members of an organization or a class in the order of their user ids (A10).
    pub async fn members(
        &self,
        caller: &Caller,
        place: Place,
        filter: MemberFilter,
        page: &PageRequest,
    ) -> Result<Page<Member>> {
        let rule: &Rule = match place {
            Place::Organization(_) => &rules::LIST_ORGANIZATION_MEMBERS,
            Place::Class(_) => &rules::LIST_CLASS_MEMBERS,
        };
        let mut repository = self.store.read().await?;
        access::authorize(&mut repository, caller, &place, rule, None).await?;
        let after: Option<UserId> = page.cursor_as()?;
        let found = repository
            .list_members(&place, &filter, after.as_ref(), page.limit())
            .await?;
        Ok(page.cut(found, |last| last.user.to_string()))
    }

    /// Lists the acting user's memberships that the token covers, by name; `MEMBER_NOT_FOUND` for any other user.
    /// `user` None stands for the acting user. A page may hold fewer items than requested.
    pub async fn memberships(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        page: &PageRequest,
    ) -> Result<Page<Member>> {
        let user = user.unwrap_or_else(|| caller.user.clone());
        if !rules::LIST_MEMBERSHIPS.is_met_by_person(caller, &user) {
            return Err(refusals::memberships_not_found());
        }
        let after: Option<Place> = page.cursor_as()?;
        let mut repository = self.store.read().await?;
        let found = repository
            .list_memberships(&caller.user, after.as_ref(), page.limit())
            .await?;
        let mut page = page.cut(found, |last| last.place.to_string());
        page.items
            .retain(|member| caller.may_reach(member.place.organization()));
        Ok(page)
    }
}
