//! `TokenService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        BatchCreateTokensRequest, BatchCreateTokensResponse, CreateTokenRequest,
        GetInviteTokenRequest, GetTokenRequest, InviteToken, ListTokensRequest, ListTokensResponse,
        ResetInviteTokenRequest, ResetInviteTokenResponse, RevealTokenRequest, RevealTokenResponse,
        RevokeTokenRequest, RevokeTokenResponse, Token, UpdateInviteTokenRequest,
        UpdateTokenRequest, token_service_server::TokenService,
    },
    names::{ClassName, InviteTokenName, Place, TokenName},
};
use homeroom_kit::{Result, auth::Caller, filter::FieldKind, rpc, validation::Violations};

use super::{
    convert::{filter, time_to_come},
    token_fields::{new_token, read_new_token, token_patch},
};
use crate::{
    app::{App, Patch, TOKEN_BATCH_MAX, invite_token, rules, token, token_batch, views},
    domain::invitation::InvitationKind,
};

const FILTER_FIELDS: &[(&str, FieldKind)] = &[
    ("assigned_email", FieldKind::Text),
    ("external_id", FieldKind::Text),
];

/// Handlers of `TokenService`.
#[derive(Debug, Clone)]
pub struct TokenHandlers(pub Arc<App>);

/// Parses the name of a class token, which must be under a class.
fn token_name(name: &str) -> std::result::Result<TokenName, String> {
    let name = TokenName::parse(name).map_err(|error| error.to_string())?;
    match name.place {
        Place::Class(_) => Ok(name),
        Place::Organization(_) => {
            Err("must be `organizations/{organization}/classes/{class}/tokens/{token}`".to_owned())
        }
    }
}

homeroom_kit::rpcs! {
    TokenService for TokenHandlers {
        get_invite_token: GetInviteTokenRequest => InviteToken;
        update_invite_token: UpdateInviteTokenRequest => InviteToken;
        reset_invite_token: ResetInviteTokenRequest => ResetInviteTokenResponse;
        create_token: CreateTokenRequest => Token;
        batch_create_tokens: BatchCreateTokensRequest => BatchCreateTokensResponse;
        get_token: GetTokenRequest => Token;
        list_tokens: ListTokensRequest => ListTokensResponse;
        update_token: UpdateTokenRequest => Token;
        revoke_token: RevokeTokenRequest => RevokeTokenResponse;
        reveal_token: RevealTokenRequest => RevealTokenResponse;
    }
}

impl TokenHandlers {
    async fn get_invite_token(
        &self,
        caller: &Caller,
        request: GetInviteTokenRequest,
    ) -> Result<InviteToken> {
        let name = rpc::name(InviteTokenName::parse(&request.name))?;
        let (kind, rule) = (InvitationKind::OrganizationToken, rules::GET_INVITE_TOKEN);
        let view = views::invite_token;
        self.0
            .show_singleton(caller, name.0, kind, rule, view)
            .await
    }

    async fn update_invite_token(
        &self,
        caller: &Caller,
        request: UpdateInviteTokenRequest,
    ) -> Result<InviteToken> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let asked = violations.required_or_default("invite_token", &request.invite_token);
        let name = violations.take("invite_token.name", InviteTokenName::parse(&asked.name));
        let mask = violations.mask(request.update_mask.as_ref(), &["expire_time"]);
        let time = asked.expire_time.as_ref();
        let expire_time = Patch::when(
            mask.touches("expire_time", time.is_some()),
            time_to_come(
                &mut violations,
                "invite_token.expire_time",
                time,
                self.0.clock.now(),
                None,
            ),
        );
        let name = violations.finish_with(name)?;
        let (rule, once) = (rules::UPDATE_INVITE_TOKEN, (request_id, &request));
        self.0
            .change(caller, name.0, rule, once, move |work| {
                Box::pin(invite_token::update(work, asked.etag, expire_time))
            })
            .await
    }

    async fn reset_invite_token(
        &self,
        caller: &Caller,
        request: ResetInviteTokenRequest,
    ) -> Result<ResetInviteTokenResponse> {
        let (id, name) = rpc::change(&request.request_id, InviteTokenName::parse(&request.name))?;
        let (rule, etag) = (rules::RESET_INVITE_TOKEN, request.etag.clone());
        let invite_token = self
            .0
            .change(caller, name.0, rule, (id, &request), move |work| {
                Box::pin(invite_token::reset(work, etag))
            })
            .await?;
        Ok(ResetInviteTokenResponse {
            invite_token: Some(invite_token),
        })
    }

    async fn create_token(&self, caller: &Caller, request: CreateTokenRequest) -> Result<Token> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let class = violations.take("parent", ClassName::parse(&request.parent));
        let asked = violations.required_or_default("token", &request.token);
        let new = read_new_token(&mut violations, &asked, self.0.clock.now());
        let class = violations.finish_with(class)?;
        let (rule, once) = (rules::CREATE_TOKEN, (request_id, &request));
        self.0
            .change(caller, class, rule, once, move |work| {
                Box::pin(token::create(work, new))
            })
            .await
    }

    async fn batch_create_tokens(
        &self,
        caller: &Caller,
        request: BatchCreateTokensRequest,
    ) -> Result<BatchCreateTokensResponse> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let class = violations.take("parent", ClassName::parse(&request.parent));
        violations.check(
            (1..=TOKEN_BATCH_MAX).contains(&request.tokens.len()),
            "tokens",
            format!("must have 1 to {TOKEN_BATCH_MAX} rows"),
        );
        let class = violations.finish_with(class)?;
        let now = self.0.clock.now();
        let tokens = request.tokens.iter();
        let rows = tokens.map(|token| new_token(token, now)).collect();
        let (rule, once) = (rules::BATCH_CREATE_TOKENS, (request_id, &request));
        self.0
            .change(caller, class, rule, once, move |work| {
                Box::pin(token_batch::create(work, rows))
            })
            .await
    }

    async fn get_token(&self, caller: &Caller, request: GetTokenRequest) -> Result<Token> {
        let name = rpc::name(token_name(&request.name))?;
        self.0.get_token(caller, &name).await
    }

    async fn reveal_token(
        &self,
        caller: &Caller,
        request: RevealTokenRequest,
    ) -> Result<RevealTokenResponse> {
        let name = rpc::name(token_name(&request.name))?;
        let token = self.0.reveal_token(caller, &name).await?;
        Ok(RevealTokenResponse { token: Some(token) })
    }

    async fn list_tokens(
        &self,
        caller: &Caller,
        request: ListTokensRequest,
    ) -> Result<ListTokensResponse> {
        let class = rpc::parent(ClassName::parse(&request.parent), request.page_size)?;
        let filter = filter(&request.filter, FILTER_FIELDS)?;
        let list = format!("ListTokens {} {}", request.parent, request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let page = self.0.list_tokens(caller, &class, &filter, &page).await?;
        Ok(ListTokensResponse {
            tokens: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn update_token(&self, caller: &Caller, request: UpdateTokenRequest) -> Result<Token> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let asked = violations.required_or_default("token", &request.token);
        let name = violations.take("token.name", token_name(&asked.name));
        let now = self.0.clock.now();
        let patch = token_patch(&mut violations, &asked, request.update_mask.as_ref(), now);
        let name = violations.finish_with(name)?;
        let (place, once) = (name.place.clone(), (request_id, &request));
        self.0
            .change(caller, place, rules::UPDATE_TOKEN, once, move |work| {
                Box::pin(token::update(work, name, asked.etag, patch))
            })
            .await
    }

    async fn revoke_token(
        &self,
        caller: &Caller,
        request: RevokeTokenRequest,
    ) -> Result<RevokeTokenResponse> {
        let (id, name) = rpc::change(&request.request_id, token_name(&request.name))?;
        let (place, etag) = (name.place.clone(), request.etag.clone());
        let (rule, once) = (rules::REVOKE_TOKEN, (id, &request));
        let token = self
            .0
            .change(caller, place, rule, once, move |work| {
                Box::pin(token::revoke(work, name, etag))
            })
            .await?;
        Ok(RevokeTokenResponse { token: Some(token) })
    }
}
