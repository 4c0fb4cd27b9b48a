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
    names::{InviteTokenName, Place, TokenName},
};
use homeroom_kit::{Result, auth::Caller, filter::FieldKind, validation::Violations};
use tonic::{Request, Response, Status};

use super::{
    answer,
    convert::{Named, class_parent, filter, present, time_to_come},
    token_fields::{new_token, read_new_token, token_patch},
};
use crate::app::{App, Idempotency, Patch, TOKEN_BATCH_MAX};

const FILTER_FIELDS: &[(&str, FieldKind)] = &[
    ("assigned_email", FieldKind::Text),
    ("external_id", FieldKind::Text),
];

/// Handlers of `TokenService`.
#[derive(Debug, Clone)]
pub struct TokenHandlers(pub Arc<App>);

/// The name of a class token: tokens are under classes alone.
fn token_name(violations: &mut Violations, field: &str, name: &str) -> Option<TokenName> {
    let name = violations.take(field, TokenName::parse(name))?;
    let of_class = matches!(name.place, Place::Class(_));
    violations
        .check(
            of_class,
            field,
            "must be `organizations/{organization}/classes/{class}/tokens/{token}`",
        )
        .then_some(name)
}

impl TokenHandlers {
    async fn get_invite(&self, request: Request<GetInviteTokenRequest>) -> Result<InviteToken> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = violations.take("name", InviteTokenName::parse(&request.get_ref().name));
        violations.finish()?;
        self.0.get_invite_token(&caller, present(name)?.0).await
    }

    async fn update_invite(
        &self,
        request: Request<UpdateInviteTokenRequest>,
    ) -> Result<InviteToken> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        violations.check(
            message.invite_token.is_some(),
            "invite_token",
            "is required",
        );
        let asked = message.invite_token.clone().unwrap_or_default();
        let name = violations.take("invite_token.name", InviteTokenName::parse(&asked.name));
        let named = Named::read(
            &mut violations,
            message.update_mask.as_ref(),
            &["expire_time"],
        );
        let time = asked.expire_time.as_ref();
        let expire_time = Patch::when(
            named.has("expire_time", time.is_some()),
            time_to_come(
                &mut violations,
                "invite_token.expire_time",
                time,
                self.0.clock.now(),
                None,
            ),
        );
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .update_invite_token(
                &caller,
                present(name)?.0,
                asked.etag,
                expire_time,
                idempotency,
            )
            .await
    }

    async fn reset_invite(
        &self,
        request: Request<ResetInviteTokenRequest>,
    ) -> Result<ResetInviteTokenResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        let name = violations.take("name", InviteTokenName::parse(&message.name));
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        let invite_token = self
            .0
            .reset_invite_token(&caller, present(name)?.0, message.etag, idempotency)
            .await?;
        Ok(ResetInviteTokenResponse {
            invite_token: Some(invite_token),
        })
    }

    async fn create(&self, request: Request<CreateTokenRequest>) -> Result<Token> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        let class = class_parent(&mut violations, &message.parent);
        violations.check(message.token.is_some(), "token", "is required");
        let asked = message.token.clone().unwrap_or_default();
        let new = read_new_token(&mut violations, &asked, self.0.clock.now());
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .create_token(&caller, present(class)?, new, idempotency)
            .await
    }

    async fn batch_create(
        &self,
        request: Request<BatchCreateTokensRequest>,
    ) -> Result<BatchCreateTokensResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        let class = class_parent(&mut violations, &message.parent);
        violations.check(
            (1..=TOKEN_BATCH_MAX).contains(&message.tokens.len()),
            "tokens",
            format!("must have 1 to {TOKEN_BATCH_MAX} rows"),
        );
        violations.finish()?;
        let now = self.0.clock.now();
        let rows = message
            .tokens
            .iter()
            .map(|token| new_token(token, now))
            .collect();
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .batch_create_tokens(&caller, present(class)?, rows, idempotency)
            .await
    }

    async fn get(&self, request: Request<GetTokenRequest>) -> Result<Token> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = token_name(&mut violations, "name", &request.get_ref().name);
        violations.finish()?;
        self.0.get_token(&caller, &present(name)?).await
    }

    async fn reveal(&self, request: Request<RevealTokenRequest>) -> Result<RevealTokenResponse> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = token_name(&mut violations, "name", &request.get_ref().name);
        violations.finish()?;
        let token = self.0.reveal_token(&caller, &present(name)?).await?;
        Ok(RevealTokenResponse { token: Some(token) })
    }

    async fn list(&self, request: Request<ListTokensRequest>) -> Result<ListTokensResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let class = class_parent(&mut violations, &message.parent);
        violations.page_size(message.page_size);
        violations.finish()?;
        let filter = filter(&message.filter, FILTER_FIELDS)?;
        let list = format!("ListTokens {} {}", message.parent, message.filter);
        let page = self
            .0
            .page_asked(list, message.page_size, &message.page_token)?;
        let page = self
            .0
            .list_tokens(&caller, &present(class)?, &filter, &page)
            .await?;
        Ok(ListTokensResponse {
            tokens: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn update(&self, request: Request<UpdateTokenRequest>) -> Result<Token> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        violations.check(message.token.is_some(), "token", "is required");
        let asked = message.token.clone().unwrap_or_default();
        let name = token_name(&mut violations, "token.name", &asked.name);
        let now = self.0.clock.now();
        let patch = token_patch(&mut violations, &asked, message.update_mask.as_ref(), now);
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .update_token(&caller, present(name)?, asked.etag, patch, idempotency)
            .await
    }

    async fn revoke(&self, request: Request<RevokeTokenRequest>) -> Result<RevokeTokenResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        let name = token_name(&mut violations, "name", &message.name);
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        let token = self
            .0
            .revoke_token(&caller, present(name)?, message.etag, idempotency)
            .await?;
        Ok(RevokeTokenResponse { token: Some(token) })
    }
}

#[tonic::async_trait]
impl TokenService for TokenHandlers {
    async fn get_invite_token(
        &self,
        request: Request<GetInviteTokenRequest>,
    ) -> std::result::Result<Response<InviteToken>, Status> {
        answer(self.get_invite(request).await)
    }

    async fn update_invite_token(
        &self,
        request: Request<UpdateInviteTokenRequest>,
    ) -> std::result::Result<Response<InviteToken>, Status> {
        answer(self.update_invite(request).await)
    }

    async fn reset_invite_token(
        &self,
        request: Request<ResetInviteTokenRequest>,
    ) -> std::result::Result<Response<ResetInviteTokenResponse>, Status> {
        answer(self.reset_invite(request).await)
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> std::result::Result<Response<Token>, Status> {
        answer(self.create(request).await)
    }

    async fn batch_create_tokens(
        &self,
        request: Request<BatchCreateTokensRequest>,
    ) -> std::result::Result<Response<BatchCreateTokensResponse>, Status> {
        answer(self.batch_create(request).await)
    }

    async fn get_token(
        &self,
        request: Request<GetTokenRequest>,
    ) -> std::result::Result<Response<Token>, Status> {
        answer(self.get(request).await)
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> std::result::Result<Response<ListTokensResponse>, Status> {
        answer(self.list(request).await)
    }

    async fn update_token(
        &self,
        request: Request<UpdateTokenRequest>,
    ) -> std::result::Result<Response<Token>, Status> {
        answer(self.update(request).await)
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> std::result::Result<Response<RevokeTokenResponse>, Status> {
        answer(self.revoke(request).await)
    }

    async fn reveal_token(
        &self,
        request: Request<RevealTokenRequest>,
    ) -> std::result::Result<Response<RevealTokenResponse>, Status> {
        answer(self.reveal(request).await)
    }
}
