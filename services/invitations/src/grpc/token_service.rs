//! `TokenService`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, token_service_server::TokenService},
    names::{ClassName, InvitationKind, InvitationName, Place},
};
use homeroom_kit::{
    Result,
    filter::FieldKind,
    rpc::Patch,
    validation::{Mask, Violations},
};

use super::{
    convert::{filter, time_to_come},
    token_fields::{new_token, token_fields, words},
};
use crate::{
    app::{
        App, invite_token, rules,
        token::{self, NewToken, TokenFields},
    },
    store::InvitationFilter,
};

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
            = change(rules::UPDATE_INVITE_TOKEN, invite_update(now), invite_token::update);
        reset_invite_token: api::ResetInviteTokenRequest => api::ResetInviteTokenResponse { invite_token }
            = act(rules::RESET_INVITE_TOKEN, invite_name, invite_token::reset);
        create_token: api::CreateTokenRequest => api::Token
            = change(rules::CREATE_TOKEN, create(now), token::create);
        batch_create_tokens: api::BatchCreateTokensRequest => api::BatchCreateTokensResponse
            = change(rules::BATCH_CREATE_TOKENS, batch(now), token::create_batch);
        get_token: api::GetTokenRequest => api::Token = get(token_name, App::get_token);
        list_tokens: api::ListTokensRequest => api::ListTokensResponse { tokens }
            = list(class, token_filter, App::list_tokens);
        update_token: api::UpdateTokenRequest => api::Token
            = change(rules::UPDATE_TOKEN, update(now), token::update);
        revoke_token: api::RevokeTokenRequest => api::RevokeTokenResponse { token }
            = act(rules::REVOKE_TOKEN, token_name, token::revoke);
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
    let asked = v.required_or_default("token", &request.token);
    let fields = token_fields(v, &Mask::all(), &asked, now);
    let words = words(v, asked.words);
    Some((class?, NewToken { fields, words }))
}

fn batch(
    v: &mut Violations,
    request: &api::BatchCreateTokensRequest,
    now: DateTime<Utc>,
) -> Option<(Place, Vec<Result<NewToken>>)> {
    let class = v.take("parent", class(&request.parent));
    let fits = v.check(
        (1..=TOKEN_BATCH_MAX).contains(&request.tokens.len()),
        "tokens",
        format!("must have 1 to {TOKEN_BATCH_MAX} rows"),
    );
    let tokens = request.tokens.iter().filter(|_| fits);
    Some((class?, tokens.map(|token| new_token(token, now)).collect()))
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
