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
use homeroom_kit::{Result, auth::Caller, filter::FieldKind, rpc, validation::Violations};

use super::{
    convert::filter,
    token_fields::{enrollment_code_patch, new_enrollment_code},
};
use crate::app::{App, enrollment_code, rules};

const FILTER_FIELDS: &[(&str, FieldKind)] = &[("enabled", FieldKind::Bool)];

/// Handlers of `EnrollmentCodeService`.
#[derive(Debug, Clone)]
pub struct EnrollmentCodeHandlers(pub Arc<App>);

homeroom_kit::rpcs! {
    EnrollmentCodeService for EnrollmentCodeHandlers {
        create_enrollment_code: CreateEnrollmentCodeRequest => EnrollmentCode;
        get_enrollment_code: GetEnrollmentCodeRequest => EnrollmentCode;
        list_enrollment_codes: ListEnrollmentCodesRequest => ListEnrollmentCodesResponse;
        update_enrollment_code: UpdateEnrollmentCodeRequest => EnrollmentCode;
        delete_enrollment_code: DeleteEnrollmentCodeRequest => ();
    }
}

impl EnrollmentCodeHandlers {
    async fn create_enrollment_code(
        &self,
        caller: &Caller,
        request: CreateEnrollmentCodeRequest,
    ) -> Result<EnrollmentCode> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let place = violations.take("parent", Place::parse(&request.parent));
        let asked = violations.required_or_default("enrollment_code", &request.enrollment_code);
        let new = new_enrollment_code(&mut violations, &asked, request.acknowledge_weak);
        let (place, new) = violations.finish_with(place.zip(new))?;
        let (rule, once) = (rules::CREATE_ENROLLMENT_CODE, (request_id, &request));
        self.0
            .change(caller, place, rule, once, move |work| {
                Box::pin(enrollment_code::create(work, new))
            })
            .await
    }

    async fn get_enrollment_code(
        &self,
        caller: &Caller,
        request: GetEnrollmentCodeRequest,
    ) -> Result<EnrollmentCode> {
        let name = rpc::name(EnrollmentCodeName::parse(&request.name))?;
        self.0.get_enrollment_code(caller, &name).await
    }

    async fn list_enrollment_codes(
        &self,
        caller: &Caller,
        request: ListEnrollmentCodesRequest,
    ) -> Result<ListEnrollmentCodesResponse> {
        let place = rpc::parent(Place::parse(&request.parent), request.page_size)?;
        let filter = filter(&request.filter, FILTER_FIELDS)?;
        let list = format!("ListEnrollmentCodes {} {}", request.parent, request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let page = self
            .0
            .list_enrollment_codes(caller, &place, &filter, &page)
            .await?;
        Ok(ListEnrollmentCodesResponse {
            enrollment_codes: page.items,
            next_page_token: page.next_page_token,
        })
    }

    async fn update_enrollment_code(
        &self,
        caller: &Caller,
        request: UpdateEnrollmentCodeRequest,
    ) -> Result<EnrollmentCode> {
        let mut violations = Violations::new();
        let request_id = violations.request_id(&request.request_id);
        let asked = violations.required_or_default("enrollment_code", &request.enrollment_code);
        let name = violations.take(
            "enrollment_code.name",
            EnrollmentCodeName::parse(&asked.name),
        );
        let patch = enrollment_code_patch(
            &mut violations,
            &asked,
            request.update_mask.as_ref(),
            request.acknowledge_weak,
        );
        let name = violations.finish_with(name)?;
        let (place, once) = (name.place.clone(), (request_id, &request));
        let rule = rules::UPDATE_ENROLLMENT_CODE;
        self.0
            .change(caller, place, rule, once, move |work| {
                Box::pin(enrollment_code::update(work, name, asked.etag, patch))
            })
            .await
    }

    async fn delete_enrollment_code(
        &self,
        caller: &Caller,
        request: DeleteEnrollmentCodeRequest,
    ) -> Result<()> {
        let parsed = EnrollmentCodeName::parse(&request.name);
        let (id, name) = rpc::change(&request.request_id, parsed)?;
        self.0
            .delete_enrollment_code(caller, name, (id, &request))
            .await
    }
}
