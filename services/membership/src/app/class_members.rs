//! Members of a class: each is a member of the organization too (03 I2).

use homeroom_api::names::{ClassName, MemberName, Place};
use homeroom_kit::Result;

use super::{
    Change, closing,
    members::{self, NewMember},
    refusals, rules,
};
use crate::{
    domain::{
        class::ClassState,
        member::{Member, Particulars, Provenance, Role},
        organization::FIRST_REVISION,
    },
    store::Waiting,
};

/// Adds a member to a class. Who is not yet in the organization becomes a Student there and takes a seat.
/// Removals are lifted, waiting requests closed (R8, P8).
pub async fn add(change: &mut Change, class: ClassName, new: NewMember) -> Result<Member> {
    let organization = Place::Organization(class.organization.clone());
    let place = Place::Class(class.clone());
    let mut seats = change.lock(&place).await?;
    let standing = change
        .authorise(&place, &rules::ADD_CLASS_MEMBER, None)
        .await?;
    let name = MemberName {
        place: place.clone(),
        user: new.user,
    };
    if change
        .repository
        .member(&place, &name.user)
        .await?
        .is_some()
    {
        return Err(refusals::member_exists(&name));
    }
    let archived = standing
        .class
        .is_none_or(|class| class.state == ClassState::Archived);
    if archived {
        return Err(refusals::class_archived(&class));
    }
    let provenance = Provenance::added(&change.caller.user);
    let mut added = Vec::new();
    if change
        .repository
        .member(&organization, &name.user)
        .await?
        .is_none()
    {
        seats = seats
            .change(None, Some(Role::Student))
            .map_err(|_| refusals::no_seats(&organization, &seats))?;
        added.push(Member {
            place: organization.clone(),
            user: name.user.clone(),
            particulars: new.particulars,
            role: Role::Student,
            join_time: change.now,
            provenance: provenance.clone(),
            revision: FIRST_REVISION,
        });
        let open = &Waiting::Of(organization.clone(), name.user.clone());
        closing::close_requests(change, &mut seats, open).await?;
    }
    added.push(Member {
        place: place.clone(),
        user: name.user.clone(),
        particulars: Particulars::default(),
        role: new.role,
        join_time: change.now,
        provenance,
        revision: FIRST_REVISION,
    });
    change.repository.insert_members(&added).await?;
    change.repository.lift_removals(&place, &name.user).await?;
    let open = &Waiting::Of(place.clone(), name.user.clone());
    closing::close_requests(change, &mut seats, open).await?;
    change.save_seats(&class.organization, &seats).await?;
    for member in &added {
        members::record_joined(change, member);
    }
    members::load(change, &name).await
}

/// Changes a role between `CO_TEACHER` and STUDENT; an owner's only by transfer (`LAST_OWNER`).
pub async fn update(
    change: &mut Change,
    name: MemberName,
    role: Option<Role>,
    etag: &str,
) -> Result<Member> {
    change.lock(&name.place).await?;
    change
        .authorise(&name.place, &rules::UPDATE_CLASS_MEMBER, None)
        .await?;
    let before = members::load(change, &name).await?;
    refusals::check_etag(etag, before.revision)?;
    let role = role.unwrap_or(before.role);
    if role == before.role {
        return Ok(before);
    }
    if before.role == Role::Owner {
        return Err(refusals::last_owner(&name));
    }
    let after = Member {
        role,
        ..before.clone()
    };
    change.repository.save_member(&after).await?;
    members::record_role(change, &after, before.role);
    members::load(change, &name).await
}

/// Removes a member from a class; the organization's seat stays taken (R7). Whom staff removed is let in
/// again only by approval (R8).
pub async fn remove(change: &mut Change, name: MemberName, etag: &str) -> Result<()> {
    let mut seats = change.lock(&name.place).await?;
    let person = Some(&name.user);
    change
        .authorise(&name.place, &rules::REMOVE_CLASS_MEMBER, person)
        .await?;
    let member = members::load(change, &name).await?;
    refusals::check_etag(etag, member.revision)?;
    if member.role == Role::Owner {
        return Err(refusals::last_owner(&name));
    }
    change
        .repository
        .delete_member(&name.place, &name.user)
        .await?;
    let open = &Waiting::Of(name.place.clone(), name.user.clone());
    closing::close_requests(change, &mut seats, open).await?;
    change.save_seats(name.place.organization(), &seats).await?;
    if change.caller.user != name.user {
        let now = change.now;
        change
            .repository
            .record_removal(&name.place, &name.user, now)
            .await?;
    }
    members::record_ended(change, &member);
    Ok(())
}
