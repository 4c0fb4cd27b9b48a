//! The configuration of one search: who redeems which invitation, which other changes may happen
//! and how often, and which rule is left out.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::{ClassName, Place as PlaceName},
};
use homeroom_invitations::domain::{
    decide::Facts,
    invitation::{Epoch, Invitation, InvitationKind, Standing, Uses},
};
use homeroom_membership::domain::{
    join_request::{Cause, JoinRequest, State as RequestState},
    member::{Method, Particulars},
};
use uuid::Uuid;

use crate::words::Word;

/// The scope that an invitation admits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The organization only.
    Organization,
    /// Its one class, and thereby the organization.
    Class,
}

/// An invitation of the search.
#[derive(Debug, Clone, Copy)]
pub struct WayIn {
    /// The kind of invitation.
    pub kind: InvitationKind,
    /// The scope that it admits to.
    pub place: Place,
    /// The number of people that it admits; `None` means unlimited.
    pub max_uses: Option<u32>,
    /// True if the guard against guessing is closed, so that short credentials queue.
    pub guess_guarded: bool,
}

impl WayIn {
    const fn new(kind: InvitationKind, place: Place, max_uses: Option<u32>) -> Self {
        Self {
            kind,
            place,
            max_uses,
            guess_guarded: false,
        }
    }

    /// Returns a class token, which admits at once, with `uses` uses.
    #[must_use]
    pub const fn token(uses: u32) -> Self {
        Self::new(InvitationKind::ClassToken, Place::Class, Some(uses))
    }

    /// Returns the same token while the guard against guessing is closed: it queues, and the queued
    /// redemption holds its use.
    #[must_use]
    pub const fn guarded_token(uses: u32) -> Self {
        Self {
            guess_guarded: true,
            ..Self::token(uses)
        }
    }

    /// Returns the class's join URL, which always queues and has no uses to count.
    #[must_use]
    pub const fn join_url() -> Self {
        Self::new(InvitationKind::JoinUrl, Place::Class, None)
    }

    /// Returns the organization's token, which is unlimited.
    #[must_use]
    pub const fn organization_token() -> Self {
        let kind = InvitationKind::OrganizationToken;
        Self::new(kind, Place::Organization, None)
    }
}

/// A change that staff make to an invitation (P7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Makes a new secret; uses start again at zero.
    Reset,
    /// Switches the invitation off.
    Off,
    /// Switches the invitation on, without a new epoch.
    On,
    /// Revokes the invitation for good.
    Revoke,
    /// Makes an invitation that led to the queue admit at once: nobody guesses any more, or a code is unlocked.
    Admit,
    /// Makes the invitation admit at once even a person whom staff removed.
    AllowRejoin,
}

/// A way in which a person stops being a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Departure {
    /// The scope that the person leaves.
    pub from: Place,
    /// True if staff removed the person (R8), false if the person left.
    pub by_staff: bool,
}

/// The protocol rule that a wrong variant leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// No rule is left out: the protocol as it is.
    Right,
    /// P1: a reservation's use is given back when a time limit passes.
    ReleaseOnTimeout,
    /// P1: T2 does not look for the answer that it gave before.
    NoKeyOnAdmissions,
    /// P7: a reset is answered without a fence.
    NoFence,
    /// P7: a late `RaiseFence` lowers the fence.
    FenceCanFall,
    /// P4: T1 checks the uses, then inserts on the strength of that check.
    UsesCheckedThenTaken,
    /// P6: T2 decides, then writes the decision in a later transaction.
    SeatsCheckedThenTaken,
    /// P11: a batch decides every item by the state before the batch.
    BatchDecidesAtOnce,
    /// T3 overwrites a row in any state.
    SettleOverwrites,
    /// P8: an admission leaves the person's request open.
    AdmissionClosesNothing,
    /// P13: no worker asks again about a redemption that stayed RESERVED.
    NoRecovery,
    /// P5: no worker asks about a redemption that stayed QUEUED.
    NoSweep,
    /// P2: a use that was taken over does not come back if its taker fails.
    TakenForGood,
    /// P2: a person who would be let in by now begins a second redemption beside the one that waits.
    WaitingIsBypassed,
    /// P4: a person who comes back takes another use each time.
    UsesByVisit,
}

/// A situation that a search must reach; a search that misses it proves too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Membership gives this answer.
    Answers(Word),
    /// A request ends in this state.
    Ends(RequestState),
    /// A redemption without a use is under way (P3).
    WithoutUse,
    /// A second call has attached to a living redemption (P2).
    Attached,
    /// A redemption waits, and another one has taken its use over (P2).
    HandedOver,
    /// Somebody was let in twice by one invitation, on one use (P4).
    CameBack,
}

/// The configuration of one search. Every bound here is a count.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The licensed seats; 0 means no limit.
    pub seat_limit: i64,
    /// The invitations.
    pub ways_in: Vec<WayIn>,
    /// The calls, each retried until it is answered: the user's and the invitation's index.
    pub calls: Vec<(usize, usize)>,
    /// True if the calls carry request ids (P9).
    pub request_ids: bool,
    /// The most redemptions; a call whose answer was lost may begin again.
    pub redemptions_max: usize,
    /// The changes that staff may make to the first invitation, and how many of them.
    pub changes: (Vec<Change>, u8),
    /// The ways in which a waiting request may end, by itself or by a decision.
    pub ends: Vec<RequestState>,
    /// The ways in which members may leave, and how many of them.
    pub departures: (Vec<Departure>, u8),
    /// True if redemptions are also sent two at a time, in any grouping (P11).
    pub batches: bool,
    /// The most events that cannot be followed and are skipped.
    pub poisoned_events_max: u8,
    /// The goals that must be reached.
    pub reaches: Vec<Goal>,
    /// The rule that is left out.
    pub variant: Variant,
}

impl Configuration {
    /// Returns a configuration with one seat, in which only calls happen.
    #[must_use]
    pub fn new(ways_in: &[WayIn], calls: &[(usize, usize)]) -> Self {
        Self {
            seat_limit: 1,
            ways_in: ways_in.to_vec(),
            calls: calls.to_vec(),
            request_ids: true,
            redemptions_max: calls.len(),
            changes: (Vec::new(), 0),
            ends: Vec::new(),
            departures: (Vec::new(), 0),
            batches: false,
            poisoned_events_max: 0,
            reaches: Vec::new(),
            variant: Variant::Right,
        }
    }

    /// Returns the number of users.
    #[must_use]
    pub fn users(&self) -> usize {
        let users = self.calls.iter().map(|(user, _)| user + 1);
        users.max().unwrap_or(0)
    }
}

/// The values that are passed to the services' functions, made once.
#[derive(Debug, Clone)]
pub struct Values {
    /// One unused invitation for each entry of `ways_in`.
    pub invitations: Vec<Invitation>,
    /// The attempt of a call.
    pub attempt: Facts,
    /// A request that waits.
    pub request: JoinRequest,
    /// The user who decides requests.
    pub decider: UserId,
}

/// Returns the time of change number `tick`, for changes whose order matters later.
#[must_use]
pub fn moment(tick: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::from(tick))
}

impl Values {
    /// Returns the values of `configuration`.
    #[must_use]
    pub fn of(configuration: &Configuration) -> Self {
        let organization = OrganizationId::parse("hamilton").unwrap();
        let class = PlaceName::Class(ClassName {
            organization: organization.clone(),
            class: ClassId::parse("biology").unwrap(),
        });
        let place = |place| match place {
            Place::Organization => PlaceName::Organization(organization.clone()),
            Place::Class => class.clone(),
        };
        let decider = UserId::parse("teacher").unwrap();
        let ways_in = configuration.ways_in.iter();
        Self {
            invitations: ways_in
                .map(|way_in| invitation(way_in, place(way_in.place)))
                .collect(),
            attempt: Facts {
                user: UserId::parse("student").unwrap(),
                email: None,
                email_malformed: false,
                email_verified: false,
                external_id: None,
                vouched: false,
                sign_up: false,
                guess_guarded: false,
                has_use: false,
                known: false,
            },
            request: request(class.clone(), decider.clone()),
            decider,
        }
    }
}

fn invitation(way_in: &WayIn, place: PlaceName) -> Invitation {
    Invitation {
        id: Uuid::nil(),
        kind: way_in.kind,
        place,
        epoch: Epoch::FIRST,
        standing: Standing::On,
        valid_from: None,
        valid_till: None,
        max_uses: way_in.max_uses,
        uses: Uses::default(),
        assigned_email: None,
        external_id: None,
        email_domains: Vec::new(),
        lock: None,
        issue_time: moment(0),
        allow_rejoin: false,
    }
}

fn request(place: PlaceName, user: UserId) -> JoinRequest {
    JoinRequest {
        place,
        id: Uuid::nil(),
        user,
        particulars: Particulars::default(),
        state: RequestState::Pending,
        cause: Cause::JoinUrl,
        invitation: String::new(),
        redemption: String::new(),
        method: Method::Invitation(InvitationKind::JoinUrl),
        decide_note: String::new(),
        decided_by: String::new(),
        create_time: moment(0),
        decide_time: None,
        expire_time: JoinRequest::expiry(moment(0)),
    }
}
