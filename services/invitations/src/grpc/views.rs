//! Invitations as the contract shows them.

use homeroom_api::{
    invitations::v1::{
        BatchCreateTokensResponse, ClassCode, EnrollmentCode, InviteToken, JoinUrl, Token,
        batch_create_tokens_response::{Result as RowResult, result::Outcome},
        class_code, enrollment_code, token,
    },
    names::InvitationName,
};
use homeroom_kit::{Error, clock::to_timestamp, rpc::etag};
use prost_types::Duration;

use crate::{
    app::{
        answer::{Answer, Shown},
        urls::HandedOut,
    },
    domain::{
        invitation::{InvitationState, Uses},
        lock::Lock,
        way::Policy,
    },
    store::InvitationRow,
};

/// The mask of one word of a phrase.
const MASKED_WORD: &str = "•••••";
/// The number of nanoseconds in a microsecond.
const NANOS_PER_MICRO: i32 = 1_000;

/// An invitation in the contract's form.
trait View: From<Shown> + prost::Message + Default + 'static {
    /// Returns it without the secret.
    fn masked(shown: &Shown) -> Self;

    /// Puts the secret in.
    fn show(&mut self, secret: HandedOut);
}

macro_rules! views {
    ($($view:ty),+) => {
        $(
            impl From<Shown> for $view {
                fn from(shown: Shown) -> Self {
                    let mut view = Self::masked(&shown);
                    if let Some(secret) = shown.secret {
                        view.show(secret);
                    }
                    view
                }
            }
        )+
    };
}

views!(InviteToken, Token, EnrollmentCode, ClassCode, JoinUrl);

impl<V: View> Answer<()> for V {
    fn of((): (), mut invitations: Vec<Shown>) -> Self {
        invitations.pop().map(Self::from).unwrap_or_default()
    }

    fn fill(&mut self, _: &InvitationName, secret: HandedOut) {
        self.show(secret);
    }
}

/// Each row that failed has its error; the others are the tokens, in their order.
impl Answer<Vec<Option<Error>>> for BatchCreateTokensResponse {
    fn of(errors: Vec<Option<Error>>, tokens: Vec<Shown>) -> Self {
        let mut tokens = tokens.into_iter().map(Token::from);
        let results = (0..).zip(errors).map(|(index, error)| RowResult {
            index,
            outcome: match error {
                Some(error) => Some(Outcome::Status(error.into_row_status())),
                None => tokens.next().map(Outcome::Token),
            },
        });
        Self {
            results: results.collect(),
        }
    }

    fn fill(&mut self, invitation: &InvitationName, secret: HandedOut) {
        let name = invitation.to_string();
        let token = self
            .results
            .iter_mut()
            .find_map(|row| match &mut row.outcome {
                Some(Outcome::Token(token)) if token.name == name => Some(token),
                _ => None,
            });
        if let Some(token) = token {
            token.show(secret);
        }
    }
}

/// Returns the address of a secret for an answer; empty if there is none.
fn url(secret: HandedOut) -> String {
    let url = secret.url;
    url.map_or_else(String::new, |url| url.expose().to_owned())
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

impl View for InviteToken {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        Self {
            name: row.invitation.name().to_string(),
            expire_time: row.invitation.valid_till.map(to_timestamp),
            use_count: admissions(row.invitation.uses),
            may_be_public: Policy::of(row.invitation.kind).may_be_public,
            etag: etag(row.revision),
            create_time: Some(to_timestamp(row.invitation.issue_time)),
            update_time: Some(to_timestamp(row.update_time)),
            token: String::new(),
            invite_url: String::new(),
        }
    }

    fn show(&mut self, secret: HandedOut) {
        secret.text.expose().clone_into(&mut self.token);
        self.invite_url = url(secret);
    }
}

impl View for Token {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        let now = shown.now;
        let invitation = &row.invitation;
        let state = match invitation.state(now) {
            InvitationState::Revoked | InvitationState::Disabled => token::State::Revoked,
            InvitationState::Expired => token::State::Expired,
            InvitationState::UsedUp => token::State::UsedUp,
            InvitationState::NotYetValid | InvitationState::Active => token::State::Active,
        };
        let words = usize::try_from(row.words).unwrap_or(0);
        Self {
            name: invitation.name().to_string(),
            phrase: vec![MASKED_WORD; words].join(" "),
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
            may_be_public: Policy::of(invitation.kind).may_be_public,
            etag: etag(row.revision),
            create_time: Some(to_timestamp(row.create_time)),
            update_time: Some(to_timestamp(row.update_time)),
            invite_url: String::new(),
        }
    }

    fn show(&mut self, secret: HandedOut) {
        secret.text.expose().clone_into(&mut self.phrase);
        self.invite_url = url(secret);
    }
}

/// Without the secret, `full_code` is the organization's prefix alone.
impl View for EnrollmentCode {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        let now = shown.now;
        let invitation = &row.invitation;
        let state = match invitation.state(now) {
            InvitationState::Revoked | InvitationState::Disabled => {
                enrollment_code::State::Disabled
            }
            InvitationState::Expired => enrollment_code::State::Expired,
            InvitationState::NotYetValid => enrollment_code::State::NotYetValid,
            InvitationState::UsedUp => enrollment_code::State::UsedUp,
            InvitationState::Active => enrollment_code::State::Active,
        };
        Self {
            name: invitation.name().to_string(),
            full_code: shown.code_prefix.clone(),
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
            may_be_public: Policy::of(invitation.kind).may_be_public,
            etag: etag(row.revision),
            create_time: Some(to_timestamp(row.create_time)),
            update_time: Some(to_timestamp(row.update_time)),
            code: String::new(),
        }
    }

    fn show(&mut self, secret: HandedOut) {
        self.full_code = format!("{}-{}", self.full_code, secret.text.expose());
        secret.text.expose().clone_into(&mut self.code);
    }
}

impl View for ClassCode {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        let now = shown.now;
        let invitation = &row.invitation;
        let state = if invitation.is_locked(now) {
            class_code::State::Locked
        } else {
            class_code::State::Unlocked
        };
        let lock = invitation.lock.as_ref();
        let period = lock.and_then(|lock| lock.period.duration());
        Self {
            name: invitation.name().to_string(),
            state: state.into(),
            lock_time: lock.and_then(Lock::lock_time).map(to_timestamp),
            lock_period: Some(period.map_or_else(Duration::default, |period| Duration {
                seconds: period.num_seconds(),
                nanos: period.subsec_micros() * NANOS_PER_MICRO,
            })),
            use_count: admissions(invitation.uses),
            may_be_public: Policy::of(invitation.kind).may_be_public,
            etag: etag(row.revision),
            create_time: Some(to_timestamp(invitation.issue_time)),
            update_time: Some(to_timestamp(row.update_time)),
            code: String::new(),
            join_link: String::new(),
        }
    }

    fn show(&mut self, secret: HandedOut) {
        secret.text.expose().clone_into(&mut self.code);
        self.join_link = url(secret);
    }
}

impl View for JoinUrl {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        Self {
            name: row.invitation.name().to_string(),
            enabled: row.enabled,
            use_count: held(row.invitation.uses),
            may_be_public: Policy::of(row.invitation.kind).may_be_public,
            etag: etag(row.revision),
            create_time: Some(to_timestamp(row.create_time)),
            update_time: Some(to_timestamp(row.update_time)),
            url: String::new(),
        }
    }

    fn show(&mut self, secret: HandedOut) {
        secret.text.expose().clone_into(&mut self.url);
    }
}
