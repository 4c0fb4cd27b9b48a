//! `AdmissionService`, by which the invitations service admits people. Needs the scope `homeroom.admit`.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        self as api, admission_service_server::AdmissionService, batch_admit_response,
    },
    names::{Place, RedemptionName},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    rpc::{self, place_not_found},
    validation::Violations,
};

use super::admission_conversion as conversion;
use crate::{
    admission::{
        admit::{AdmitRequest, Admitted},
        lanes::Lanes,
        plan::Admission,
    },
    app::{App, rules},
    domain::admission::ADMISSIONS_MAX,
};

/// The service's handlers.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionApi {
    app: App,
    lanes: Lanes,
}

/// Parses one redemption, if the caller's token covers its organization.
fn read(caller: &Caller, request: &api::AdmitRequest) -> Result<AdmitRequest> {
    let read = conversion::admit_request(request)?;
    if caller.may_reach(read.place.organization()) {
        Ok(read)
    } else {
        Err(place_not_found(&read.place))
    }
}

impl AdmissionApi {
    pub(crate) fn new(app: App) -> Self {
        let lanes = Lanes::new(app.clone());
        Self { app, lanes }
    }

    /// Admits or previews each row by itself; a row that could not be parsed keeps its error.
    async fn admit_rows(&self, caller: &Caller, rows: &[api::AdmitRequest]) -> Result<Admitted> {
        let mut results: Vec<Option<Result<Admission>>> = Vec::new();
        let mut to_admit = Vec::new();
        let mut to_preview = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            results.push(None);
            match read(caller, row) {
                Ok(request) if row.validate_only => to_preview.push((index, request)),
                Ok(request) => to_admit.push((index, request)),
                Err(error) => {
                    if let Some(result) = results.last_mut() {
                        *result = Some(Err(error));
                    }
                }
            }
        }
        // Previews come first: no failed read may throw away what is committed.
        let (preview_places, requests): (Vec<usize>, Vec<AdmitRequest>) =
            to_preview.into_iter().unzip();
        let previewed = self.app.preview(&requests).await?;
        let (places, requests): (Vec<usize>, Vec<AdmitRequest>) = to_admit.into_iter().unzip();
        let admitted = self.lanes.submit(requests, caller.time_left()).await?;
        let answers = places.into_iter().zip(admitted);
        for (index, answer) in answers.chain(preview_places.into_iter().zip(previewed)) {
            if let Some(result) = results.get_mut(index) {
                *result = Some(answer);
            }
        }
        let unanswered = || Err(Error::internal("a redemption has no answer"));
        Ok(results
            .into_iter()
            .map(|result| result.unwrap_or_else(unanswered))
            .collect())
    }
}

homeroom_kit::rpcs! {
    AdmissionService for AdmissionApi {
        admit: api::AdmitRequest => api::AdmitResponse;
        batch_admit: api::BatchAdmitRequest => api::BatchAdmitResponse;
        get_admission: api::GetAdmissionRequest => api::Admission;
        raise_fence: api::RaiseFenceRequest => api::RaiseFenceResponse;
        check_access: api::CheckAccessRequest => api::CheckAccessResponse;
    }
}

impl AdmissionApi {
    async fn admit(
        &self,
        caller: &Caller,
        request: api::AdmitRequest,
    ) -> Result<api::AdmitResponse> {
        rules::ADMIT.require_scope(caller)?;
        let rows = [request];
        let mut answers = self.admit_rows(caller, &rows).await?;
        let answer = answers
            .pop()
            .unwrap_or_else(|| Err(Error::internal("a redemption has no answer")))?;
        Ok(api::AdmitResponse {
            admission: Some(conversion::admission(&answer)),
        })
    }

    async fn batch_admit(
        &self,
        caller: &Caller,
        request: api::BatchAdmitRequest,
    ) -> Result<api::BatchAdmitResponse> {
        rules::BATCH_ADMIT.require_scope(caller)?;
        let rows = request.requests;
        let mut violations = Violations::new();
        violations.check(
            (1..=ADMISSIONS_MAX).contains(&rows.len()),
            "requests",
            format!("must hold 1 to {ADMISSIONS_MAX} redemptions"),
        );
        violations.finish()?;
        let answers = self.admit_rows(caller, &rows).await?;
        let results = (0_i32..).zip(answers).map(|(index, answer)| {
            let outcome = match answer {
                Ok(answer) => {
                    batch_admit_response::result::Outcome::Admission(conversion::admission(&answer))
                }
                Err(error) => {
                    batch_admit_response::result::Outcome::Status(error.into_row_status())
                }
            };
            batch_admit_response::Result {
                index,
                outcome: Some(outcome),
            }
        });
        Ok(api::BatchAdmitResponse {
            results: results.collect(),
        })
    }

    async fn get_admission(
        &self,
        caller: &Caller,
        request: api::GetAdmissionRequest,
    ) -> Result<api::Admission> {
        rules::GET_ADMISSION.require_scope(caller)?;
        let name = rpc::name(RedemptionName::parse(&request.name))?;
        let admission = self.app.get_admission(caller, &name).await?;
        Ok(conversion::admission(&admission))
    }

    async fn raise_fence(
        &self,
        caller: &Caller,
        request: api::RaiseFenceRequest,
    ) -> Result<api::RaiseFenceResponse> {
        rules::RAISE_FENCE.require_scope(caller)?;
        let api::RaiseFenceRequest { invitation, epoch } = request;
        let place = conversion::place_of_invitation(&invitation);
        let mut violations = Violations::new();
        violations.check(
            place.is_some(),
            "invitation",
            "must be the name of an invitation",
        );
        violations.check(epoch >= 0, "epoch", "must not be negative");
        let place = violations.finish_with(place)?;
        if !caller.may_reach(place.organization()) {
            return Err(place_not_found(&place));
        }
        let epoch = self.app.raise_fence(invitation, epoch).await?;
        Ok(api::RaiseFenceResponse { epoch })
    }

    async fn check_access(
        &self,
        caller: &Caller,
        request: api::CheckAccessRequest,
    ) -> Result<api::CheckAccessResponse> {
        rules::CHECK_ACCESS.require_scope(caller)?;
        let mut violations = Violations::new();
        let user = violations.take("user", UserId::parse(&request.user));
        let place = violations.take("name", Place::parse(&request.name));
        let permission = place
            .as_ref()
            .and_then(|place| conversion::permission(request.permission(), place));
        let asked = api::Permission::try_from(request.permission)
            .is_ok_and(|permission| permission != api::Permission::Unspecified);
        violations.check(asked, "permission", "is required");
        let read = user.zip(place).zip(permission);
        let ((user, place), permission) = violations.finish_with(read)?;
        let access = self
            .app
            .check_access(caller, &user, &place, permission)
            .await?;
        Ok(access.map(conversion::access).unwrap_or_default())
    }
}
