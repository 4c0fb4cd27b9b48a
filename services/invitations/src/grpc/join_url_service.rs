//! `JoinUrlService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        GetJoinUrlRequest, JoinUrl, UpdateJoinUrlRequest, join_url_service_server::JoinUrlService,
    },
    names::JoinUrlName,
};
use homeroom_kit::{Result, auth::Caller, rpc, validation::Violations};

use crate::{
    app::{App, Patch, join_url, rules, views},
    domain::invitation::InvitationKind,
};

/// Handlers of `JoinUrlService`.
#[derive(Debug, Clone)]
pub struct JoinUrlHandlers(pub Arc<App>);

homeroom_kit::rpcs! {
    JoinUrlService for JoinUrlHandlers {
        get_join_url: GetJoinUrlRequest => JoinUrl;
        update_join_url: UpdateJoinUrlRequest => JoinUrl;
    }
}

impl JoinUrlHandlers {
    async fn get_join_url(&self, caller: &Caller, request: GetJoinUrlRequest) -> Result<JoinUrl> {
        let name = rpc::name(JoinUrlName::parse(&request.name))?;
        let (kind, rule) = (InvitationKind::JoinUrl, rules::GET_JOIN_URL);
        let view = views::join_url;
        self.0
            .show_singleton(caller, name.0, kind, rule, view)
            .await
    }

    async fn update_join_url(
        &self,
        caller: &Caller,
        request: UpdateJoinUrlRequest,
    ) -> Result<JoinUrl> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let asked = violations.required_or_default("join_url", &request.join_url);
        let name = violations.take("join_url.name", JoinUrlName::parse(&asked.name));
        let mask = violations.mask(request.update_mask.as_ref(), &["enabled"]);
        let name = violations.finish_with(name)?;
        let enabled = Patch::when(mask.touches("enabled", asked.enabled), asked.enabled);
        let (rule, once) = (rules::UPDATE_JOIN_URL, (request_id, &request));
        self.0
            .change(caller, name.0, rule, once, move |work| {
                Box::pin(join_url::update(work, asked.etag, enabled))
            })
            .await
    }
}
