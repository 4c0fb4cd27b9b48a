//! Invitations as the contract shows them. A view has no secret until it is filled in: the view without secrets is what
//! is stored for retries.

use chrono::{DateTime, Utc};
use homeroom_api::invitations::v1::{
    BatchCreateTokensResponse, ClassCode, EnrollmentCode, InviteToken, JoinUrl, Token,
    batch_create_tokens_response::result::Outcome, class_code, enrollment_code, token,
};
use homeroom_kit::{Result, clock::to_timestamp, rpc::etag};
use prost_types::Duration;

use super::{App, invitation_name, urls::HandedOut};
use crate::{
    domain::{
        invitation::{InvitationState, Uses},
        lock::Lock,
    },
    store::InvitationRow,
};

/// The mask of one word of a phrase.
const MASKED_WORD: &str = "•••••";
/// The number of nanoseconds in a microsecond.
const NANOS_PER_MICRO: i32 = 1_000;

/// An answer whose secrets are filled in last.
pub(crate) trait Answer: prost::Message + Default + Send + 'static {
    /// Fills in the secrets of those invitations of the answer that are among `rows`.
    fn fill(&mut self, app: &App, rows: &[InvitationRow]) -> Result<()> {
        for row in rows {
            if let Some(secret) = app.handed_out(row)? {
                self.show(secret);
            }
        }
        Ok(())
    }

    /// Puts the secret into an answer that is one invitation.
    fn show(&mut self, _: HandedOut) {}
}

/// Returns the uses spent or held, for kinds whose uses can run out.
fn held(uses: Uses) -> i64 {
    i64::from(uses.held())
}

/// Returns the admissions, for kinds whose uses cannot run out.
fn admissions(uses: Uses) -> i64 {
    i64::from(uses.used)
}

fn max_uses(row: &InvitationRow) -> i32 {
    i32::try_from(row.invitation.max_uses.unwrap_or(0)).unwrap_or(i32::MAX)
}

pub(crate) fn invite_token(row: &InvitationRow) -> InviteToken {
    InviteToken {
        name: invitation_name::of(&row.invitation),
        token: String::new(),
        invite_url: String::new(),
        expire_time: row.invitation.valid_till.map(to_timestamp),
        use_count: admissions(row.invitation.uses),
        may_be_public: row.invitation.kind.policy().may_be_public,
        etag: etag(row.revision),
        create_time: Some(to_timestamp(row.invitation.issue_time)),
        update_time: Some(to_timestamp(row.update_time)),
    }
}

impl Answer for InviteToken {
    fn show(&mut self, shown: HandedOut) {
        shown.text.expose().clone_into(&mut self.token);
        self.invite_url = shown.url();
    }
}

pub(crate) fn token(row: &InvitationRow, now: DateTime<Utc>) -> Token {
    let invitation = &row.invitation;
    let state = match invitation.state(now) {
        InvitationState::Revoked | InvitationState::Disabled => token::State::Revoked,
        InvitationState::Expired => token::State::Expired,
        InvitationState::UsedUp => token::State::UsedUp,
        InvitationState::NotYetValid | InvitationState::Active => token::State::Active,
    };
    let words = usize::try_from(row.words).unwrap_or(0);
    Token {
        name: invitation_name::of(invitation),
        phrase: vec![MASKED_WORD; words].join(" "),
        invite_url: String::new(),
        max_uses: Some(max_uses(row)),
        use_count: held(invitation.uses),
        assigned_email: invitation
            .assigned_email
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        external_id: invitation.external_id.clone().unwrap_or_default(),
        display_name: row.display_name.clone(),
        expire_time: invitation.valid_till.map(to_timestamp),
        state: state.into(),
        words: i32::try_from(row.words).unwrap_or(0),
        may_be_public: invitation.kind.policy().may_be_public,
        etag: etag(row.revision),
        create_time: Some(to_timestamp(row.create_time)),
        update_time: Some(to_timestamp(row.update_time)),
    }
}

impl Answer for Token {
    fn show(&mut self, shown: HandedOut) {
        shown.text.expose().clone_into(&mut self.phrase);
        self.invite_url = shown.url();
    }
}

impl Answer for BatchCreateTokensResponse {
    fn fill(&mut self, app: &App, rows: &[InvitationRow]) -> Result<()> {
        let by_name: std::collections::BTreeMap<String, &InvitationRow> = rows
            .iter()
            .map(|row| (invitation_name::of(&row.invitation), row))
            .collect();
        for result in &mut self.results {
            if let Some(Outcome::Token(token)) = &mut result.outcome
                && let Some(row) = by_name.get(&token.name)
            {
                token.fill(app, std::slice::from_ref(*row))?;
            }
        }
        Ok(())
    }
}

/// Returns the view, with the organization's prefix alone as `full_code`: prefixes are not secret.
pub(crate) fn enrollment_code(
    row: &InvitationRow,
    prefix: &str,
    now: DateTime<Utc>,
) -> EnrollmentCode {
    let invitation = &row.invitation;
    let state = match invitation.state(now) {
        InvitationState::Revoked | InvitationState::Disabled => enrollment_code::State::Disabled,
        InvitationState::Expired => enrollment_code::State::Expired,
        InvitationState::NotYetValid => enrollment_code::State::NotYetValid,
        InvitationState::UsedUp => enrollment_code::State::UsedUp,
        InvitationState::Active => enrollment_code::State::Active,
    };
    EnrollmentCode {
        name: invitation_name::of(invitation),
        code: String::new(),
        full_code: prefix.to_owned(),
        valid_from_time: invitation.valid_from.map(to_timestamp),
        valid_till_time: invitation.valid_till.map(to_timestamp),
        email_domains: invitation
            .email_domains
            .iter()
            .map(ToString::to_string)
            .collect(),
        enabled: Some(row.enabled),
        max_uses: Some(max_uses(row)),
        use_count: held(invitation.uses),
        allow_rejoin: invitation.allow_rejoin,
        strength_bits: i32::try_from(row.strength_bits).unwrap_or(i32::MAX),
        state: state.into(),
        display_name: row.display_name.clone(),
        may_be_public: invitation.kind.policy().may_be_public,
        etag: etag(row.revision),
        create_time: Some(to_timestamp(row.create_time)),
        update_time: Some(to_timestamp(row.update_time)),
    }
}

impl Answer for EnrollmentCode {
    fn show(&mut self, shown: HandedOut) {
        self.full_code = format!("{}-{}", self.full_code, shown.text.expose());
        shown.text.expose().clone_into(&mut self.code);
    }
}

pub(crate) fn class_code(row: &InvitationRow, now: DateTime<Utc>) -> ClassCode {
    let invitation = &row.invitation;
    let state = if invitation.is_locked(now) {
        class_code::State::Locked
    } else {
        class_code::State::Unlocked
    };
    let lock = invitation.lock.as_ref();
    let period = lock.and_then(|lock| lock.period.duration());
    ClassCode {
        name: invitation_name::of(invitation),
        code: String::new(),
        join_link: String::new(),
        state: state.into(),
        lock_time: lock.and_then(Lock::lock_time).map(to_timestamp),
        lock_period: Some(period.map_or_else(Duration::default, |period| Duration {
            seconds: period.num_seconds(),
            nanos: period.subsec_micros() * NANOS_PER_MICRO,
        })),
        use_count: admissions(invitation.uses),
        may_be_public: invitation.kind.policy().may_be_public,
        etag: etag(row.revision),
        create_time: Some(to_timestamp(invitation.issue_time)),
        update_time: Some(to_timestamp(row.update_time)),
    }
}

impl Answer for ClassCode {
    fn show(&mut self, shown: HandedOut) {
        shown.text.expose().clone_into(&mut self.code);
        self.join_link = shown.url();
    }
}

pub(crate) fn join_url(row: &InvitationRow) -> JoinUrl {
    JoinUrl {
        name: invitation_name::of(&row.invitation),
        url: String::new(),
        enabled: row.enabled,
        use_count: held(row.invitation.uses),
        may_be_public: row.invitation.kind.policy().may_be_public,
        etag: etag(row.revision),
        create_time: Some(to_timestamp(row.create_time)),
        update_time: Some(to_timestamp(row.update_time)),
    }
}

impl Answer for JoinUrl {
    fn show(&mut self, shown: HandedOut) {
        shown.text.expose().clone_into(&mut self.url);
    }
}

/// A deleted resource has nothing to show.
impl Answer for () {}
