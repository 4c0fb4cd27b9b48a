//! Everything that differs between two moments: the rows of both databases, the network, what the
//! processes hold in memory, and what has happened that no row tells any more.

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
    /// Every reply that was ever sent, sorted. Nothing is taken out: it may arrive at any time, once,
    /// more often or never, and in any order.
    pub replies: Vec<Reply>,
    /// What a crash takes.
    pub memory: Memory,
    /// What has happened.
    pub history: History,
    /// Changes whose order matters later (R8): removals and resets.
    pub tick: u8,
}

/// A reply of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// To Admit or `GetAdmission`, one row of a batch by itself: a row that is missing from a reply is
    /// one that never arrives (P11).
    Admission {
        /// The redemption.
        redemption: usize,
        /// The answer, the same for ever.
        word: Word,
        /// How its request had ended by then; None while it waited.
        ended: Option<RequestState>,
    },
    /// To `RaiseFence`.
    Fence {
        /// The invitation.
        invitation: usize,
        /// Where its fence stood.
        stands: i64,
    },
}

/// The database of invitations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvitationsRows {
    /// By index of the way in.
    pub invitations: Vec<InvitationRow>,
    /// By age.
    pub redemptions: Vec<RedemptionRow>,
    /// By call: what its request id stands for (P9).
    pub request_ids: Vec<Option<usize>>,
    /// Events of membership's feed that have been followed.
    pub feed_position: usize,
}

/// An invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvitationRow {
    /// Raised by every change (P7).
    pub epoch: Epoch,
    /// Redemptions of older epochs hold no use of it.
    pub uses_since_epoch: Epoch,
    /// The fence that membership is known to have; below `epoch` it is pending.
    pub fence: i64,
    /// Whether it is in use.
    pub standing: Standing,
    /// The counts.
    pub uses: Uses,
    /// The tick of its secret (R8).
    pub issued: u8,
}

/// A redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RedemptionRow {
    /// Whom, by index.
    pub user: usize,
    /// By what, by index.
    pub invitation: usize,
    /// Of which epoch.
    pub epoch: Epoch,
    /// What was decided.
    pub route: Route,
    /// Whether it holds, or held, a use (P3).
    pub holds_use: bool,
    /// When the secret had been made that was used.
    pub issued: u8,
    /// Where it stands.
    pub state: RedemptionState,
    /// The first outcome (P9).
    pub outcome: Option<Told>,
}

/// The database of membership.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MembershipRows {
    /// By invitation: epochs below it are stale.
    pub fences: Vec<i64>,
    /// Seats held, as the organization's row counts them.
    pub seats_used: i64,
    /// Requests that wait, as the organization's row counts them.
    pub seats_waiting: i64,
    /// By user.
    pub persons: Vec<PersonRow>,
    /// By redemption: what it was answered (P1).
    pub admissions: Vec<Option<Word>>,
    /// By redemption: the request that it filed.
    pub requests: Vec<Option<RequestState>>,
    /// The feed, as far as it tells of ends: the redemption whose request ended, and how.
    pub events: Vec<(usize, RequestEnd)>,
}

/// What membership knows of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PersonRow {
    /// Memberships of the organization: 0 or 1.
    pub in_organization: u8,
    /// Memberships of the class: 0 or 1.
    pub in_class: u8,
    /// The tick at which staff removed the person from the organization.
    pub removed_from_organization: Option<u8>,
    /// The tick at which staff removed the person from the class.
    pub removed_from_class: Option<u8>,
    /// A request for the organization was denied within 24 hours (R9).
    pub denied_at_organization: bool,
    /// A request for the class was denied within 24 hours (R9).
    pub denied_at_class: bool,
}

impl PersonRow {
    /// Memberships of `place`.
    #[must_use]
    pub const fn memberships(&self, place: Place) -> u8 {
        match place {
            Place::Organization => self.in_organization,
            Place::Class => self.in_class,
        }
    }

    /// Whether a request for `place` was denied within 24 hours.
    #[must_use]
    pub const fn denied_at(&self, place: Place) -> bool {
        match place {
            Place::Organization => self.denied_at_organization,
            Place::Class => self.denied_at_class,
        }
    }
}

/// What a crash takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    /// By call: the redemption that its task waits for.
    pub waiting: Vec<Option<usize>>,
    /// By call: what was judged and not yet inserted (variants only).
    pub judged: Vec<Option<Route>>,
    /// The redemption that was decided and not yet written (variants only).
    pub decided: Option<(usize, Plan)>,
}

/// What has happened, kept only to be judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct History {
    /// By call: what its caller was told, first.
    pub told: Vec<Option<Told>>,
    /// By invitation: the epoch of the newest change that was answered.
    pub answered_epochs: Vec<i64>,
    /// By redemption: how often it made its person a member, at once or by approval.
    pub let_in: Vec<u8>,
    /// A redemption below an answered fence was let in or queued.
    pub passed_a_fence: bool,
    /// A redemption left a state that is final.
    pub went_back: bool,
    /// More seats were held than licensed, at an admission.
    pub oversold: bool,
    /// What is left of the bounds of the configuration.
    pub changes_left: u8,
    /// The same, for members who go.
    pub departures_left: u8,
    /// The same, for events that are skipped.
    pub poisoned_left: u8,
}

impl State {
    /// Before anything has happened.
    #[must_use]
    pub fn first(configuration: &Configuration) -> Self {
        let invitations = configuration.ways_in.len();
        let calls = configuration.calls.len();
        let invitation = InvitationRow {
            epoch: Epoch::FIRST,
            uses_since_epoch: Epoch::FIRST,
            fence: Epoch::FIRST.value(),
            standing: Standing::On,
            uses: Uses::default(),
            issued: 1,
        };
        Self {
            invitations: InvitationsRows {
                invitations: vec![invitation; invitations],
                redemptions: Vec::new(),
                request_ids: vec![None; calls],
                feed_position: 0,
            },
            membership: MembershipRows {
                fences: vec![Epoch::FIRST.value(); invitations],
                seats_used: 0,
                seats_waiting: 0,
                persons: vec![PersonRow::default(); configuration.users],
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

    /// A reply is on its way from now on.
    pub fn send(&mut self, reply: Reply) {
        if let Err(place) = self.replies.binary_search(&reply) {
            self.replies.insert(place, reply);
        }
    }

    /// The organization's seats, as its row has them.
    #[must_use]
    pub const fn seats(&self, limit: i64) -> Seats {
        Seats {
            limit,
            used: self.membership.seats_used,
            waiting: self.membership.seats_waiting,
        }
    }

    /// The request of `user` that waits for `place`, by its redemption.
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

    /// Everything in memory is lost.
    pub fn crash_invitations(&mut self) {
        self.memory.waiting.fill(None);
        self.memory.judged.fill(None);
    }

    /// The same of membership.
    pub const fn crash_membership(&mut self) {
        self.memory.decided = None;
    }
}
