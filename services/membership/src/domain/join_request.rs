//! The approval queue: join requests and the ways in which they end.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    ids::UserId,
    names::{JoinRequestName, Place},
};
use homeroom_kit::store::columns;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::member::{Method, Particulars};

/// Number of days that a request waits for a decision before it expires.
pub const EXPIRY_DAYS: i64 = 90;
/// Number of hours after a denial before the person may ask again (R9).
pub const ASK_AGAIN_HOURS: i64 = 24;
/// Maximum number of characters in the note on a decision.
pub const DECIDE_NOTE_CHARS_MAX: usize = 500;
/// Maximum number of decisions in one batch (C11).
pub const DECISIONS_MAX: usize = 1_000;
/// The decider of requests that nobody decided: those that expired or were closed.
pub const SYSTEM: &str = homeroom_api::ids::SYSTEM_ACTOR;

homeroom_kit::named! {
    /// The state of a request.
    pub enum State: as_str, parse {
        /// Waiting for a decision.
        Pending = "PENDING",
        /// Staff let the person in.
        Approved = "APPROVED",
        /// Staff denied the request.
        Denied = "DENIED",
        /// The person withdrew it.
        Withdrawn = "WITHDRAWN",
        /// Nobody decided in time.
        Expired = "EXPIRED",
        /// The person was let in by other means, or the class or membership ended.
        Closed = "CLOSED",
    }
}

impl State {
    /// Returns the type of the event about this state.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Pending => "join_request.created",
            Self::Approved => "join_request.approved",
            Self::Denied => "join_request.denied",
            Self::Withdrawn => "join_request.withdrawn",
            Self::Expired => "join_request.expired",
            Self::Closed => "join_request.closed",
        }
    }
}

homeroom_kit::named! {
    /// The reason why a request waits.
    pub enum Cause: as_str, parse {
        /// A join URL always leads to the queue (C9).
        JoinUrl = "JOIN_URL",
        /// The class code is locked (C5).
        CodeLocked = "CODE_LOCKED",
        /// Staff removed the person after the invitation was made (R8).
        RemovedBefore = "REMOVED_BEFORE",
        /// Somebody is guessing at this organization's codes (R10).
        GuessGuard = "GUESS_GUARD",
    }
}

/// A request by a person who waits, or waited, for a decision, with the names of its columns. It holds no seat (X9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The class or organization to join.
    #[serde(flatten, with = "columns::place")]
    pub place: Place,
    /// The id, made by the server.
    #[serde(rename = "request_id")]
    pub id: Uuid,
    /// The person who asks.
    #[serde(rename = "user_id", with = "columns::text")]
    pub user: UserId,
    /// The particulars that the platform supplied.
    #[serde(flatten)]
    pub particulars: Particulars,
    /// The state.
    pub state: State,
    /// The reason why it waits.
    pub cause: Cause,
    /// Resource name of the invitation that was used.
    pub invitation: String,
    /// Resource name of the redemption.
    pub redemption: String,
    /// The way in (R6).
    pub method: Method,
    /// The decider's note.
    pub decide_note: String,
    /// User id of the decider, `system`, or empty while it waits.
    pub decided_by: String,
    /// When it was filed.
    #[serde(with = "columns::time")]
    pub create_time: DateTime<Utc>,
    /// When it stopped waiting.
    #[serde(with = "columns::optional_time")]
    pub decide_time: Option<DateTime<Utc>>,
    /// When it expires if undecided.
    #[serde(with = "columns::time")]
    pub expire_time: DateTime<Utc>,
}

/// The requests of a place that a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinRequestFilter {
    /// Only those in this state. PENDING leaves out expired ones.
    pub state: Option<State>,
    /// Only those of this person.
    pub user: Option<UserId>,
    /// Only those with this cause.
    pub cause: Option<Cause>,
}

/// The error for a request that no longer waits, with its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyDecided(pub State);

impl JoinRequest {
    /// Returns its resource name.
    #[must_use]
    pub fn name(&self) -> JoinRequestName {
        JoinRequestName {
            place: self.place.clone(),
            id: self.id,
        }
    }

    /// Returns when a request that is filed `now` expires.
    #[must_use]
    pub fn expiry(now: DateTime<Utc>) -> DateTime<Utc> {
        now + TimeDelta::days(EXPIRY_DAYS)
    }

    /// Returns true if it waits at `now`, judged by the clock even if it was not swept yet.
    #[must_use]
    pub fn waits(&self, now: DateTime<Utc>) -> bool {
        self.state == State::Pending && now < self.expire_time
    }

    /// Returns the request as it is at `now`: expired from its expiry on, even if it was not swept yet.
    #[must_use]
    pub fn as_of(self, now: DateTime<Utc>) -> Self {
        if self.state == State::Pending && now >= self.expire_time {
            let expired_at = self.expire_time;
            self.ended(State::Expired, SYSTEM, "", expired_at)
        } else {
            self
        }
    }

    /// Approves, denies or withdraws it on behalf of a person, if it still waits.
    pub fn decide(
        self,
        state: State,
        decided_by: &UserId,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, AlreadyDecided> {
        if self.waits(now) {
            Ok(self.ended(state, decided_by.as_str(), note, now))
        } else {
            Err(AlreadyDecided(self.as_of(now).state))
        }
    }

    /// Ends it on behalf of the service: closed, or expired if its time was over already.
    #[must_use]
    pub fn close(self, now: DateTime<Utc>) -> Self {
        if self.waits(now) {
            self.ended(State::Closed, SYSTEM, "", now)
        } else {
            self.as_of(now)
        }
    }

    fn ended(mut self, state: State, by: &str, note: &str, at: DateTime<Utc>) -> Self {
        self.state = state;
        by.clone_into(&mut self.decided_by);
        note.clone_into(&mut self.decide_note);
        self.decide_time = Some(at);
        self
    }

    /// Returns the data of its events: the facts by which invitations settles the redemption (P5).
    #[must_use]
    pub fn event_data(&self) -> BTreeMap<String, String> {
        [
            ("user", self.user.as_str()),
            ("state", self.state.as_str()),
            ("cause", self.cause.as_str()),
            ("invitation", self.invitation.as_str()),
            ("redemption", self.redemption.as_str()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}

/// Returns true if a person denied at `denied` may not ask again yet (R9).
#[must_use]
pub fn denied_recently(denied: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < denied + TimeDelta::hours(ASK_AGAIN_HOURS)
}

#[cfg(test)]
mod tests {
    use homeroom_api::ids::OrganizationId;

    use super::*;

    fn filed(at: DateTime<Utc>) -> JoinRequest {
        JoinRequest {
            place: Place::Organization(OrganizationId::parse("hamilton").unwrap()),
            id: Uuid::nil(),
            user: UserId::parse("eve").unwrap(),
            particulars: Particulars::default(),
            state: State::Pending,
            cause: Cause::JoinUrl,
            invitation: "organizations/hamilton/inviteToken".to_owned(),
            redemption: "organizations/hamilton/redemptions/r".to_owned(),
            method: Method::Invitation(homeroom_api::names::InvitationKind::JoinUrl),
            decide_note: String::new(),
            decided_by: String::new(),
            create_time: at,
            decide_time: None,
            expire_time: JoinRequest::expiry(at),
        }
    }

    fn decider() -> UserId {
        UserId::parse("ada").unwrap()
    }

    #[test]
    fn c11_a_waiting_request_is_decided_once() {
        let now = DateTime::UNIX_EPOCH;
        for state in [State::Approved, State::Denied, State::Withdrawn] {
            let decided = filed(now).decide(state, &decider(), "why", now).unwrap();
            assert_eq!(decided.state, state);
            assert_eq!(decided.decided_by, "ada");
            assert_eq!(decided.decide_note, "why");
            assert_eq!(decided.decide_time, Some(now));
            for again in [State::Approved, State::Denied, State::Withdrawn] {
                let second = decided.clone().decide(again, &decider(), "", now);
                assert_eq!(second, Err(AlreadyDecided(state)));
            }
        }
    }

    #[test]
    fn c11_a_request_expires_90_days_after_it_was_filed_whether_or_not_the_sweep_came_by() {
        let now = DateTime::UNIX_EPOCH;
        let tick = TimeDelta::microseconds(1);
        let request = filed(now);
        let expiry = now + TimeDelta::days(90);
        assert_eq!(request.expire_time, expiry);
        assert_eq!(request.clone().as_of(expiry - tick).state, State::Pending);
        assert!(
            request
                .clone()
                .decide(State::Approved, &decider(), "", expiry - tick)
                .is_ok()
        );
        let late = request
            .clone()
            .decide(State::Approved, &decider(), "", expiry);
        assert_eq!(late, Err(AlreadyDecided(State::Expired)));
        let expired = request.as_of(expiry + tick);
        assert_eq!(expired.state, State::Expired);
        assert_eq!(expired.decided_by, SYSTEM);
        assert_eq!(expired.decide_time, Some(expiry));
    }

    #[test]
    fn p5_closing_a_request_whose_time_is_over_expires_it() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(filed(now).close(now).state, State::Closed);
        let expiry = JoinRequest::expiry(now);
        assert_eq!(filed(now).close(expiry).state, State::Expired);
    }

    #[test]
    fn r9_a_denied_person_may_ask_again_after_24_hours() {
        let denied = DateTime::UNIX_EPOCH;
        let tick = TimeDelta::microseconds(1);
        let free = denied + TimeDelta::hours(24);
        assert!(denied_recently(denied, denied));
        assert!(denied_recently(denied, free - tick));
        assert!(!denied_recently(denied, free));
    }

    #[test]
    fn p5_an_events_data_names_redemption_invitation_and_state() {
        let data = filed(DateTime::UNIX_EPOCH).event_data();
        assert_eq!(data["redemption"], "organizations/hamilton/redemptions/r");
        assert_eq!(data["invitation"], "organizations/hamilton/inviteToken");
        assert_eq!(data["state"], "PENDING");
    }

    #[test]
    fn names_of_states_and_causes_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(cause.as_str()), Some(cause));
        }
        assert_eq!(State::parse("pending"), None);
        assert_eq!(Cause::parse(""), None);
    }
}
