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
use homeroom_kit::{Result, auth::Caller, validation::Violations};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    answer,
    convert::{Named, lock_period, present},
};
use crate::app::{App, ClassCodeChange, Idempotency, Patch};

/// Handlers of `ClassCodeService`.
#[derive(Debug, Clone)]
pub struct ClassCodeHandlers(pub Arc<App>);

impl ClassCodeHandlers {
    async fn get(&self, request: Request<GetClassCodeRequest>) -> Result<ClassCode> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = violations.take("name", ClassCodeName::parse(&request.get_ref().name));
        violations.finish()?;
        self.0.get_class_code(&caller, present(name)?.0).await
    }

    async fn update(&self, request: Request<UpdateClassCodeRequest>) -> Result<ClassCode> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        violations.check(message.class_code.is_some(), "class_code", "is required");
        let asked = message.class_code.clone().unwrap_or_default();
        let name = violations.take("class_code.name", ClassCodeName::parse(&asked.name));
        let named = Named::read(
            &mut violations,
            message.update_mask.as_ref(),
            &["lock_period"],
        );
        let period = lock_period(
            &mut violations,
            "class_code.lock_period",
            asked.lock_period.as_ref(),
        );
        violations.finish()?;
        let change = ClassCodeChange::Update(Patch::when(
            named.has("lock_period", asked.lock_period.is_some()),
            period,
        ));
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .change_class_code(&caller, present(name)?.0, asked.etag, change, idempotency)
            .await
    }

    /// Lock, unlock and reset, which are alike but for what they do.
    async fn change<M: Message>(
        &self,
        caller: &Caller,
        message: &M,
        (name, etag, request_id): (&str, &str, &str),
        change: ClassCodeChange,
    ) -> Result<Option<ClassCode>> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(request_id);
        let name = violations.take("name", ClassCodeName::parse(name));
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, caller, request_id, message);
        self.0
            .change_class_code(
                caller,
                present(name)?.0,
                etag.to_owned(),
                change,
                idempotency,
            )
            .await
            .map(Some)
    }

    async fn lock(&self, request: Request<LockClassCodeRequest>) -> Result<LockClassCodeResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let parts = (
            message.name.as_str(),
            message.etag.as_str(),
            message.request_id.as_str(),
        );
        let class_code = self
            .change(&caller, &message, parts, ClassCodeChange::Lock)
            .await?;
        Ok(LockClassCodeResponse { class_code })
    }

    async fn unlock(
        &self,
        request: Request<UnlockClassCodeRequest>,
    ) -> Result<UnlockClassCodeResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let parts = (
            message.name.as_str(),
            message.etag.as_str(),
            message.request_id.as_str(),
        );
        let class_code = self
            .change(&caller, &message, parts, ClassCodeChange::Unlock)
            .await?;
        Ok(UnlockClassCodeResponse { class_code })
    }

    async fn reset(
        &self,
        request: Request<ResetClassCodeRequest>,
    ) -> Result<ResetClassCodeResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let parts = (
            message.name.as_str(),
            message.etag.as_str(),
            message.request_id.as_str(),
        );
        let class_code = self
            .change(&caller, &message, parts, ClassCodeChange::Reset)
            .await?;
        Ok(ResetClassCodeResponse { class_code })
    }
}

#[tonic::async_trait]
impl ClassCodeService for ClassCodeHandlers {
    async fn get_class_code(
        &self,
        request: Request<GetClassCodeRequest>,
    ) -> std::result::Result<Response<ClassCode>, Status> {
        answer(self.get(request).await)
    }

    async fn update_class_code(
        &self,
        request: Request<UpdateClassCodeRequest>,
    ) -> std::result::Result<Response<ClassCode>, Status> {
        answer(self.update(request).await)
    }

    async fn lock_class_code(
        &self,
        request: Request<LockClassCodeRequest>,
    ) -> std::result::Result<Response<LockClassCodeResponse>, Status> {
        answer(self.lock(request).await)
    }

    async fn unlock_class_code(
        &self,
        request: Request<UnlockClassCodeRequest>,
    ) -> std::result::Result<Response<UnlockClassCodeResponse>, Status> {
        answer(self.unlock(request).await)
    }

    async fn reset_class_code(
        &self,
        request: Request<ResetClassCodeRequest>,
    ) -> std::result::Result<Response<ResetClassCodeResponse>, Status> {
        answer(self.reset(request).await)
    }
}
