//! `JoinUrlService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        GetJoinUrlRequest, JoinUrl, UpdateJoinUrlRequest, join_url_service_server::JoinUrlService,
    },
    names::JoinUrlName,
};
use homeroom_kit::{Result, auth::Caller, validation::Violations};
use tonic::{Request, Response, Status};

use super::{
    answer,
    convert::{Named, present},
};
use crate::app::{App, Idempotency, Patch};

/// Handlers of `JoinUrlService`.
#[derive(Debug, Clone)]
pub struct JoinUrlHandlers(pub Arc<App>);

impl JoinUrlHandlers {
    async fn get(&self, request: Request<GetJoinUrlRequest>) -> Result<JoinUrl> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = violations.take("name", JoinUrlName::parse(&request.get_ref().name));
        violations.finish()?;
        self.0.get_join_url(&caller, present(name)?.0).await
    }

    async fn update(&self, request: Request<UpdateJoinUrlRequest>) -> Result<JoinUrl> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        violations.check(message.join_url.is_some(), "join_url", "is required");
        let asked = message.join_url.clone().unwrap_or_default();
        let name = violations.take("join_url.name", JoinUrlName::parse(&asked.name));
        let named = Named::read(&mut violations, message.update_mask.as_ref(), &["enabled"]);
        violations.finish()?;
        let enabled = Patch::when(named.has("enabled", asked.enabled), asked.enabled);
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .update_join_url(&caller, present(name)?.0, asked.etag, enabled, idempotency)
            .await
    }
}

#[tonic::async_trait]
impl JoinUrlService for JoinUrlHandlers {
    async fn get_join_url(
        &self,
        request: Request<GetJoinUrlRequest>,
    ) -> std::result::Result<Response<JoinUrl>, Status> {
        answer(self.get(request).await)
    }

    async fn update_join_url(
        &self,
        request: Request<UpdateJoinUrlRequest>,
    ) -> std::result::Result<Response<JoinUrl>, Status> {
        answer(self.update(request).await)
    }
}
