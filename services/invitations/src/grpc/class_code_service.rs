//! `ClassCodeService`.

use std::sync::Arc;

use homeroom_api::{
    ids::InvalidId,
    invitations::v1::{self as api, class_code_service_server::ClassCodeService},
    membership::v1::Permission::ManageInvitations,
    names::{InvitationKind, InvitationName},
};
use homeroom_kit::{
    clock::to_timestamp,
    rpc::{Patch, etag},
    validation::Violations,
};
use prost_types::Duration;

use super::{
    convert::lock_period,
    views::{View, admissions, url, views},
};
use crate::{
    app::{App, answer::Shown, class_code, singleton, urls::HandedOut},
    domain::{
        lock::{Lock, LockPeriod},
        way::Policy,
    },
};

/// The number of nanoseconds in a microsecond.
const NANOS_PER_MICRO: i32 = 1_000;

homeroom_kit::rpcs! {
    ClassCodeService for pub struct ClassCodeHandlers(pub Arc<App>) {
        get_class_code: api::GetClassCodeRequest => api::ClassCode = get(name, App::get_singleton);
        update_class_code: api::UpdateClassCodeRequest => api::ClassCode
            = change(ManageInvitations, update, class_code::update);
        lock_class_code: api::LockClassCodeRequest => api::LockClassCodeResponse { class_code }
            = act(ManageInvitations, name, class_code::lock);
        unlock_class_code: api::UnlockClassCodeRequest => api::UnlockClassCodeResponse { class_code }
            = act(ManageInvitations, name, class_code::unlock);
        reset_class_code: api::ResetClassCodeRequest => api::ResetClassCodeResponse { class_code }
            = act(ManageInvitations, name, singleton::reset);
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

views!(api::ClassCode);

impl View for api::ClassCode {
    fn masked(shown: &Shown) -> Self {
        let row = &shown.row;
        let now = shown.now;
        let invitation = &row.invitation;
        let state = if invitation.is_locked(now) {
            api::class_code::State::Locked
        } else {
            api::class_code::State::Unlocked
        };
        let lock = invitation.lock.as_ref();
        let period = lock.and_then(|lock| lock.period.duration());
        Self {
            name: invitation.name().to_string(),
            state: state.into(),
            lock_time: lock.and_then(Lock::lock_time).map(to_timestamp),
            lock_period: Some(period.map_or_else(Duration::default, |period| Duration {
                seconds: period.num_seconds(),
                nanos: period.subsec_micros() * NANOS_PER_MICRO,
            })),
            use_count: admissions(invitation.uses),
            may_be_public: Policy::of(invitation.kind).may_be_public,
            etag: etag(row.revision),
            create_time: Some(to_timestamp(invitation.issue_time)),
            update_time: Some(to_timestamp(row.update_time)),
            code: String::new(),
            join_link: String::new(),
        }
    }

    fn show(&mut self, secret: HandedOut) {
        secret.text.expose().clone_into(&mut self.code);
        self.join_link = url(secret);
    }
}
