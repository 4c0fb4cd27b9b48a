//! `EraseUser` (R13): ends a person's memberships and puts a pseudonym in their place in all kept records. Keys and
//! outcomes of admissions stay (P1), so that a late or repeated Admit of theirs meets an admission of somebody else and
//! lets nobody in.

use std::collections::BTreeSet;

use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{MemberName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    erasure::{Replacement, marks_of},
    outbox::NewEvent,
    rpc::require_unbound,
};
use prost::Message;

use super::{App, Change, classes, closing, members, refusals, rules};
use crate::{
    domain::{
        join_request::SYSTEM,
        member::{Member, Particulars},
        seat::Seats,
    },
    store::Waiting,
};

/// The particulars that each organization knows of a person.
pub type Known = BTreeSet<(OrganizationId, Particulars)>;

impl App {
    /// Returns what is known of the person if they may be erased, or `LAST_OWNER` if they own a class. The caller must
    /// have passed [`may_handle_users`].
    pub async fn look_at_person(&self, user: &UserId) -> Result<Known> {
        let mut repository = self.store.read().await?;
        classes::refuse_owner(&mut repository, user, None).await?;
        Ok(repository.particulars_of(user).await?)
    }

    /// Erases the person in one transaction, once for each pseudonym. Its events are in the feed before the call is
    /// answered. The caller must have passed [`may_handle_users`].
    pub async fn erase_user(
        &self,
        caller: &Caller,
        request: &impl Message,
        replacement: Replacement,
    ) -> Result<()> {
        let caller = as_system(caller)?;
        self.write(&caller, None, request, |change| {
            Box::pin(async move { erase(change, &replacement).await })
        })
        .await
    }
}

/// Allows a service that is not bound to organizations, else fails with `SCOPE_MISSING`: what is done concerns every
/// organization of the person.
pub fn may_handle_users(caller: &Caller, rule: &rules::Rule) -> Result<()> {
    rule.require_scope(caller)?;
    require_unbound(caller)
}

/// Returns the caller as the service itself, to which the consequences of an erasure or a move are attributed.
pub(crate) fn as_system(caller: &Caller) -> Result<Caller> {
    let mut caller = caller.clone();
    caller.user = UserId::parse(SYSTEM).map_err(Error::internal)?;
    Ok(caller)
}

async fn erase(change: &mut Change, replacement: &Replacement) -> Result<()> {
    if !change
        .repository
        .insert_erasure(&replacement.by, change.now)
        .await?
    {
        return Ok(());
    }
    let user = &replacement.user;
    let organizations = change.repository.organizations_that_know(user).await?;
    // P6: the decision uses the facts that these statements find under the locks. A person who appears in another
    // organization meanwhile counts as one who came after the erasure.
    change.lock_all(&organizations).await?;
    classes::refuse_owner(&mut change.repository, user, None).await?;
    let known = change.repository.particulars_of(user).await?;
    change
        .repository
        .forget_particulars(&organizations, user)
        .await?;
    change
        .repository
        .replace(&organizations, replacement)
        .await?;
    for organization in &organizations {
        leave(change, organization, replacement).await?;
    }
    let known = known.iter().map(|(organization, known)| {
        let texts = [known.email.as_str(), known.external_id.as_str()];
        (organization, texts)
    });
    let marks = marks_of(user, known);
    change.repository.forget_requests_of(user, &marks).await?;
    Ok(())
}

/// Ends the person's membership and requests in an organization, where the pseudonym has already replaced the person.
async fn leave(
    change: &mut Change,
    organization: &OrganizationId,
    replacement: &Replacement,
) -> Result<()> {
    let place = Place::Organization(organization.clone());
    let user = &replacement.user;
    let Some(mut seats) = change.repository.seats(organization).await? else {
        return Ok(());
    };
    let waiting = Waiting::OfPersonsIn(organization.clone(), vec![replacement.by.clone()]);
    closing::close_requests(change, &mut seats, &waiting).await?;
    let in_classes = change
        .repository
        .class_memberships(organization, [user])
        .await?;
    for member in in_classes {
        record_end(change, member, replacement);
    }
    if let Some(member) = change.repository.member(&place, user).await? {
        seats = freed(&seats, &member)?;
        change.repository.delete_members_of(&place, [user]).await?;
        record_end(change, member, replacement);
    }
    change.save_seats(organization, &seats).await?;
    change.record(NewEvent::user_erased(organization, replacement, SYSTEM));
    Ok(())
}

fn freed(seats: &Seats, member: &Member) -> Result<Seats> {
    let name: MemberName = member.name();
    seats
        .change(Some(member.role), None)
        .map_err(|_| refusals::no_seats(&name.place, seats))
}

fn record_end(change: &mut Change, member: Member, replacement: &Replacement) {
    let ended = Member {
        user: replacement.by.clone(),
        ..member
    };
    members::record_ended(change, &ended);
}
