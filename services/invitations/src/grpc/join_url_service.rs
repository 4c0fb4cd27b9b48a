//! `JoinUrlService`.

use std::sync::Arc;

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, join_url_service_server::JoinUrlService},
    names::{InvitationKind, InvitationName},
};
use homeroom_kit::{rpc::Patch, validation::Violations};

use crate::app::{App, join_url, rules};

homeroom_kit::rpcs! {
    JoinUrlService for pub struct JoinUrlHandlers(pub Arc<App>) {
        get_join_url: api::GetJoinUrlRequest => api::JoinUrl = get(name, App::get_singleton);
        update_join_url: api::UpdateJoinUrlRequest => api::JoinUrl
            = change(rules::UPDATE_JOIN_URL, update, join_url::update);
    }
}

fn name(name: &str) -> Result<InvitationName, InvalidId> {
    InvitationName::parse_as(InvitationKind::JoinUrl, name)
}

fn update(
    v: &mut Violations,
    request: &api::UpdateJoinUrlRequest,
) -> Option<(InvitationName, (Patch<bool>, String))> {
    let asked = v.required_or_default("join_url", &request.join_url);
    let name = v.take("join_url.name", name(&asked.name));
    let mask = v.mask(request.update_mask.as_ref(), &["enabled"]);
    let enabled = mask.patch("enabled", asked.enabled, || asked.enabled);
    Some((name?, (enabled, asked.etag)))
}
