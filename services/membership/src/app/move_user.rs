//! `MoveUser` (R15): everything that membership keeps of one account of a person becomes another account's. It is an
//! erasure that loses nothing: the same records get another id, and keys and outcomes of admissions stay (P1).

use std::collections::{BTreeMap, BTreeSet};

use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::Place,
};
use homeroom_kit::{Result, auth::Caller, erasure::Replacement, outbox::NewEvent};
use prost::Message;

use super::{App, Change, closing, erase_user::as_system, members, refusals};
use crate::{
    domain::{
        join_request::SYSTEM,
        member::{Member, Role},
        seat::Seats,
    },
    store::Waiting,
};

impl App {
    /// Moves the user's records to the other account in one transaction, once for each id of a move. Its events are in
    /// the feed before the call is answered. The caller must have passed [`super::erase_user::may_handle_users`].
    pub async fn move_user(
        &self,
        caller: &Caller,
        request: &impl Message,
        (replacement, id): (Replacement, UserId),
    ) -> Result<()> {
        let caller = as_system(caller)?;
        self.write(&caller, None, request, |change| {
            Box::pin(async move { move_records(change, &replacement, &id).await })
        })
        .await
    }
}

async fn move_records(change: &mut Change, replacement: &Replacement, id: &UserId) -> Result<()> {
    if !change.repository.insert_erasure(id, change.now).await? {
        return Ok(());
    }
    let user = &replacement.user;
    let organizations = change.repository.organizations_that_know(user).await?;
    // P6: everything is read under the locks. What the user does elsewhere meanwhile is done by a stranger.
    change.lock_all(&organizations).await?;
    for organization in &organizations {
        merge(change, organization, replacement).await?;
    }
    change
        .repository
        .move_removals(&organizations, replacement)
        .await?;
    change
        .repository
        .replace(&organizations, replacement)
        .await?;
    change.repository.forget_requests_of(user, &[]).await?;
    Ok(())
}

/// Makes the memberships of both accounts in an organization those of the other account, and closes what then waits
/// twice, or for a place that the person is in (P2, P8).
async fn merge(
    change: &mut Change,
    organization: &OrganizationId,
    replacement: &Replacement,
) -> Result<()> {
    let Some(seats) = change.repository.seats(organization).await? else {
        return Ok(());
    };
    let Replacement { user, by } = replacement;
    let place = Place::Organization(organization.clone());
    let source = memberships(change, &place, user).await?;
    let target = memberships(change, &place, by).await?;
    let mut seats = seats_after(seats, source.get(&place), target.get(&place))
        .map_err(|_| refusals::no_seats(&place, &seats))?;
    let new: Vec<Member> = source
        .values()
        .filter(|member| !target.contains_key(&member.place))
        .map(|member| Member {
            user: by.clone(),
            ..member.clone()
        })
        .collect();
    change.repository.insert_members(&new).await?;
    for (at, member) in &target {
        let Some(other) = source.get(at) else {
            continue;
        };
        let after = member.with(other);
        if after != *member {
            change.repository.save_member(&after).await?;
            members::record_role(change, &after, member.role);
        }
    }
    change.repository.delete_members_of(&place, [user]).await?;
    let inside: BTreeSet<&Place> = source.keys().chain(target.keys()).collect();
    let waits = change
        .repository
        .places_waited_for(organization, by)
        .await?;
    let waited = change
        .repository
        .places_waited_for(organization, user)
        .await?;
    let twice = waited
        .iter()
        .filter(|at| inside.contains(at) || waits.contains(at))
        .map(|at| (at, user));
    let needless = waits
        .iter()
        .filter(|at| inside.contains(at))
        .map(|at| (at, by));
    for (at, who) in twice.chain(needless) {
        let open = &Waiting::Of(at.clone(), vec![who.clone()]);
        closing::close_requests(change, &mut seats, open).await?;
    }
    change.save_seats(organization, &seats).await?;
    change.record(NewEvent::user_moved(organization, replacement, SYSTEM));
    Ok(())
}

/// Returns the user's memberships of an organization and its classes.
async fn memberships(
    change: &mut Change,
    organization: &Place,
    user: &UserId,
) -> Result<BTreeMap<Place, Member>> {
    let repository = &mut change.repository;
    let own = repository.member(organization, user).await?;
    let in_classes = repository
        .class_memberships(organization.organization(), [user])
        .await?;
    let all = own.into_iter().chain(in_classes);
    Ok(all.map(|member| (member.place.clone(), member)).collect())
}

/// Returns the seats after two memberships of an organization became one: a person holds one seat (R7).
fn seats_after(
    seats: Seats,
    source: Option<&Member>,
    target: Option<&Member>,
) -> std::result::Result<Seats, crate::domain::seat::NoSeats> {
    let (Some(source), Some(target)) = (source, target) else {
        return Ok(seats);
    };
    let role: Role = target.with(source).role;
    seats
        .change(Some(source.role), None)?
        .change(Some(target.role), Some(role))
}
