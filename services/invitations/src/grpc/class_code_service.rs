//! `ClassCodeService`.

use std::sync::Arc;

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, class_code_service_server::ClassCodeService},
    names::{InvitationKind, InvitationName},
};
use homeroom_kit::{rpc::Patch, validation::Violations};

use super::convert::lock_period;
use crate::{
    app::{App, class_code, rules},
    domain::lock::LockPeriod,
};

homeroom_kit::rpcs! {
    ClassCodeService for pub struct ClassCodeHandlers(pub Arc<App>) {
        get_class_code: api::GetClassCodeRequest => api::ClassCode = get(name, App::get_singleton);
        update_class_code: api::UpdateClassCodeRequest => api::ClassCode
            = change(rules::UPDATE_CLASS_CODE, update, class_code::update);
        lock_class_code: api::LockClassCodeRequest => api::LockClassCodeResponse { class_code }
            = act(rules::LOCK_CLASS_CODE, name, class_code::lock);
        unlock_class_code: api::UnlockClassCodeRequest => api::UnlockClassCodeResponse { class_code }
            = act(rules::UNLOCK_CLASS_CODE, name, class_code::unlock);
        reset_class_code: api::ResetClassCodeRequest => api::ResetClassCodeResponse { class_code }
            = act(rules::RESET_CLASS_CODE, name, class_code::reset);
    }
}

fn name(name: &str) -> Result<InvitationName, InvalidId> {
    InvitationName::parse_as(InvitationKind::ClassCode, name)
}

fn update(
    v: &mut Violations,
    request: &api::UpdateClassCodeRequest,
) -> Option<(InvitationName, (Patch<LockPeriod>, String))> {
    let asked = v.required_or_default("class_code", &request.class_code);
    let name = v.take("class_code.name", name(&asked.name));
    let mask = v.mask(request.update_mask.as_ref(), &["lock_period"]);
    let read = asked.lock_period.as_ref();
    let populated = read.is_some();
    let read = lock_period(v, "class_code.lock_period", read);
    let period = mask.patch("lock_period", populated, || read);
    Some((name?, (period, asked.etag)))
}
