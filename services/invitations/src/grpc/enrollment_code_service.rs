//! `EnrollmentCodeService`.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{
        CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
        GetEnrollmentCodeRequest, ListEnrollmentCodesRequest, ListEnrollmentCodesResponse,
        UpdateEnrollmentCodeRequest, enrollment_code_service_server::EnrollmentCodeService,
    },
    names::{EnrollmentCodeName, Place},
};
use homeroom_kit::{Result, auth::Caller, filter::FieldKind, validation::Violations};
use tonic::{Request, Response, Status};

use super::{
    answer,
    convert::{filter, present},
    token_fields::{enrollment_code_patch, new_enrollment_code},
};
use crate::app::{App, Idempotency};

const FILTER_FIELDS: &[(&str, FieldKind)] = &[("enabled", FieldKind::Bool)];

/// Handlers of `EnrollmentCodeService`.
#[derive(Debug, Clone)]
pub struct EnrollmentCodeHandlers(pub Arc<App>);

impl EnrollmentCodeHandlers {
    async fn create(
        &self,
        request: Request<CreateEnrollmentCodeRequest>,
    ) -> Result<EnrollmentCode> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        let place = violations.take("parent", Place::parse(&message.parent));
        violations.check(
            message.enrollment_code.is_some(),
            "enrollment_code",
            "is required",
        );
        let asked = message.enrollment_code.clone().unwrap_or_default();
        let new = new_enrollment_code(violations, &asked, message.acknowledge_weak)?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .create_enrollment_code(&caller, present(place)?, new, idempotency)
            .await
    }

    async fn get(&self, request: Request<GetEnrollmentCodeRequest>) -> Result<EnrollmentCode> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = violations.take("name", EnrollmentCodeName::parse(&request.get_ref().name));
        violations.finish()?;
        self.0.get_enrollment_code(&caller, &present(name)?).await
    }

    async fn list(
        &self,
        request: Request<ListEnrollmentCodesRequest>,
    ) -> Result<ListEnrollmentCodesResponse> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let place = violations.take("parent", Place::parse(&message.parent));
        violations.page_size(message.page_size);
        violations.finish()?;
        let filter = filter(&message.filter, FILTER_FIELDS)?;
        let list = format!("ListEnrollmentCodes {} {}", message.parent, message.filter);
        let page = self
            .0
            .page_asked(list, message.page_size, &message.page_token)?;
        let page = self
            .0
            .list_enrollment_codes(&caller, &present(place)?, &filter, &page)
            .await?;
        Ok(ListEnrollmentCodesResponse {
            enrollment_codes: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn update(
        &self,
        request: Request<UpdateEnrollmentCodeRequest>,
    ) -> Result<EnrollmentCode> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        violations.check(
            message.enrollment_code.is_some(),
            "enrollment_code",
            "is required",
        );
        let asked = message.enrollment_code.clone().unwrap_or_default();
        let name = violations.take(
            "enrollment_code.name",
            EnrollmentCodeName::parse(&asked.name),
        );
        let patch = enrollment_code_patch(
            &mut violations,
            &asked,
            message.update_mask.as_ref(),
            message.acknowledge_weak,
        );
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .update_enrollment_code(&caller, present(name)?, asked.etag, patch, idempotency)
            .await
    }

    async fn delete(&self, request: Request<DeleteEnrollmentCodeRequest>) -> Result<()> {
        let caller = Caller::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::new();
        let request_id = violations.request_id(&message.request_id);
        let name = violations.take("name", EnrollmentCodeName::parse(&message.name));
        violations.finish()?;
        let idempotency = Idempotency::of(&self.0, &caller, request_id, &message);
        self.0
            .delete_enrollment_code(&caller, present(name)?, message.etag, idempotency)
            .await
    }
}

#[tonic::async_trait]
impl EnrollmentCodeService for EnrollmentCodeHandlers {
    async fn create_enrollment_code(
        &self,
        request: Request<CreateEnrollmentCodeRequest>,
    ) -> std::result::Result<Response<EnrollmentCode>, Status> {
        answer(self.create(request).await)
    }

    async fn get_enrollment_code(
        &self,
        request: Request<GetEnrollmentCodeRequest>,
    ) -> std::result::Result<Response<EnrollmentCode>, Status> {
        answer(self.get(request).await)
    }

    async fn list_enrollment_codes(
        &self,
        request: Request<ListEnrollmentCodesRequest>,
    ) -> std::result::Result<Response<ListEnrollmentCodesResponse>, Status> {
        answer(self.list(request).await)
    }

    async fn update_enrollment_code(
        &self,
        request: Request<UpdateEnrollmentCodeRequest>,
    ) -> std::result::Result<Response<EnrollmentCode>, Status> {
        answer(self.update(request).await)
    }

    async fn delete_enrollment_code(
        &self,
        request: Request<DeleteEnrollmentCodeRequest>,
    ) -> std::result::Result<Response<()>, Status> {
        answer(self.delete(request).await)
    }
}
