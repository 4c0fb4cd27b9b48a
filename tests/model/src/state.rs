//! Everything that differs between two moments: the rows of both databases, the network, the memory
//! of the processes, and the history that no row records.

use homeroom_invitations::domain::{
    invitation::{Epoch, Standing, Uses},
    redemption::{RedemptionState, RequestEnd},
};
use homeroom_membership::domain::{join_request::State as RequestState, seat::Seats};

use crate::{
    configuration::{Configuration, Place},
    words::{Plan, Route, Told, Word},
};

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The database of invitations.
    pub invitations: InvitationsRows,
    /// The database of membership.
    pub membership: MembershipRows,
    /// Every reply that was ever sent, sorted. None is removed: a reply may arrive at any time,
    /// once, repeatedly or never, and in any order.
    pub replies: Vec<Reply>,
    /// The memory that a crash clears.
    pub memory: Memory,
    /// The history of the run.
    pub history: History,
    /// The number of changes so far whose order matters later (R8): removals and resets.
    pub tick: u8,
}

/// A reply of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// The reply to Admit or `GetAdmission`. Each row of a batch is its own reply: a row that is
    /// missing from a batch is a reply that never arrives (P11).
    Admission {
        /// The redemption.
        redemption: usize,
        /// The answer, which never changes.
        word: Word,
        /// The end of its request at that time; `None` while it waited.
        ended: Option<RequestState>,
    },
    /// The reply to `RaiseFence`.
    Fence {
        /// The invitation.
        invitation: usize,
        /// The fence in membership at that time.
        stands: i64,
    },
}

/// The database of invitations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvitationsRows {
    /// The invitations, by index.
    pub invitations: Vec<InvitationRow>,
    /// The redemptions, oldest first.
    pub redemptions: Vec<RedemptionRow>,
    /// By call, the redemption that its request id stands for (P9).
    pub request_ids: Vec<Option<usize>>,
    /// The number of events of membership's feed that have been followed.
    pub feed_position: usize,
}

/// An invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvitationRow {
    /// The epoch, which every change raises (P7).
    pub epoch: Epoch,
    /// Redemptions of older epochs hold no use of it.
    pub uses_since_epoch: Epoch,
    /// The fence that membership is known to have; while it is below `epoch`, the fence is pending.
    pub fence: i64,
    /// The lifecycle state.
    pub standing: Standing,
    /// The counts of uses.
    pub uses: Uses,
    /// The tick at which its secret was made (R8).
    pub issued: u8,
    /// True if somebody is guessing, so that short credentials queue.
    pub guess_guarded: bool,
    /// True if the invitation admits at once even a person whom staff removed.
    pub allow_rejoin: bool,
}

/// A redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RedemptionRow {
    /// The user's index.
    pub user: usize,
    /// The invitation's index.
    pub invitation: usize,
    /// The invitation's epoch at T1.
    pub epoch: Epoch,
    /// The route that was decided.
    pub route: Route,
    /// True if it holds, or held, a use (P3).
    pub holds_use: bool,
    /// The tick at which the redeemed secret was made.
    pub issued: u8,
    /// True if it was to admit at once even a person whom staff removed.
    pub allow_rejoin: bool,
    /// The state of the redemption.
    pub state: RedemptionState,
    /// The first outcome (P9).
    pub outcome: Option<Told>,
}

/// The database of membership.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MembershipRows {
    /// By invitation, the fence: epochs below it are stale.
    pub fences: Vec<i64>,
    /// The seats in use, as the organization's row counts them.
    pub seats_used: i64,
    /// The waiting requests, as the organization's row counts them.
    pub seats_waiting: i64,
    /// The people, by user.
    pub persons: Vec<PersonRow>,
    /// By redemption, the stored answer (P1).
    pub admissions: Vec<Option<Word>>,
    /// By redemption, the request that it filed.
    pub requests: Vec<Option<RequestState>>,
    /// The events of the feed about ends of requests: the redemption and the end.
    pub events: Vec<(usize, RequestEnd)>,
}

/// Membership's data on a person, each by [`Place`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PersonRow {
    /// The number of memberships: 0 or 1.
    pub memberships: [u8; 2],
    /// The tick at which staff removed the person.
    pub removed: [Option<u8>; 2],
    /// True if a request was denied within 24 hours (R9).
    pub denied: [bool; 2],
}

/// The memory that a crash clears.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    /// By call, the redemption that its task waits for.
    pub waiting: Vec<Option<usize>>,
    /// By call, the decision that is not yet inserted (variants only).
    pub judged: Vec<Option<Route>>,
    /// The decision on a redemption that is not yet written (variants only).
    pub decided: Option<(usize, Plan)>,
}

/// The history, which only the properties read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct History {
    /// By call, the first answer that its caller got.
    pub told: Vec<Option<Told>>,
    /// By invitation, the epoch of the newest change that was answered.
    pub answered_epochs: Vec<i64>,
    /// By redemption, how often it made its person a member, at once or by approval.
    pub let_in: Vec<u8>,
    /// True if a redemption below an answered fence was admitted or queued.
    pub passed_a_fence: bool,
    /// True if a redemption left a final state.
    pub went_back: bool,
    /// True if an admission found more seats in use than licensed.
    pub oversold: bool,
    /// The number of changes that the configuration still allows.
    pub changes_left: u8,
    /// The number of departures that it still allows.
    pub departures_left: u8,
    /// The number of skipped events that it still allows.
    pub poisoned_left: u8,
}

impl State {
    /// Returns the state before anything has happened.
    #[must_use]
    pub fn first(configuration: &Configuration) -> Self {
        let ways_in = configuration.ways_in.iter();
        let invitations = configuration.ways_in.len();
        let calls = configuration.calls.len();
        let invitation = |guess_guarded| InvitationRow {
            epoch: Epoch::FIRST,
            uses_since_epoch: Epoch::FIRST,
            fence: Epoch::FIRST.value(),
            standing: Standing::On,
            uses: Uses::default(),
            issued: 1,
            guess_guarded,
            allow_rejoin: false,
        };
        Self {
            invitations: InvitationsRows {
                invitations: ways_in
                    .map(|way_in| invitation(way_in.guess_guarded))
                    .collect(),
                redemptions: Vec::new(),
                request_ids: vec![None; calls],
                feed_position: 0,
            },
            membership: MembershipRows {
                fences: vec![Epoch::FIRST.value(); invitations],
                seats_used: 0,
                seats_waiting: 0,
                persons: vec![PersonRow::default(); configuration.users()],
                admissions: Vec::new(),
                requests: Vec::new(),
                events: Vec::new(),
            },
            replies: Vec::new(),
            memory: Memory {
                waiting: vec![None; calls],
                judged: vec![None; calls],
                decided: None,
            },
            history: History {
                told: vec![None; calls],
                answered_epochs: vec![Epoch::FIRST.value(); invitations],
                let_in: Vec::new(),
                passed_a_fence: false,
                went_back: false,
                oversold: false,
                changes_left: configuration.changes.1,
                departures_left: configuration.departures.1,
                poisoned_left: configuration.poisoned_events_max,
            },
            tick: 1,
        }
    }

    /// Sends a reply, which may arrive at any time from now on.
    pub fn send(&mut self, reply: Reply) {
        if let Err(place) = self.replies.binary_search(&reply) {
            self.replies.insert(place, reply);
        }
    }

    /// Returns the organization's seats, as its row has them.
    #[must_use]
    pub const fn seats(&self, limit: i64) -> Seats {
        Seats {
            limit,
            used: self.membership.seats_used,
            waiting: self.membership.seats_waiting,
        }
    }

    /// Returns the request of `user` that waits for `place`, by its redemption.
    #[must_use]
    pub fn waiting_request(
        &self,
        configuration: &Configuration,
        user: usize,
        place: Place,
    ) -> Option<usize> {
        let requests = self.membership.requests.iter().enumerate();
        let mut waiting = requests.filter(|(_, state)| **state == Some(RequestState::Pending));
        waiting
            .find(|(redemption, _)| {
                let row = &self.invitations.redemptions[*redemption];
                row.user == user && configuration.ways_in[row.invitation].place == place
            })
            .map(|(redemption, _)| redemption)
    }

    /// Clears the memory of the invitations service.
    pub fn crash_invitations(&mut self) {
        self.memory.waiting.fill(None);
        self.memory.judged.fill(None);
    }

    /// Clears the memory of the membership service.
    pub const fn crash_membership(&mut self) {
        self.memory.decided = None;
    }
}
