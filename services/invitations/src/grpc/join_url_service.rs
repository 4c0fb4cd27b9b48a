//! `JoinUrlService`.

use std::sync::Arc;

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, join_url_service_server::JoinUrlService},
    membership::v1::Permission::ManageInvitations,
    names::{InvitationKind, InvitationName},
};
use homeroom_kit::{
    clock::to_timestamp,
    rpc::{Patch, etag},
    validation::Violations,
};

use super::views::{View, held, views};
use crate::{
    app::{App, answer::Shown, singleton, urls::HandedOut},
    domain::way::Policy,
};

homeroom_kit::rpcs! {
    JoinUrlService for pub struct JoinUrlHandlers(pub Arc<App>) {
        get_join_url: api::GetJoinUrlRequest => api::JoinUrl = get(name, App::get_singleton);
        update_join_url: api::UpdateJoinUrlRequest => api::JoinUrl
            = change(ManageInvitations, update, singleton::set_enabled);
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

views!(api::JoinUrl);

impl View for api::JoinUrl {
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
