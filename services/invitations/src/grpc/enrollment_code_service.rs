//! `EnrollmentCodeService`.

use std::sync::Arc;

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, enrollment_code_service_server::EnrollmentCodeService},
    names::{InvitationKind, InvitationName, Place},
};
use homeroom_kit::{Result, auth::Caller, filter::FieldKind, rpc, validation::Violations};

use super::{
    convert::filter,
    token_fields::{code_fields, new_enrollment_code, read_code},
};
use crate::{
    app::{
        App,
        code_fields::CodeFields,
        enrollment_code::{self, CodeUpdate},
        rules,
    },
    domain,
    store::InvitationFilter,
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
            = change(rules::CREATE_ENROLLMENT_CODE, create, enrollment_code::create);
        get_enrollment_code: api::GetEnrollmentCodeRequest => api::EnrollmentCode
            = get(name, App::get_enrollment_code);
        list_enrollment_codes: api::ListEnrollmentCodesRequest => api::ListEnrollmentCodesResponse { enrollment_codes }
            = list(Place::parse, code_filter, App::list_enrollment_codes);
        update_enrollment_code: api::UpdateEnrollmentCodeRequest => api::EnrollmentCode
            = change(rules::UPDATE_ENROLLMENT_CODE, update, enrollment_code::update);
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
) -> Option<(Place, (domain::enrollment_code::EnrollmentCode, CodeFields))> {
    let place = v.take("parent", Place::parse(&request.parent));
    let asked = v.required_or_default("enrollment_code", &request.enrollment_code);
    let new = new_enrollment_code(v, &asked, request.acknowledge_weak);
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
        fields: code_fields(v, &mask, &asked),
        acknowledge_weak: request.acknowledge_weak,
    };
    Some((name?, (update, asked.etag)))
}
