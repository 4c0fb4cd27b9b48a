//! What one search is about: who redeems what, what else may happen and how often, and which rule is
//! left out.

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

/// Where an invitation leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Into the organization only.
    Organization,
    /// Into its one class, and thereby the organization.
    Class,
}

/// One way in.
#[derive(Debug, Clone, Copy)]
pub struct WayIn {
    /// Which.
    pub kind: InvitationKind,
    /// Where it leads.
    pub place: Place,
    /// How many it admits; None: unlimited.
    pub max_uses: Option<u32>,
    /// Somebody is guessing: what is short queues.
    pub guess_guarded: bool,
}

impl WayIn {
    /// A class token, which admits at once, with so many uses.
    #[must_use]
    pub const fn token(uses: u32) -> Self {
        Self {
            kind: InvitationKind::ClassToken,
            place: Place::Class,
            max_uses: Some(uses),
            guess_guarded: false,
        }
    }

    /// The same while somebody guesses: it queues, and its use is held meanwhile.
    #[must_use]
    pub const fn guarded_token(uses: u32) -> Self {
        Self {
            guess_guarded: true,
            ..Self::token(uses)
        }
    }

    /// The class's join URL, which always queues and has no uses to count.
    #[must_use]
    pub const fn join_url() -> Self {
        Self {
            kind: InvitationKind::JoinUrl,
            place: Place::Class,
            max_uses: None,
            guess_guarded: false,
        }
    }

    /// The organization's token, unlimited.
    #[must_use]
    pub const fn organization_token() -> Self {
        Self {
            kind: InvitationKind::OrganizationToken,
            place: Place::Organization,
            max_uses: None,
            guess_guarded: false,
        }
    }
}

/// One person's use of one invitation, retried until it is answered.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Who, by index.
    pub user: usize,
    /// What, by index.
    pub invitation: usize,
    /// With a request id (P9).
    pub has_request_id: bool,
}

impl Call {
    /// With a request id.
    #[must_use]
    pub const fn new(user: usize, invitation: usize) -> Self {
        Self {
            user,
            invitation,
            has_request_id: true,
        }
    }
}

/// What staff do to an invitation (P7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// A new secret, uses from zero.
    Reset,
    /// The switch to off.
    Off,
    /// The switch to on: no new epoch.
    On,
    /// Its end.
    Revoke,
}

/// How a person stops being a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Departure {
    /// Of what.
    pub from: Place,
    /// Staff did it (R8), or the person left.
    pub by_staff: bool,
}

/// The rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// None: the protocol as it is.
    Right,
    /// P1: a reservation's use is given back because time ran out.
    ReleaseOnTimeout,
    /// P1: T2 does not look for what it answered before.
    NoKeyOnAdmissions,
    /// P7: a reset is answered without a fence.
    NoFence,
    /// P7: a late `RaiseFence` lowers the fence.
    FenceCanFall,
    /// P4: T1 judges, then inserts by what it judged.
    UsesCheckedThenTaken,
    /// P6: T2 decides, then writes what it decided.
    SeatsCheckedThenTaken,
    /// P11: a batch decides all by what was there before it.
    BatchDecidesAtOnce,
    /// T3 moves whatever it finds.
    SettleOverwrites,
    /// P8: an admission leaves the person's request open.
    AdmissionClosesNothing,
    /// P13: nobody asks again about what stayed RESERVED.
    NoRecovery,
    /// P5: nobody asks about what stayed QUEUED.
    NoSweep,
}

/// Something that a search must come across, or it shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Membership answers so.
    Answers(Word),
    /// A request ends so.
    Ends(RequestState),
    /// A redemption without a use is under way (P3).
    WithoutUse,
    /// A second call has attached to a living redemption (P2).
    Attached,
}

/// One search. Every bound here is a count.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Its name in what is printed.
    pub name: &'static str,
    /// Licensed seats; 0: no limit.
    pub seat_limit: i64,
    /// Persons.
    pub users: usize,
    /// The ways in.
    pub ways_in: Vec<WayIn>,
    /// The calls.
    pub calls: Vec<Call>,
    /// Redemptions at most: calls whose answer was lost may begin again.
    pub redemptions_max: usize,
    /// What staff may do to the first invitation, and how often.
    pub changes: (Vec<Change>, u8),
    /// How a waiting request may end by itself or by a decision.
    pub ends: Vec<RequestState>,
    /// How members may go, and how often.
    pub departures: (Vec<Departure>, u8),
    /// Redemptions are sent two at a time as well, in any grouping (P11).
    pub batches: bool,
    /// Events that cannot be followed and are skipped, at most.
    pub poisoned_events_max: u8,
    /// What must be reachable.
    pub reaches: Vec<Goal>,
    /// What is left out.
    pub variant: Variant,
}

impl Configuration {
    /// Two users, one seat, nothing but calls.
    #[must_use]
    pub fn new(name: &'static str, ways_in: &[WayIn], calls: &[Call]) -> Self {
        Self {
            name,
            seat_limit: 1,
            users: 2,
            ways_in: ways_in.to_vec(),
            calls: calls.to_vec(),
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

    /// The same with a rule left out.
    #[must_use]
    pub fn without(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }
}

/// The values that the services' functions are given, made once.
#[derive(Debug, Clone)]
pub struct Values {
    /// One invitation for each way in, unused.
    pub invitations: Vec<Invitation>,
    /// The attempt of each call.
    pub attempts: Vec<Facts>,
    /// A request that waits.
    pub request: JoinRequest,
    /// Who decides.
    pub decider: UserId,
}

/// The moment of the `tick`-th change that a later comparison depends on.
#[must_use]
pub fn moment(tick: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::from(tick))
}

impl Values {
    /// Those of `configuration`; None if an id in here were malformed.
    #[must_use]
    pub fn of(configuration: &Configuration) -> Option<Self> {
        let organization = OrganizationId::parse("hamilton").ok()?;
        let class = PlaceName::Class(ClassName {
            organization: organization.clone(),
            class: ClassId::parse("biology").ok()?,
        });
        let place = |place| match place {
            Place::Organization => PlaceName::Organization(organization.clone()),
            Place::Class => class.clone(),
        };
        let decider = UserId::parse("teacher").ok()?;
        let attempts = configuration.calls.iter().map(|call| {
            Some(Facts {
                user: UserId::parse(&format!("student-{}", call.user)).ok()?,
                email: None,
                email_verified: false,
                external_id: None,
                vouched: false,
                sign_up: false,
                guess_guarded: configuration.ways_in[call.invitation].guess_guarded,
            })
        });
        Some(Self {
            invitations: configuration
                .ways_in
                .iter()
                .map(|way_in| invitation(way_in, place(way_in.place)))
                .collect(),
            attempts: attempts.collect::<Option<_>>()?,
            request: request(class.clone(), decider.clone()),
            decider,
        })
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
        method: Method::JoinUrl,
        decide_note: String::new(),
        decided_by: String::new(),
        create_time: moment(0),
        decide_time: None,
        expire_time: JoinRequest::expiry(moment(0)),
    }
}
