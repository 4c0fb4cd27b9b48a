//! `TokenService`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{
        self as api,
        batch_create_tokens_response::{Result as RowResult, result::Outcome},
        token_service_server::TokenService,
    },
    membership::v1::Permission::ManageInvitations,
    names::{ClassName, InvitationKind, InvitationName, Place},
};
use homeroom_kit::{
    Error, Result,
    clock::to_timestamp,
    filter::FieldKind,
    rpc::{Patch, etag},
    validation::Violations,
};

use super::{
    convert::{filter, time_to_come},
    token_fields::{new_token, new_token_of_batch, token_fields},
    views::{View, admissions, held, max_uses, url, views},
};
use crate::{
    app::{
        App,
        answer::{Answer, Shown},
        singleton,
        token::{self, NewToken, TokenFields},
        urls::HandedOut,
    },
    domain::{
        invitation::{InvitationFilter, InvitationState},
        way::Policy,
    },
};

/// The mask of one word of a phrase.
const MASKED_WORD: &str = "•••••";

/// The maximum number of rows in one batch.
const TOKEN_BATCH_MAX: usize = 1_000;

const TOKEN_FIELDS: &[&str] = &[
    "max_uses",
    "assigned_email",
    "external_id",
    "display_name",
    "expire_time",
];

homeroom_kit::rpcs! {
    TokenService for pub struct TokenHandlers(pub Arc<App>) {
        get_invite_token: api::GetInviteTokenRequest => api::InviteToken = get(invite_name, App::get_singleton);
        update_invite_token: api::UpdateInviteTokenRequest => api::InviteToken
            = change(ManageInvitations, invite_update(now), singleton::set_expire_time);
        reset_invite_token: api::ResetInviteTokenRequest => api::ResetInviteTokenResponse { invite_token }
            = act(ManageInvitations, invite_name, singleton::reset);
        create_token: api::CreateTokenRequest => api::Token
            = change(ManageInvitations, create(now), token::create);
        batch_create_tokens: api::BatchCreateTokensRequest => api::BatchCreateTokensResponse
            = change(ManageInvitations, batch(now), token::create_batch);
        get_token: api::GetTokenRequest => api::Token = get(token_name, App::get_token);
        list_tokens: api::ListTokensRequest => api::ListTokensResponse { tokens }
            = list(class, token_filter, App::list_tokens);
        update_token: api::UpdateTokenRequest => api::Token
            = change(ManageInvitations, update(now), token::update);
        revoke_token: api::RevokeTokenRequest => api::RevokeTokenResponse { token }
            = act(ManageInvitations, token_name, token::revoke);
        reveal_token: api::RevealTokenRequest => api::RevealTokenResponse { token }
            = get(token_name, App::reveal_token);
    }
}

fn invite_name(name: &str) -> std::result::Result<InvitationName, InvalidId> {
    InvitationName::parse_as(InvitationKind::OrganizationToken, name)
}

fn token_name(name: &str) -> std::result::Result<InvitationName, InvalidId> {
    InvitationName::parse_as(InvitationKind::ClassToken, name)
}

fn class(name: &str) -> std::result::Result<Place, InvalidId> {
    ClassName::parse(name).map(Place::Class)
}

fn token_filter(text: &str) -> Result<InvitationFilter> {
    let fields = ["assigned_email", "external_id"].map(|field| (field, FieldKind::Text));
    filter(text, &fields)
}

/// The time at which the token expires, and the etag.
type InviteUpdate = (Patch<Option<DateTime<Utc>>>, String);

fn invite_update(
    v: &mut Violations,
    request: &api::UpdateInviteTokenRequest,
    now: DateTime<Utc>,
) -> Option<(InvitationName, InviteUpdate)> {
    let asked = v.required_or_default("invite_token", &request.invite_token);
    let name = v.take("invite_token.name", invite_name(&asked.name));
    let mask = v.mask(request.update_mask.as_ref(), &["expire_time"]);
    let time = asked.expire_time.as_ref();
    let read = time_to_come(v, "invite_token.expire_time", time, now, None);
    let expire_time = mask.patch("expire_time", time.is_some(), || read);
    Some((name?, (expire_time, asked.etag)))
}

fn create(
    v: &mut Violations,
    request: &api::CreateTokenRequest,
    now: DateTime<Utc>,
) -> Option<(Place, NewToken)> {
    let class = v.take("parent", class(&request.parent));
    let new = new_token(v, request, now);
    Some((class?, new))
}

fn batch(
    v: &mut Violations,
    request: &api::BatchCreateTokensRequest,
    now: DateTime<Utc>,
) -> Option<(Place, Vec<Result<NewToken>>)> {
    let class = v.take("parent", class(&request.parent));
    let fits = v.check(
        (1..=TOKEN_BATCH_MAX).contains(&request.requests.len()),
        "requests",
        format!("must have 1 to {TOKEN_BATCH_MAX} requests"),
    );
    let requests = request.requests.iter().filter(|_| fits);
    let rows = requests.map(|row| new_token_of_batch(&request.parent, row, now));
    Some((class?, rows.collect()))
}

fn update(
    v: &mut Violations,
    request: &api::UpdateTokenRequest,
    now: DateTime<Utc>,
) -> Option<(InvitationName, (TokenFields, String))> {
    let asked = v.required_or_default("token", &request.token);
    let name = v.take("token.name", token_name(&asked.name));
    let mask = v.mask(request.update_mask.as_ref(), TOKEN_FIELDS);
    let fields = token_fields(v, &mask, &asked, now);
    Some((name?, (fields, asked.etag)))
}

views!(api::InviteToken, api::Token);

impl View for api::InviteToken {
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

impl View for api::Token {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        let now = shown.now;
        let invitation = &row.invitation;
        let state = match invitation.state(now) {
            InvitationState::Revoked | InvitationState::Disabled => api::token::State::Revoked,
            InvitationState::Expired => api::token::State::Expired,
            InvitationState::UsedUp => api::token::State::UsedUp,
            InvitationState::NotYetValid | InvitationState::Active => api::token::State::Active,
        };
        let words = usize::try_from(row.words).unwrap_or(0);
        Self {
            name: invitation.name().to_string(),
            phrase: vec![MASKED_WORD; words].join(" "),
            max_uses: Some(max_uses(invitation)),
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

/// Each row that failed has its error; the others are the tokens, in their order.
impl Answer<Vec<Option<Error>>> for api::BatchCreateTokensResponse {
    fn of(errors: Vec<Option<Error>>, tokens: Vec<Shown>) -> Self {
        let mut tokens = tokens.into_iter().map(api::Token::from);
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
