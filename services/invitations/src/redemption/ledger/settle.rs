//! T3, and the ends of join requests (P5): redemptions, with their uses, move forward on membership's word. No other
//! code changes a state.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::ids::SYSTEM_ACTOR;
use homeroom_kit::{
    failpoints::{WrongVariant, is_wrong},
    outbox::NewEvent,
    random::Randomness,
};
use uuid::Uuid;

use super::ReadAt;
use crate::{
    domain::{
        earlier_redemptions::use_goes_to,
        invitation::Epoch,
        redemption::{
            MembershipAnswer, Outcome, RedemptionState, RequestEnd, follow, settle as settled,
        },
    },
    membership::Admission,
    store::{
        Error, Redemption, Repository, Result, StateChange, UseKey, UsesChange, organizations_of,
    },
};

/// The time for which a queued redemption is left to the feed before the sweep asks about it, in minutes (P5).
pub const SWEEP_AFTER_MINUTES: i64 = 60;

/// A reply of membership about a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipReply {
    /// The answer of membership (T2); it moves only a RESERVED redemption.
    Answer(MembershipAnswer),
    /// The end of the redemption's request; it moves RESERVED and QUEUED redemptions alike.
    End(RequestEnd),
}

impl MembershipReply {
    fn apply(self, state: RedemptionState) -> RedemptionState {
        match self {
            // Deliberately wrong: T3 treats every redemption as RESERVED.
            Self::Answer(answer) if is_wrong(WrongVariant::SettleOverwrites) => {
                settled(RedemptionState::Reserved, answer)
            }
            Self::Answer(answer) => settled(state, answer),
            Self::End(end) => follow(state, end),
        }
    }

    /// Returns the outcome that the caller was told, or would have been: a request that ended had been queued.
    fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Answer(answer) => Outcome::of(answer),
            Self::End(_) => Some(Outcome::PendingApproval),
        }
    }
}

/// A redemption to settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The redemption as it was read: only its immutable fields are used.
    pub redemption: Redemption,
    /// The replies of membership, in their order.
    pub replies: Vec<MembershipReply>,
    /// The resource name of the join request; empty if unknown.
    pub join_request: String,
    /// The actor of the events: a user id or `system`.
    pub actor: String,
}

impl Settlement {
    /// Returns the settlement that an admission leads to.
    #[must_use]
    pub fn of(redemption: &Redemption, admission: &Admission, actor: &str) -> Self {
        let mut replies = vec![MembershipReply::Answer(admission.answer)];
        // The end of another redemption's request is not the end of this one.
        if admission.answer == MembershipAnswer::Queued {
            replies.extend(admission.request_end.map(MembershipReply::End));
        }
        Self {
            redemption: redemption.clone(),
            replies,
            join_request: admission
                .join_request
                .as_ref()
                .map(|request| request.name.clone())
                .unwrap_or_default(),
            actor: actor.to_owned(),
        }
    }

    /// Returns the settlement of a redemption that is released without membership's word. Only the wrong variant
    /// [`WrongVariant::ReleaseOnTimeout`] uses it.
    pub(in crate::redemption) fn given_up(redemption: &Redemption) -> Self {
        Self {
            redemption: redemption.clone(),
            replies: vec![MembershipReply::Answer(MembershipAnswer::StaleEpoch)],
            join_request: String::new(),
            actor: SYSTEM_ACTOR.to_owned(),
        }
    }
}

/// Moves the redemptions that still can move, with their uses and one event each, in the transaction of `repository`,
/// which the caller commits. Returns the ids of those that moved.
pub(in crate::redemption) async fn settle(
    repository: &mut Repository,
    settlements: &[Settlement],
    read_at: ReadAt,
    now: DateTime<Utc>,
    random: &dyn Randomness,
) -> Result<Vec<Uuid>> {
    if settlements.is_empty() {
        return Ok(Vec::new());
    }
    let redemptions = settlements.iter().map(|settlement| &settlement.redemption);
    let organizations = organizations_of(redemptions.clone());
    // A redemption that waits may have handed its use over since it was read, or got it back.
    let held = redemptions
        .clone()
        .filter(|redemption| redemption.holds_use || redemption.state == RedemptionState::Queued);
    let mut invitations: Vec<Uuid> = held.map(|redemption| redemption.invitation_id).collect();
    invitations.sort_unstable();
    invitations.dedup();
    let counted_from = repository
        .lock_for_settlement(&organizations, &invitations, now)
        .await?;
    // Every transaction that moves a redemption holds its organization's lock: the state read now stays.
    let current = match read_at {
        ReadAt::BeforeLocks => redemptions.cloned().collect(),
        ReadAt::UnderLocks => {
            let ids: Vec<Uuid> = redemptions.map(|redemption| redemption.id).collect();
            repository.get_redemptions(&ids).await?
        }
    };
    let mut current: HashMap<Uuid, Redemption> = current
        .into_iter()
        .map(|redemption| (redemption.id, redemption))
        .collect();

    let mut steps: Vec<Move> = Vec::new();
    for settlement in settlements {
        let Some(redemption) = current.get_mut(&settlement.redemption.id) else {
            continue;
        };
        let step = Move::of(settlement, redemption, now);
        if step.change.from != step.change.to {
            redemption.state = step.change.to;
            redemption.outcome = redemption.outcome.or(step.change.outcome);
            match steps
                .iter_mut()
                .find(|earlier| earlier.change.id == step.change.id)
            {
                Some(moved) => moved.change.to = step.change.to,
                None => steps.push(step),
            }
        }
    }
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let changes: Vec<StateChange> = steps.iter().map(|step| step.change.clone()).collect();
    let handed_back = handed_back(repository, &steps, now).await?;
    let uses = uses_of(&steps, &handed_back, &counted_from);
    let written = repository.write_settlements(&changes, &uses, now).await?;
    let people = written.ok_or_else(|| Error::conflict("a redemption was settled meanwhile"))?;
    let ids: Vec<Uuid> = handed_back.iter().map(|other| other.id).collect();
    if !ids.is_empty() && !repository.hand_uses(&ids, true).await? {
        return Err(Error::conflict("a use was handed on meanwhile"));
    }
    for moved in &mut steps {
        // A person who has been erased since (R13) is not named again.
        if let Some(user) = people.get(&moved.change.id)
            && *user != moved.redemption.person.user
        {
            if moved.actor == moved.redemption.person.user.as_str() {
                moved.actor = user.to_string();
            }
            moved.redemption.person.user = user.clone();
        }
    }
    let events: Vec<NewEvent> = steps.iter().filter_map(Move::event).collect();
    if !events.is_empty() {
        repository.outbox().append(&events, now, random).await?;
    }
    Ok(changes.iter().map(|change| change.id).collect())
}

/// Returns the redemptions that get uses back, in their new state. No uses are handed over while the invitations are
/// locked.
async fn handed_back(
    repository: &mut Repository,
    moves: &[Move],
    now: DateTime<Utc>,
) -> Result<Vec<Redemption>> {
    let given_up = moves.iter().filter(|moved| moved.gives_use_up());
    let given_up: Vec<&Redemption> = given_up.map(|moved| &moved.redemption).collect();
    if given_up.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<UseKey> = given_up.iter().map(|one| one.use_key()).collect();
    let (_, mut earlier) = repository.standing(&[], &keys, now).await?;
    for redemption in &mut earlier {
        if let Some(moved) = moves.iter().find(|moved| moved.change.id == redemption.id) {
            redemption.state = moved.change.to;
        }
    }
    let gets_it_back = |given_up: &Redemption| {
        let key = given_up.use_key();
        let of_person = earlier.iter().filter(|other| other.use_key() == key);
        let of_person: Vec<_> = of_person.map(Redemption::earlier).collect();
        use_goes_to(&of_person, given_up.epoch).cloned()
    };
    Ok(given_up.into_iter().filter_map(gets_it_back).collect())
}

/// One redemption's move from its current state to the one that membership's word leads to.
struct Move {
    change: StateChange,
    redemption: Redemption,
    actor: String,
}

impl Move {
    fn of(settlement: &Settlement, redemption: &Redemption, now: DateTime<Utc>) -> Self {
        let mut state = redemption.state;
        let mut outcome = redemption.outcome;
        for reply in &settlement.replies {
            let next = reply.apply(state);
            if next != state {
                state = next;
                outcome = outcome.or(reply.outcome());
            }
        }
        Self {
            change: StateChange {
                id: redemption.id,
                from: redemption.state,
                to: state,
                holds_use: redemption.holds_use,
                outcome,
                join_request: settlement.join_request.clone(),
                next_try_time: now + TimeDelta::minutes(SWEEP_AFTER_MINUTES),
            },
            redemption: redemption.clone(),
            actor: settlement.actor.clone(),
        }
    }

    fn gives_use_up(&self) -> bool {
        let over = [RedemptionState::Released, RedemptionState::Refused];
        self.redemption.holds_use && over.contains(&self.change.to)
    }

    fn event(&self) -> Option<NewEvent> {
        let event_type = match self.change.to {
            RedemptionState::Reserved => return None,
            RedemptionState::Queued => "redemption.queued",
            RedemptionState::Committed => "redemption.committed",
            RedemptionState::Released => "redemption.released",
            RedemptionState::Refused => "redemption.refused",
        };
        let redemption = &self.redemption;
        let mut data = BTreeMap::from([
            ("invitation".to_owned(), redemption.invitation.clone()),
            ("user".to_owned(), redemption.person.user.to_string()),
        ]);
        if let Some(Outcome::Refused(reason)) = self.change.outcome {
            data.insert("refuse_reason".to_owned(), reason.as_str_name().to_owned());
        }
        if !self.change.join_request.is_empty() {
            data.insert("join_request".to_owned(), self.change.join_request.clone());
        }
        let (place, subject) = (&redemption.place, redemption.name().to_string());
        Some(NewEvent::new(event_type, place, subject, &self.actor, data))
    }
}

/// Returns the changes of the counts by the moves and by the uses that others get back. Uses of an epoch that is no
/// longer counted change nothing (P4).
fn uses_of(
    moves: &[Move],
    handed_back: &[Redemption],
    counted_from: &HashMap<Uuid, Epoch>,
) -> Vec<(Uuid, UsesChange)> {
    let mut uses: HashMap<Uuid, UsesChange> = HashMap::new();
    let mut count = |redemption: &Redemption, state, by| {
        let counted = counted_from
            .get(&redemption.invitation_id)
            .is_some_and(|since| redemption.epoch >= *since);
        if counted {
            let change = uses.entry(redemption.invitation_id).or_default();
            add(change, state, by);
        }
    };
    for moved in moves.iter().filter(|moved| moved.redemption.holds_use) {
        count(&moved.redemption, moved.change.from, -1);
        count(&moved.redemption, moved.change.to, 1);
    }
    for other in handed_back {
        count(other, other.state, 1);
    }
    uses.into_iter().collect()
}

fn add(change: &mut UsesChange, state: RedemptionState, count: i64) {
    match state {
        RedemptionState::Reserved => change.reserved += count,
        RedemptionState::Queued => change.queued += count,
        RedemptionState::Committed => change.committed += count,
        RedemptionState::Released | RedemptionState::Refused => {}
    }
}
