//! Members of a class: each is a member of the organization too (I2).

use homeroom_api::{
    ids::UserId,
    names::{ClassName, MemberName, Place},
};
use homeroom_kit::{Result, rpc::check_etag};

use super::{
    Change, closing,
    members::{self, NewMember},
    refusals, rules,
};
use crate::{
    domain::{
        class::ClassState,
        member::{Member, Role},
        seat::Seats,
    },
    store::Waiting,
};

/// Adds a member to a class. A person who is not yet in the organization becomes a Student there and takes a seat.
/// Removals are lifted and waiting requests closed (R8, P8).
pub async fn add(change: &mut Change, class: ClassName, new: NewMember) -> Result<Member> {
    let place = Place::Class(class.clone());
    let (_, standing) = change.enter(&place, &rules::ADD_CLASS_MEMBER, None).await?;
    let name = MemberName {
        place: place.clone(),
        user: new.user.clone(),
    };
    let archived = standing
        .class
        .is_none_or(|class| class.state == ClassState::Archived);
    if archived {
        // A person who is a member already has nothing to wait for.
        return match change.repository.member(&place, &name.user).await? {
            Some(_) => Err(refusals::member_exists(&name)),
            None => Err(refusals::class_archived(&class)),
        };
    }
    members::enrol(change, &place, new).await
}

/// Changes a role between `CO_TEACHER` and STUDENT; the owner changes only by a transfer (`LAST_OWNER`).
pub async fn update(
    change: &mut Change,
    name: MemberName,
    (role, etag): (Option<Role>, String),
) -> Result<Member> {
    change
        .enter(&name.place, &rules::UPDATE_CLASS_MEMBER, None)
        .await?;
    let before = members::load(change, &name).await?;
    check_etag(&etag, before.revision)?;
    let role = role.unwrap_or(before.role);
    if role == before.role {
        return Ok(before);
    }
    refuse_owner(&before)?;
    members::change_role(change, before, role).await?;
    members::load(change, &name).await
}

/// Removes a member from a class; the seat in the organization stays taken (R7). A person removed by staff is let in
/// again only by approval (R8).
pub async fn remove(change: &mut Change, name: MemberName, etag: String) -> Result<()> {
    let person = Some(&name.user);
    let (seats, _) = change
        .enter(&name.place, &rules::REMOVE_CLASS_MEMBER, person)
        .await?;
    let member = members::load(change, &name).await?;
    check_etag(&etag, member.revision)?;
    refuse_owner(&member)?;
    remove_all(change, &name.place, seats, &[member]).await
}

/// Removes these members of a class, none of whom owns it.
pub(crate) async fn remove_all(
    change: &mut Change,
    class: &Place,
    mut seats: Seats,
    members: &[Member],
) -> Result<()> {
    let users: Vec<UserId> = members.iter().map(|member| member.user.clone()).collect();
    change.repository.delete_members_of(class, &users).await?;
    let open = &Waiting::Of(class.clone(), users);
    closing::close_requests(change, &mut seats, open).await?;
    change.save_seats(class.organization(), &seats).await?;
    members::removed(change, class, members).await
}

/// Returns `LAST_OWNER` if the member is the class's owner.
fn refuse_owner(member: &Member) -> Result<()> {
    match &member.place {
        Place::Class(class) if member.role == Role::Owner => {
            Err(refusals::last_owner(std::slice::from_ref(class)))
        }
        _ => Ok(()),
    }
}
