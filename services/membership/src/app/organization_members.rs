//! Members of an organization: each Student among them holds a seat (R7).

use homeroom_api::{
    ids::UserId,
    names::{MemberName, Place},
};
use homeroom_kit::{Result, rpc::check_etag};

use super::{
    Change, classes, closing,
    members::{self, MemberFields, NewMember},
    refusals, rules,
};
use crate::{
    domain::{
        member::{Member, Role},
        seat::Seats,
    },
    store::Waiting,
};

/// Adds a member; a Student takes a seat. A removal is lifted and a waiting request closed (R8, P8). The platform may
/// do this too, so that an organization that has lost its administrators can get another one.
pub async fn add(change: &mut Change, place: Place, new: NewMember) -> Result<Member> {
    change
        .enter(&place, &rules::ADD_ORGANIZATION_MEMBER, None)
        .await?;
    members::enrol(change, &place, new).await
}

/// Changes the role or the particulars; becoming a Student takes a seat, ceasing to be one frees it (R7). A co-teacher
/// of classes who becomes a Student becomes a student of those classes too.
pub async fn update(
    change: &mut Change,
    name: MemberName,
    (fields, etag): (MemberFields, String),
) -> Result<Member> {
    let organization = name.place.organization().clone();
    let (seats, _) = change
        .enter(&name.place, &rules::UPDATE_ORGANIZATION_MEMBER, None)
        .await?;
    let before = members::load(change, &name).await?;
    check_etag(&etag, before.revision)?;
    let role = fields.role.unwrap_or(before.role);
    let becomes_student = role == Role::Student && before.role != Role::Student;
    if becomes_student {
        let repository = &mut change.repository;
        classes::refuse_owner(repository, &name.user, Some(&organization)).await?;
    }
    let mut particulars = before.particulars.clone();
    fields.display_name.set(&mut particulars.display_name);
    fields.email.set(&mut particulars.email);
    fields.external_id.set(&mut particulars.external_id);
    let after = Member {
        role,
        set_by_hand: before
            .set_by_hand
            .and_changed(&before.particulars, &particulars),
        particulars,
        ..before.clone()
    };
    if after == before {
        return Ok(before);
    }
    let changed = seats
        .change(Some(before.role), Some(after.role))
        .map_err(|_| refusals::no_seats(&name.place, &seats))?;
    change.save_seats(&organization, &changed).await?;
    change.repository.save_member(&after).await?;
    members::record_role(change, &after, before.role);
    if becomes_student {
        let in_classes = change
            .repository
            .class_memberships(&organization, [&name.user])
            .await?;
        for member in in_classes {
            if member.role == Role::CoTeacher {
                members::change_role(change, member, Role::Student).await?;
            }
        }
    }
    Ok(Member {
        revision: before.revision + 1,
        ..after
    })
}

/// Removes a member from the organization and all its classes: the seat becomes free and waiting requests are closed
/// (R7). A person removed by staff is let in again only by approval (R8); a person who left may come back.
pub async fn remove(change: &mut Change, name: MemberName, etag: String) -> Result<()> {
    let organization = name.place.organization().clone();
    let person = Some(&name.user);
    let (seats, _) = change
        .enter(&name.place, &rules::REMOVE_ORGANIZATION_MEMBER, person)
        .await?;
    let member = members::load(change, &name).await?;
    check_etag(&etag, member.revision)?;
    let repository = &mut change.repository;
    classes::refuse_owner(repository, &name.user, Some(&organization)).await?;
    remove_all(change, &name.place, seats, &[member]).await
}

/// Removes these members of an organization, none of whom owns a class.
pub(crate) async fn remove_all(
    change: &mut Change,
    place: &Place,
    mut seats: Seats,
    members: &[Member],
) -> Result<()> {
    let organization = place.organization();
    let users: Vec<UserId> = members.iter().map(|member| member.user.clone()).collect();
    let in_classes = change
        .repository
        .class_memberships(organization, &users)
        .await?;
    for in_class in &in_classes {
        members::record_ended(change, in_class);
    }
    change.repository.delete_members_of(place, &users).await?;
    for member in members {
        seats = seats
            .change(Some(member.role), None)
            .map_err(|_| refusals::no_seats(place, &seats))?;
    }
    let open = &Waiting::OfPersonsIn(organization.clone(), users);
    closing::close_requests(change, &mut seats, open).await?;
    change.save_seats(organization, &seats).await?;
    members::removed(change, place, members).await
}
