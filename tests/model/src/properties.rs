//! The properties that must hold at every moment, each named by its rule.
//!
//! I8 is not checked, because the model has one organization.

use std::collections::BTreeSet;

use homeroom_invitations::domain::{invitation::Uses, redemption::RedemptionState};
use homeroom_membership::domain::join_request::State as RequestState;
use stateright::Property;

use crate::{
    configuration::{Configuration, Goal, Place},
    state::{RedemptionRow, State},
    steps::Protocol,
    words::{self, Word},
};

/// Seats held are the organization's Students, and no admission exceeds the limit.
pub const SEATS: &str = "I1 seats held are the students, never above the limit";
/// A person has one membership of each scope, and the members of a class are members of its
/// organization.
pub const MEMBERSHIPS: &str = "I2 one membership each, in the class only with the organization";
/// A person has one living redemption and one open request, a member has none.
pub const ONE_OPEN: &str =
    "P2, P8 one living redemption and one open request each, none for a member";
/// The counts of uses equal those of the rows and never exceed the limit.
pub const USES: &str = "I3 uses spent and held are those of the rows, never above the limit";
/// People let in by an invitation are never more than its uses. Nobody is let in without one, nor twice by one
/// redemption.
pub const LET_IN: &str = "I3 each use lets in at most one person, each redemption once";
/// An invitation counts one use for each person, however often the person comes.
pub const ONE_USE: &str = "P4 a person has one use of an invitation";
/// A redemption ends only on membership's answer, and in accordance with it.
pub const ITS_WORD: &str = "P1 a redemption ends as membership says";
/// No redemption leaves a final state.
pub const FORWARD: &str = "P1 a redemption only goes forward";
/// The workers can still settle everything from here, and the uses spent equal the people admitted.
pub const SETTLES: &str = "I4 every state can still settle";
/// Nothing below an answered fence is admitted or queued.
pub const FENCE: &str = "I5 nothing passes an answered fence";
/// Every request is accounted for and ends once.
pub const REQUESTS: &str = "I6 no request vanishes or is decided twice";
/// A retry gets the same answer.
pub const RETRIES: &str = "I7 a retry answers the same";

const GOALS_MAX: usize = 8;
type Condition = fn(&Protocol, &State) -> bool;
const GOALS: [(&str, Condition); GOALS_MAX] = [
    ("reaches its 1st goal", reached::<0>),
    ("reaches its 2nd goal", reached::<1>),
    ("reaches its 3rd goal", reached::<2>),
    ("reaches its 4th goal", reached::<3>),
    ("reaches its 5th goal", reached::<4>),
    ("reaches its 6th goal", reached::<5>),
    ("reaches its 7th goal", reached::<6>),
    ("reaches its 8th goal", reached::<7>),
];

/// Returns every property, including the goals of `configuration`, of which there are at most 8.
pub(crate) fn all(configuration: &Configuration) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always(SEATS, seats),
        Property::always(MEMBERSHIPS, memberships),
        Property::always(ONE_OPEN, one_open),
        Property::always(USES, uses),
        Property::always(LET_IN, let_in),
        Property::always(ONE_USE, one_use),
        Property::always(ITS_WORD, its_word),
        Property::always(FORWARD, |_, state: &State| !state.history.went_back),
        Property::always(SETTLES, settles),
        Property::always(FENCE, |_, state: &State| !state.history.passed_a_fence),
        Property::always(REQUESTS, requests),
        Property::always(RETRIES, retries),
    ];
    let goals = GOALS.iter().take(configuration.reaches.len());
    properties.extend(goals.map(|(name, reached)| Property::sometimes(name, *reached)));
    properties
}

fn seats(protocol: &Protocol, state: &State) -> bool {
    let persons = state.membership.persons.iter();
    let students: i64 = persons
        .map(|person| i64::from(person.memberships[Place::Organization as usize] > 0))
        .sum();
    let limit = protocol.configuration.seat_limit;
    !state.history.oversold
        && state.membership.seats_used == students
        && (limit == 0 || students <= limit)
}

fn memberships(_: &Protocol, state: &State) -> bool {
    let mut persons = state.membership.persons.iter();
    persons.all(|person| {
        let [organization, class] = person.memberships;
        organization <= 1 && class <= organization
    })
}

fn one_open(protocol: &Protocol, state: &State) -> bool {
    let rows = &state.invitations.redemptions;
    let ways_in = &protocol.configuration.ways_in;
    rows.iter().enumerate().all(|(index, row)| {
        let place = ways_in[row.invitation].place;
        let is_open = |redemption: usize| {
            state.membership.requests[redemption] == Some(RequestState::Pending)
        };
        let person = &state.membership.persons[row.user];
        let open_to_a_member = is_open(index) && person.memberships[place as usize] > 0;
        let earlier = rows.iter().take(index).enumerate();
        let mut twice = earlier.filter(|(other, before)| {
            let living = lives(row)
                && lives(before)
                && before.user == row.user
                && before.invitation == row.invitation
                && before.epoch == row.epoch;
            let open = is_open(index)
                && is_open(*other)
                && before.user == row.user
                && ways_in[before.invitation].place == place;
            living || open
        });
        !open_to_a_member && twice.next().is_none()
    })
}

/// Returns true if the redemption is living. One that waits without its own use is not: another one has taken the use
/// over, or it was spent before.
const fn lives(row: &RedemptionRow) -> bool {
    match row.state {
        RedemptionState::Reserved => true,
        RedemptionState::Queued => row.holds_use,
        _ => false,
    }
}

fn uses(protocol: &Protocol, state: &State) -> bool {
    let ways_in = protocol.configuration.ways_in.iter();
    let invitations = state.invitations.invitations.iter().enumerate();
    invitations
        .zip(ways_in)
        .all(|((index, invitation), way_in)| {
            let mut counted = Uses::default();
            for row in &state.invitations.redemptions {
                if row.invitation != index
                    || !row.holds_use
                    || row.epoch < invitation.uses_since_epoch
                {
                    continue;
                }
                match row.state {
                    RedemptionState::Reserved => counted.reserved += 1,
                    RedemptionState::Queued => counted.queued += 1,
                    RedemptionState::Committed => counted.used += 1,
                    RedemptionState::Released | RedemptionState::Refused => {}
                }
            }
            let within = way_in.max_uses.is_none_or(|max| counted.held() <= max);
            counted == invitation.uses && within
        })
}

fn let_in(protocol: &Protocol, state: &State) -> bool {
    let redemptions = &state.invitations.redemptions;
    let rows = redemptions.iter().zip(&state.history.let_in);
    let has_use = |row: &RedemptionRow| {
        redemptions.iter().any(|other| {
            let of_person = other.user == row.user && other.invitation == row.invitation;
            let over = [RedemptionState::Released, RedemptionState::Refused];
            of_person && other.holds_use && !over.contains(&other.state)
        })
    };
    let once = rows
        .clone()
        .all(|(row, times)| *times == 0 || (*times == 1 && has_use(row)));
    let ways_in = protocol.configuration.ways_in.iter();
    let invitations = state.invitations.invitations.iter().enumerate();
    let within = invitations
        .zip(ways_in)
        .all(|((index, invitation), way_in)| {
            let let_in = rows.clone().filter(|(row, times)| {
                let counted = row.epoch >= invitation.uses_since_epoch;
                row.invitation == index && counted && **times > 0
            });
            let people: BTreeSet<usize> = let_in.map(|(row, _)| row.user).collect();
            let people = u32::try_from(people.len());
            way_in
                .max_uses
                .is_none_or(|max| people.is_ok_and(|people| people <= max))
        });
    once && within
}

fn one_use(_: &Protocol, state: &State) -> bool {
    let held = |row: &&RedemptionRow| {
        let since = state.invitations.invitations[row.invitation].uses_since_epoch;
        let over = [RedemptionState::Released, RedemptionState::Refused];
        row.holds_use && row.epoch >= since && !over.contains(&row.state)
    };
    let mut seen = BTreeSet::new();
    let mut held = state.invitations.redemptions.iter().filter(held);
    held.all(|row| seen.insert((row.user, row.invitation, row.epoch)))
}

fn its_word(_: &Protocol, state: &State) -> bool {
    let rows = state.invitations.redemptions.iter().enumerate();
    rows.into_iter().all(|(index, row)| {
        let word = state.membership.admissions[index];
        let request = state.membership.requests[index];
        match row.state {
            RedemptionState::Reserved => true,
            RedemptionState::Queued => word == Some(Word::Queued),
            RedemptionState::Committed => {
                word == Some(Word::Admitted)
                    || (word == Some(Word::Queued) && request == Some(RequestState::Approved))
            }
            RedemptionState::Released => match word {
                Some(Word::AlreadyMember | Word::AlreadyPending | Word::StaleEpoch) => true,
                Some(Word::Queued) => !matches!(
                    request,
                    None | Some(RequestState::Pending | RequestState::Approved)
                ),
                Some(Word::Admitted | Word::Refused(_)) | None => false,
            },
            RedemptionState::Refused => matches!(word, Some(Word::Refused(_))),
        }
    })
}

/// Returns true if the state is settled: no fence is pending, no redemption is RESERVED, the QUEUED
/// redemptions are those whose requests wait, and the COMMITTED ones are the people admitted.
fn settles(protocol: &Protocol, state: &State) -> bool {
    let end = protocol.drive(state);
    let mut invitations = end.invitations.invitations.iter();
    let fences = invitations.all(|invitation| invitation.fence == invitation.epoch.value());
    let mut rows = end.invitations.redemptions.iter().enumerate();
    let settled = rows.all(|(index, row)| match row.state {
        RedemptionState::Reserved => false,
        RedemptionState::Queued => end.membership.requests[index] == Some(RequestState::Pending),
        RedemptionState::Committed => end.history.let_in[index] == 1,
        RedemptionState::Released | RedemptionState::Refused => end.history.let_in[index] == 0,
    });
    fences && settled && uses(protocol, &end) && seats(protocol, &end)
}

fn requests(_: &Protocol, state: &State) -> bool {
    let mut waiting = 0;
    let mut requests = state.membership.requests.iter().enumerate();
    let each = requests.all(|(index, request)| {
        let events = state.membership.events.iter();
        let ends = events
            .filter(|(redemption, _)| *redemption == index)
            .count();
        let queued = state.membership.admissions[index] == Some(Word::Queued);
        match request {
            None => !queued && ends == 0,
            Some(RequestState::Pending) => {
                waiting += 1;
                queued && ends == 0
            }
            Some(_) => queued && ends == 1,
        }
    });
    each && waiting == state.membership.seats_waiting
}

/// Returns true if a retry with the same request id would get the same answer, now or after
/// membership has answered again.
fn retries(_: &Protocol, state: &State) -> bool {
    let told = state.history.told.iter().enumerate();
    told.into_iter().all(|(call, told)| {
        let (Some(told), Some(redemption)) = (told, state.invitations.request_ids[call]) else {
            return true;
        };
        let stored = state.membership.admissions[redemption];
        let first = state.invitations.redemptions[redemption].outcome;
        first.or_else(|| stored.and_then(words::told)) == Some(*told)
    })
}

fn reached<const GOAL: usize>(protocol: &Protocol, state: &State) -> bool {
    let rows = &state.invitations.redemptions;
    match protocol.configuration.reaches[GOAL] {
        Goal::Answers(word) => state.membership.admissions.contains(&Some(word)),
        Goal::Ends(end) => state.membership.requests.contains(&Some(end)),
        Goal::WithoutUse => rows.iter().any(|row| !row.holds_use),
        Goal::HandedOver => rows
            .iter()
            .any(|row| row.state == RedemptionState::Queued && !row.holds_use),
        Goal::CameBack => {
            let mut let_in = rows.iter().zip(&state.history.let_in);
            let_in.any(|(row, times)| *times > 0 && !row.holds_use)
        }
        Goal::Attached => {
            let waiting = &state.memory.waiting;
            let mut calls = waiting.iter().enumerate();
            calls.any(|(call, waits)| waits.is_some() && waiting[..call].contains(waits))
        }
    }
}
