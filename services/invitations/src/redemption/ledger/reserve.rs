//! T1: the durable reservation. Many are locked, judged and written in one transaction.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    random::{Randomness, new_id_at},
    request_ids::RequestKey,
};
use uuid::Uuid;

use super::ReadAt;
use crate::{
    domain::{
        decide::{Decision, Facts},
        earlier_redemptions::{self, NextStep},
        invitation::Invitation,
        redemption::RedemptionState,
    },
    redemption::request::Attempt,
    store::{
        Error, InvitationRow, Person, Redemption, RedemptionRequest, Repository, Resolved, Result,
        Route, UseKey, UsesChange,
    },
};

/// The time for which a redemption is left to the process that reserved or took it before recovery takes it, in seconds
/// (P13).
pub const LEASE_SECONDS: i64 = 5;

/// An invitation that the typed credential matches.
#[derive(Debug, Clone)]
pub struct MatchedInvitation {
    /// The invitation's row.
    pub row: InvitationRow,
    /// The MACs that find it, exact and folded: if its secret has none of them any more, it was reset.
    pub lookup_macs: Vec<[u8; 32]>,
    /// True if the invitation has spent a use on the person (P4). It is not determined for people who are looked up
    /// together.
    pub has_use: bool,
}

/// A request to reserve one person's use of one invitation.
#[derive(Clone, Copy)]
pub struct ReserveRequest<'attempt> {
    /// The attempt: who asks, and how.
    pub attempt: &'attempt Attempt,
    /// The invitation to use.
    pub matched: &'attempt MatchedInvitation,
}

impl ReserveRequest<'_> {
    /// Returns true if the person gets in, or waits, by a use, judged by the invitation as it was read. Then there is
    /// usually no earlier redemption of theirs, and the write notices if there is one.
    pub(super) fn gets_in(&self, now: DateTime<Utc>) -> bool {
        let step = next_step(&self.matched.row, &self.attempt.facts, &[], now);
        matches!(step, NextStep::Begin { decision, holds_use, .. } if holds_use || decision == Decision::Admit)
    }
}

/// The result of a request to reserve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// A new reservation.
    New(Redemption),
    /// The person's live redemption of this invitation (P2), with the person's data from this attempt; the request id
    /// is not recorded yet.
    Attached(Redemption),
    /// The request id names this redemption by now (P9).
    Named(Redemption),
    /// The request id was used with another body.
    RequestIdConflict,
    /// Nothing was reserved or written.
    Refused(ErrorReason),
    /// The invitation has changed since it was looked up: it must be looked up again.
    Changed,
}

/// Reserves in the transaction of `repository`, which the caller commits. [`Error::Conflict`] means that another
/// transaction was first: the caller must begin again.
///
/// `seen` is only for the wrong variant [`WrongVariant::CheckThenAct`]: the invitations as they were before they were
/// locked, to decide by.
///
/// [`WrongVariant::CheckThenAct`]: homeroom_kit::failpoints::WrongVariant::CheckThenAct
pub(super) async fn reserve(
    repository: &mut Repository,
    wanted: &[ReserveRequest<'_>],
    read_at: ReadAt,
    seen: Option<Vec<InvitationRow>>,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Result<Vec<Reserved>> {
    let locked = repository.lock_invitations(&ids_of(wanted)).await?;
    let mut invitations: HashMap<Uuid, InvitationRow> = seen
        .unwrap_or(locked)
        .into_iter()
        .map(|row| (row.invitation.id, row))
        .collect();
    let requests: Vec<&RedemptionRequest> = wanted
        .iter()
        .filter_map(|wanted| wanted.attempt.request.as_ref())
        .collect();
    let (resolved, of_persons) = match read_at {
        // Only a use that is spent was read; the write below finds any redemption that stands.
        ReadAt::BeforeLocks => (Vec::new(), Vec::new()),
        ReadAt::UnderLocks => {
            let keys: Vec<UseKey> = wanted.iter().map(key_of).collect();
            repository.standing(&requests, &keys, now).await?
        }
    };
    let mut resolved = resolved.into_iter();
    let mut earlier_of: HashMap<UseKey, Vec<Redemption>> = HashMap::new();
    for redemption in of_persons {
        let of_person = earlier_of.entry(redemption.use_key()).or_default();
        of_person.push(redemption);
    }

    let mut results = Vec::with_capacity(wanted.len());
    let mut inserts: Vec<Redemption> = Vec::new();
    let mut handed_over: Vec<Redemption> = Vec::new();
    let mut noted: Vec<(&RedemptionRequest, Uuid)> = Vec::new();
    // P9: a request id that comes twice in one batch, as when a client hedges, is one request.
    let mut begun: HashMap<&RequestKey, (&RedemptionRequest, Redemption)> = HashMap::new();
    for wanted in wanted {
        let request = wanted.attempt.request.as_ref();
        let resolved = request
            .and_then(|_| resolved.next())
            .unwrap_or(Resolved::Unknown);
        let first = request.and_then(|request| begun.get(&request.key));
        let result = match (first, resolved) {
            (Some((first, redemption)), _) if request == Some(*first) => {
                Reserved::Named(redemption.clone())
            }
            (Some(_), _) | (None, Resolved::Conflict) => Reserved::RequestIdConflict,
            (None, Resolved::Names(redemption)) => Reserved::Named(*redemption),
            (None, Resolved::Unknown) => {
                match invitations.get_mut(&wanted.matched.row.invitation.id) {
                    Some(row) if is_what_was_found(row, wanted) => {
                        let of_person = earlier_of.entry(key_of(wanted)).or_default();
                        let facts = Facts {
                            // Once the locks are held, the stored redemptions tell.
                            has_use: read_at == ReadAt::BeforeLocks && wanted.attempt.facts.has_use,
                            ..wanted.attempt.facts.clone()
                        };
                        let attempt = wanted.attempt;
                        judge(
                            row,
                            attempt,
                            &facts,
                            of_person,
                            &mut handed_over,
                            now,
                            random,
                        )
                    }
                    _ => Reserved::Changed,
                }
            }
        };
        if read_at == ReadAt::BeforeLocks && !matches!(result, Reserved::New(_)) {
            // An earlier reservation may exist, under the request id or for the person.
            return Err(Error::conflict("a refusal takes a look at what stands"));
        }
        if let Reserved::New(redemption) = &result {
            inserts.push(redemption.clone());
            if let Some(request) = request {
                noted.push((request, redemption.id));
                begun.insert(&request.key, (request, redemption.clone()));
            }
        }
        results.push(result);
    }
    write(repository, &inserts, &handed_over, &noted, now).await?;
    Ok(results)
}

/// Returns the distinct ids of the invitations, sorted, for locking.
pub(super) fn ids_of(wanted: &[ReserveRequest<'_>]) -> Vec<Uuid> {
    let ids = wanted.iter().map(|wanted| wanted.matched.row.invitation.id);
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Returns true if the secret is still the one that was typed: a reset between look-up and lock is noticed here (C8).
fn is_what_was_found(row: &InvitationRow, wanted: &ReserveRequest<'_>) -> bool {
    row.secret.as_ref().is_some_and(|secret| {
        let mut macs = wanted.matched.lookup_macs.iter().map(<[u8; 32]>::as_slice);
        macs.any(|mac| mac == secret.lookup_mac || Some(mac) == secret.folded_mac.as_deref())
    })
}

/// Judges one request and counts the use that it takes, so that the next one is judged by the remaining uses (P4).
fn judge(
    row: &mut InvitationRow,
    attempt: &Attempt,
    facts: &Facts,
    earlier: &mut Vec<Redemption>,
    handed_over: &mut Vec<Redemption>,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Reserved {
    let vouch_time = attempt.refreshes_roster.then_some(now);
    let (decision, holds_use, takes_over) = match next_step(row, facts, earlier, now) {
        // Membership is sent the person's data of this attempt.
        NextStep::Join(living) => {
            return Reserved::Attached(Redemption {
                person: attempt.person.clone(),
                vouch_time,
                ..living.clone()
            });
        }
        NextStep::Refuse(reason) => return Reserved::Refused(reason),
        NextStep::Begin {
            decision,
            holds_use,
            takes_over,
        } => (decision, holds_use, takes_over.cloned()),
    };
    let route = match Route::of(decision) {
        Ok(route) => route,
        Err(reason) => return Reserved::Refused(reason),
    };
    let invitation = &mut row.invitation;
    if holds_use {
        invitation.uses.reserved = invitation.uses.reserved.saturating_add(1);
    }
    if let Some(waiting) = takes_over {
        invitation.uses.queued = invitation.uses.queued.saturating_sub(1);
        handed_over.push(waiting);
    }
    let mut redemption = reservation(invitation, &attempt.person, route, now, random);
    redemption.holds_use = holds_use;
    redemption.vouch_time = vouch_time;
    // P2: a second request of this batch joins the redemption.
    earlier.push(redemption.clone());
    Reserved::New(redemption)
}

/// Returns the next step of an attempt, given `earlier`: the person's live or COMMITTED redemptions of the invitation,
/// oldest first.
pub(in crate::redemption) fn next_step<'earlier>(
    row: &InvitationRow,
    facts: &Facts,
    earlier: &'earlier [Redemption],
    now: DateTime<Utc>,
) -> NextStep<&'earlier Redemption> {
    let earlier: Vec<_> = earlier.iter().map(Redemption::earlier).collect();
    earlier_redemptions::next_step(&row.invitation, row.uses_since_epoch, facts, &earlier, now)
}

/// Returns a redemption as T1 makes it: it holds no use yet, and nobody vouches for the person.
pub(in crate::redemption) fn reservation(
    invitation: &Invitation,
    person: &Person,
    route: Route,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Redemption {
    Redemption {
        id: new_id_at(now, random),
        invitation_id: invitation.id,
        invitation: invitation.name().to_string(),
        kind: invitation.kind,
        epoch: invitation.epoch,
        place: invitation.place.clone(),
        person: person.clone(),
        vouch_time: None,
        route,
        issue_time: invitation.issue_time,
        allow_rejoin: invitation.allow_rejoin,
        holds_use: false,
        state: RedemptionState::Reserved,
        outcome: None,
        join_request: String::new(),
        tries: 0,
        next_try_time: now + TimeDelta::seconds(LEASE_SECONDS),
        create_time: now,
        settle_time: None,
    }
}

fn key_of(wanted: &ReserveRequest<'_>) -> UseKey {
    UseKey {
        invitation_id: wanted.matched.row.invitation.id,
        user: wanted.attempt.person.user.clone(),
    }
}

/// P4: inserts redemptions and counts their uses. If anything is not written completely, the transaction must be begun
/// again.
async fn write(
    repository: &mut Repository,
    inserts: &[Redemption],
    handed_over: &[Redemption],
    noted: &[(&RedemptionRequest, Uuid)],
    now: DateTime<Utc>,
) -> Result<()> {
    if inserts.is_empty() {
        return Ok(());
    }
    let mut taken: HashMap<Uuid, UsesChange> = HashMap::new();
    for redemption in inserts.iter().filter(|redemption| redemption.holds_use) {
        taken.entry(redemption.invitation_id).or_default().reserved += 1;
    }
    for waiting in handed_over {
        taken.entry(waiting.invitation_id).or_default().queued -= 1;
    }
    let taken: Vec<(Uuid, UsesChange)> = taken.into_iter().collect();
    let ids: Vec<Uuid> = handed_over.iter().map(|waiting| waiting.id).collect();
    let whole = (ids.is_empty() || repository.hand_uses(&ids, false).await?)
        && repository
            .write_reservations(inserts, noted, &taken, now)
            .await?;
    whole
        .then_some(())
        .ok_or_else(|| Error::conflict("another reservation was there first"))
}
