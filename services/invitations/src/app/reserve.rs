//! T1: the durable reservation. Locked, judged and written in one transaction, for many at once.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    random::{Randomness, new_id_at},
    request_ids::RequestKey,
};
use uuid::Uuid;

use super::invitation_name;
use crate::{
    domain::{self, decide::decide, invitation::Invitation, redemption::RedemptionState},
    store::{
        Error, InvitationRow, KnownRequest, LivingKey, Person, Redemption, RedemptionRequest,
        Repository, Result, Route, UsesChange,
    },
};

/// How long a redemption is left to whoever reserved or took it before recovery takes it, in
/// seconds (P13).
pub const LEASE_SECONDS: i64 = 5;

/// What is to be reserved: one person's use of one invitation.
#[derive(Clone)]
pub struct Wanted {
    /// The invitation that the look-up found.
    pub invitation_id: Uuid,
    /// The look-up MACs that would find it: if its secret is none of them any more, it was reset.
    pub lookup_macs: Vec<[u8; 32]>,
    /// Who gets in.
    pub person: Person,
    /// What the domain decides by.
    pub facts: domain::decide::Attempt,
    /// The request id, if one was given.
    pub request: Option<RedemptionRequest>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// A new reservation.
    New(Redemption),
    /// The person's living redemption of this invitation (P2); the request id is not noted yet.
    Attached(Redemption),
    /// The request id has been answered by this redemption meanwhile (P9).
    Replay(Redemption),
    /// The request id was used for another body.
    RequestIdConflict,
    /// Not reserved; nothing was written.
    Refused(ErrorReason),
    /// What the look-up found is not what stands there now: look up again.
    Changed,
}

/// Reserves in the transaction of `repository`, which the caller commits. [`Error::Conflict`]
/// means that another transaction was there first: begin again.
///
/// `seen` is for the wrong variant [`WrongVariant::CheckThenAct`] alone: what the invitations were
/// before they were locked, to decide by.
///
/// [`WrongVariant::CheckThenAct`]: homeroom_kit::failpoints::WrongVariant::CheckThenAct
pub async fn reserve(
    repository: &mut dyn Repository,
    wanted: &[Wanted],
    seen: Option<Vec<InvitationRow>>,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Result<Vec<Reserved>> {
    let mut ids: Vec<Uuid> = wanted.iter().map(|wanted| wanted.invitation_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let locked = repository.lock_invitations(&ids).await?;
    let mut invitations: HashMap<Uuid, InvitationRow> = seen
        .unwrap_or(locked)
        .into_iter()
        .map(|row| (row.invitation.id, row))
        .collect();
    let known = known_requests(repository, wanted, now).await?;
    let mut living = living(repository, wanted, &invitations).await?;

    let mut results = Vec::with_capacity(wanted.len());
    let mut inserts: Vec<Redemption> = Vec::new();
    let mut requests: Vec<(&RedemptionRequest, Uuid)> = Vec::new();
    // P9: a request id that comes twice in one batch, as when a client hedges, is one request.
    let mut begun: HashMap<&RequestKey, (&RedemptionRequest, Redemption)> = HashMap::new();
    for (wanted, known) in wanted.iter().zip(known) {
        let request = wanted.request.as_ref();
        if let Some((first, redemption)) = request.and_then(|request| begun.get(&request.key)) {
            results.push(
                if request.is_some_and(|request| request.body == first.body) {
                    Reserved::Replay(redemption.clone())
                } else {
                    Reserved::RequestIdConflict
                },
            );
            continue;
        }
        let result = match known {
            Some(Known::Answered(redemption)) => Reserved::Replay(*redemption),
            Some(Known::Conflict) => Reserved::RequestIdConflict,
            None => match invitations.get_mut(&wanted.invitation_id) {
                Some(row) if is_what_was_found(row, wanted) => {
                    judge(&mut row.invitation, wanted, &living, now, random)
                }
                _ => Reserved::Changed,
            },
        };
        if let Reserved::New(redemption) = &result {
            // P2: a second one of this batch attaches to it.
            living.insert(key_of(redemption), redemption.clone());
            inserts.push(redemption.clone());
            if let Some(request) = request {
                requests.push((request, redemption.id));
                begun.insert(&request.key, (request, redemption.clone()));
            }
        }
        results.push(result);
    }
    write(repository, &inserts, &requests, now).await?;
    Ok(results)
}

fn key_of(redemption: &Redemption) -> LivingKey {
    LivingKey {
        invitation_id: redemption.invitation_id,
        epoch: redemption.epoch,
        user: redemption.person.user.clone(),
    }
}

/// The secret is still the one that was typed: a reset between look-up and lock is seen here (C8).
fn is_what_was_found(row: &InvitationRow, wanted: &Wanted) -> bool {
    row.secret.as_ref().is_some_and(|secret| {
        wanted
            .lookup_macs
            .iter()
            .any(|mac| mac.as_slice() == secret.lookup_mac)
    })
}

/// Judges one, counting what it takes, so that the next one is judged by what is left (P4).
fn judge(
    invitation: &mut Invitation,
    wanted: &Wanted,
    living: &HashMap<LivingKey, Redemption>,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Reserved {
    let decision = decide(invitation, &wanted.facts, now);
    let route = match Route::of(decision) {
        Ok(route) => Some(route),
        // The use that is short may be the person's own.
        Err(ErrorReason::UseInProgress) => None,
        Err(reason) => return Reserved::Refused(reason),
    };
    let key = LivingKey {
        invitation_id: invitation.id,
        epoch: invitation.epoch,
        user: wanted.person.user.clone(),
    };
    if let Some(redemption) = living.get(&key) {
        return Reserved::Attached(redemption.clone());
    }
    let Some(route) = route else {
        return Reserved::Refused(ErrorReason::UseInProgress);
    };
    if decision.holds_use() {
        invitation.uses.reserved = invitation.uses.reserved.saturating_add(1);
    }
    let mut redemption = reservation(invitation, &wanted.person, route, now, random);
    redemption.holds_use = decision.holds_use();
    Reserved::New(redemption)
}

/// A redemption as T1 makes it, holding no use yet.
pub(super) fn reservation(
    invitation: &Invitation,
    person: &Person,
    route: Route,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Redemption {
    Redemption {
        id: new_id_at(now, random),
        invitation_id: invitation.id,
        invitation: invitation_name::of(invitation),
        kind: invitation.kind,
        epoch: invitation.epoch,
        place: invitation.place.clone(),
        person: person.clone(),
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

enum Known {
    Answered(Box<Redemption>),
    Conflict,
}

/// What is known of each request id by now; one whose redemption was stale answers nothing.
async fn known_requests(
    repository: &mut dyn Repository,
    wanted: &[Wanted],
    now: DateTime<Utc>,
) -> Result<Vec<Option<Known>>> {
    let requests: Vec<&RedemptionRequest> = wanted
        .iter()
        .filter_map(|wanted| wanted.request.as_ref())
        .collect();
    let found = repository.find_redemption_requests(&requests, now).await?;
    let answered: Vec<Uuid> = found
        .iter()
        .filter_map(|known| match known {
            Some(KnownRequest::Answered(id)) => Some(*id),
            _ => None,
        })
        .collect();
    let redemptions = by_id(repository.get_redemptions(&answered).await?);
    let mut found = found.into_iter();
    Ok(wanted
        .iter()
        .map(|wanted| {
            wanted.request.as_ref()?;
            match found.next().flatten()? {
                KnownRequest::Conflict => Some(Known::Conflict),
                KnownRequest::Answered(id) => redemptions
                    .get(&id)
                    .filter(|redemption| answers(redemption))
                    .cloned()
                    .map(|redemption| Known::Answered(Box::new(redemption))),
            }
        })
        .collect())
}

/// Whether a redemption answers, or will: not one that ended because its epoch was stale (P7).
pub(super) fn answers(redemption: &Redemption) -> bool {
    !redemption.state.is_final() || redemption.outcome.is_some()
}

pub(super) fn by_id(redemptions: Vec<Redemption>) -> HashMap<Uuid, Redemption> {
    redemptions
        .into_iter()
        .map(|redemption| (redemption.id, redemption))
        .collect()
}

async fn living(
    repository: &mut dyn Repository,
    wanted: &[Wanted],
    invitations: &HashMap<Uuid, InvitationRow>,
) -> Result<HashMap<LivingKey, Redemption>> {
    let keys: Vec<LivingKey> = wanted
        .iter()
        .filter_map(|wanted| {
            let row = invitations.get(&wanted.invitation_id)?;
            Some(LivingKey {
                invitation_id: wanted.invitation_id,
                epoch: row.invitation.epoch,
                user: wanted.person.user.clone(),
            })
        })
        .collect();
    let living = repository.find_living(&keys).await?;
    Ok(living
        .into_iter()
        .map(|redemption| (key_of(&redemption), redemption))
        .collect())
}

/// P4: inserts first and counts only what was inserted; whatever does not come out whole is begun
/// again from the start.
async fn write(
    repository: &mut dyn Repository,
    inserts: &[Redemption],
    requests: &[(&RedemptionRequest, Uuid)],
    now: DateTime<Utc>,
) -> Result<()> {
    let inserted = repository.insert_redemptions(inserts).await?;
    let mut taken: HashMap<Uuid, UsesChange> = HashMap::new();
    for redemption in inserts {
        if redemption.holds_use && inserted.contains(&redemption.id) {
            taken.entry(redemption.invitation_id).or_default().reserved += 1;
        }
    }
    let taken: Vec<(Uuid, UsesChange)> = taken.into_iter().collect();
    let counted = repository.change_uses(&taken).await?;
    let noted = repository.insert_redemption_requests(requests, now).await?;
    let whole = inserted.len() == inserts.len()
        && counted == taken.len() as u64
        && noted == requests.len() as u64;
    if whole {
        Ok(())
    } else {
        Err(Error::conflict("another reservation was there first"))
    }
}
