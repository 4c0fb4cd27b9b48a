//! `ClassCodeService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        ClassCode, GetClassCodeRequest, LockClassCodeRequest, LockClassCodeResponse,
        ResetClassCodeRequest, ResetClassCodeResponse, UnlockClassCodeRequest,
        UnlockClassCodeResponse, UpdateClassCodeRequest,
        class_code_service_server::ClassCodeService,
    },
    names::ClassCodeName,
};
use homeroom_kit::{Result, auth::Caller, rpc, validation::Violations};
use prost::Message;
use uuid::Uuid;

use super::convert::lock_period;
use crate::{
    app::{App, ClassCodeChange, Patch, class_code, rules, views},
    domain::invitation::InvitationKind,
};

/// Handlers of `ClassCodeService`.
#[derive(Debug, Clone)]
pub struct ClassCodeHandlers(pub Arc<App>);

homeroom_kit::rpcs! {
    ClassCodeService for ClassCodeHandlers {
        get_class_code: GetClassCodeRequest => ClassCode;
        update_class_code: UpdateClassCodeRequest => ClassCode;
        lock_class_code: LockClassCodeRequest => LockClassCodeResponse;
        unlock_class_code: UnlockClassCodeRequest => UnlockClassCodeResponse;
        reset_class_code: ResetClassCodeRequest => ResetClassCodeResponse;
    }
}

impl ClassCodeHandlers {
    async fn get_class_code(
        &self,
        caller: &Caller,
        request: GetClassCodeRequest,
    ) -> Result<ClassCode> {
        let name = rpc::name(ClassCodeName::parse(&request.name))?;
        let (kind, rule) = (InvitationKind::ClassCode, rules::GET_CLASS_CODE);
        let view = |row: &_| views::class_code(row, self.0.clock.now());
        self.0
            .show_singleton(caller, name.0, kind, rule, view)
            .await
    }

    async fn update_class_code(
        &self,
        caller: &Caller,
        request: UpdateClassCodeRequest,
    ) -> Result<ClassCode> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let asked = violations.required_or_default("class_code", &request.class_code);
        let name = violations.take("class_code.name", ClassCodeName::parse(&asked.name));
        let mask = violations.mask(request.update_mask.as_ref(), &["lock_period"]);
        let period = lock_period(
            &mut violations,
            "class_code.lock_period",
            asked.lock_period.as_ref(),
        );
        let period = Patch::when(
            mask.touches("lock_period", asked.lock_period.is_some()),
            period,
        );
        let named = (request_id, violations.finish_with(name)?, asked.etag);
        let change = ClassCodeChange::Update(period);
        self.change(caller, &request, named, change).await
    }

    /// Makes a change of a class code; shared by all changes.
    async fn change<M: Message>(
        &self,
        caller: &Caller,
        message: &M,
        (request_id, name, etag): (Option<Uuid>, ClassCodeName, String),
        change: ClassCodeChange,
    ) -> Result<ClassCode> {
        let (rule, once) = (change.rule(), (request_id, message));
        self.0
            .change(caller, name.0, rule, once, move |work| {
                Box::pin(class_code::change(work, etag, change))
            })
            .await
    }

    async fn lock_class_code(
        &self,
        caller: &Caller,
        request: LockClassCodeRequest,
    ) -> Result<LockClassCodeResponse> {
        let named = named(&request.request_id, &request.name, &request.etag)?;
        let change = ClassCodeChange::Lock;
        let class_code = Some(self.change(caller, &request, named, change).await?);
        Ok(LockClassCodeResponse { class_code })
    }

    async fn unlock_class_code(
        &self,
        caller: &Caller,
        request: UnlockClassCodeRequest,
    ) -> Result<UnlockClassCodeResponse> {
        let named = named(&request.request_id, &request.name, &request.etag)?;
        let change = ClassCodeChange::Unlock;
        let class_code = Some(self.change(caller, &request, named, change).await?);
        Ok(UnlockClassCodeResponse { class_code })
    }

    async fn reset_class_code(
        &self,
        caller: &Caller,
        request: ResetClassCodeRequest,
    ) -> Result<ResetClassCodeResponse> {
        let named = named(&request.request_id, &request.name, &request.etag)?;
        let change = ClassCodeChange::Reset;
        let class_code = Some(self.change(caller, &request, named, change).await?);
        Ok(ResetClassCodeResponse { class_code })
    }
}

/// Parses the fields that lock, unlock and reset share.
fn named(
    request_id: &str,
    name: &str,
    etag: &str,
) -> Result<(Option<Uuid>, ClassCodeName, String)> {
    let (request_id, name) = rpc::change(request_id, ClassCodeName::parse(name))?;
    Ok((request_id, name, etag.to_owned()))
}
