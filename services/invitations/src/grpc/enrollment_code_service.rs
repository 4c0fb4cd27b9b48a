//! `EnrollmentCodeService`.

use std::sync::Arc;

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, enrollment_code_service_server::EnrollmentCodeService},
    membership::v1::Permission::ManageInvitations,
    names::{InvitationKind, InvitationName, Place},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    clock::to_timestamp,
    filter::FieldKind,
    rpc::{self, etag},
    validation::Violations,
};

use super::{
    convert::filter,
    token_fields::{Acknowledged, code_fields, new_enrollment_code, read_code},
    views::{View, held, max_uses, views},
};
use crate::{
    app::{
        App,
        answer::Shown,
        code_fields::CodeFields,
        enrollment_code::{self, CodeUpdate},
        urls::HandedOut,
    },
    domain::{
        invitation::{InvitationFilter, InvitationState},
        way::Policy,
        ways::enrollment_code::EnrollmentCode,
    },
};

const CODE_FIELDS: &[&str] = &[
    "code",
    "valid_from_time",
    "valid_till_time",
    "email_domains",
    "enabled",
    "max_uses",
    "allow_rejoin",
    "display_name",
];

homeroom_kit::rpcs! {
    EnrollmentCodeService for pub struct EnrollmentCodeHandlers(pub Arc<App>) {
        create_enrollment_code: api::CreateEnrollmentCodeRequest => api::EnrollmentCode
            = change(ManageInvitations, create, enrollment_code::create);
        get_enrollment_code: api::GetEnrollmentCodeRequest => api::EnrollmentCode
            = get(name, App::get_enrollment_code);
        list_enrollment_codes: api::ListEnrollmentCodesRequest => api::ListEnrollmentCodesResponse { enrollment_codes }
            = list(Place::parse, code_filter, App::list_enrollment_codes);
        update_enrollment_code: api::UpdateEnrollmentCodeRequest => api::EnrollmentCode
            = change(ManageInvitations, update, enrollment_code::update);
        delete_enrollment_code: api::DeleteEnrollmentCodeRequest => ();
    }
}

impl EnrollmentCodeHandlers {
    async fn delete_enrollment_code(
        &self,
        caller: &Caller,
        request: api::DeleteEnrollmentCodeRequest,
    ) -> Result<()> {
        let parse = |v: &mut Violations| v.named(name(&request.name), &request.etag);
        let (id, (name, etag)) = rpc::change(&request.request_id, parse)?;
        let once = (id, &request);
        self.0
            .delete_enrollment_code(caller, name, etag, once)
            .await
    }
}

fn name(name: &str) -> std::result::Result<InvitationName, InvalidId> {
    InvitationName::parse_as(InvitationKind::EnrollmentCode, name)
}

fn code_filter(text: &str) -> Result<InvitationFilter> {
    filter(text, &[("enabled", FieldKind::Bool)])
}

fn create(
    v: &mut Violations,
    request: &api::CreateEnrollmentCodeRequest,
) -> Option<(Place, (EnrollmentCode, CodeFields))> {
    let place = v.take("parent", Place::parse(&request.parent));
    let asked = v.required_or_default("enrollment_code", &request.enrollment_code);
    let acknowledged = Acknowledged {
        weak: request.acknowledge_weak,
        broad_domain: request.acknowledge_broad_domain,
    };
    let new = new_enrollment_code(v, &asked, acknowledged);
    place.zip(new)
}

fn update(
    v: &mut Violations,
    request: &api::UpdateEnrollmentCodeRequest,
) -> Option<(InvitationName, (CodeUpdate, String))> {
    let asked = v.required_or_default("enrollment_code", &request.enrollment_code);
    let name = v.take("enrollment_code.name", name(&asked.name));
    let mask = v.mask(request.update_mask.as_ref(), CODE_FIELDS);
    let named = mask.touches("code", !asked.code.is_empty());
    let update = CodeUpdate {
        code: named.then(|| read_code(v, &asked.code)).flatten(),
        fields: code_fields(v, &mask, &asked, request.acknowledge_broad_domain),
        acknowledge_weak: request.acknowledge_weak,
    };
    Some((name?, (update, asked.etag)))
}

views!(api::EnrollmentCode);

/// Without the secret, `full_code` is the organization's prefix alone.
impl View for api::EnrollmentCode {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        let now = shown.now;
        let invitation = &row.invitation;
        let state = match invitation.state(now) {
            InvitationState::Revoked | InvitationState::Disabled => {
                api::enrollment_code::State::Disabled
            }
            InvitationState::Expired => api::enrollment_code::State::Expired,
            InvitationState::NotYetValid => api::enrollment_code::State::NotYetValid,
            InvitationState::UsedUp => api::enrollment_code::State::UsedUp,
            InvitationState::Active => api::enrollment_code::State::Active,
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
            max_uses: Some(max_uses(invitation)),
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
