//! `AdmissionService`: how the invitations service admits people. Scope `homeroom.admit`.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        self as api, admission_service_server::AdmissionService, batch_admit_response,
    },
    names::Place,
};
use homeroom_kit::{Error, Result, auth::Caller, validation::Violations};
use tonic::{Request, Response, Status};

use super::{admission_conversion as conversion, parse};
use crate::{
    admission::{
        admit::{AdmitRequest, Admitted},
        lanes::Lanes,
        plan::Admission,
    },
    app::{
        App,
        access::place_not_found,
        rules::{self, Rule},
    },
    domain::admission::ADMISSIONS_MAX,
};

/// The service's handlers.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionApi {
    app: App,
    lanes: Lanes,
}

fn admitting<T>(request: &Request<T>, rule: &Rule) -> Result<Caller> {
    let caller = Caller::of(request)?;
    rule.require_scope(&caller)?;
    Ok(caller)
}

/// Reads one redemption, within the organizations that the caller's token covers.
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

    /// Admits or previews each row by itself; rows that could not be read keep their error.
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
        let (places, requests): (Vec<usize>, Vec<AdmitRequest>) = to_admit.into_iter().unzip();
        let admitted = self.lanes.submit(requests, caller.time_left()).await?;
        let (preview_places, requests): (Vec<usize>, Vec<AdmitRequest>) =
            to_preview.into_iter().unzip();
        let previewed = self.app.preview(&requests).await?;
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

#[tonic::async_trait]
impl AdmissionService for AdmissionApi {
    async fn admit(
        &self,
        request: Request<api::AdmitRequest>,
    ) -> std::result::Result<Response<api::AdmitResponse>, Status> {
        let caller = admitting(&request, &rules::ADMIT)?;
        let rows = [request.into_inner()];
        let mut answers = self.admit_rows(&caller, &rows).await?;
        let answer = answers
            .pop()
            .unwrap_or_else(|| Err(Error::internal("a redemption has no answer")))?;
        Ok(Response::new(api::AdmitResponse {
            admission: Some(conversion::admission(&answer)),
        }))
    }

    async fn batch_admit(
        &self,
        request: Request<api::BatchAdmitRequest>,
    ) -> std::result::Result<Response<api::BatchAdmitResponse>, Status> {
        let caller = admitting(&request, &rules::BATCH_ADMIT)?;
        let rows = request.into_inner().requests;
        let mut violations = Violations::new();
        violations.check(
            (1..=ADMISSIONS_MAX).contains(&rows.len()),
            "requests",
            format!("must hold 1 to {ADMISSIONS_MAX} redemptions"),
        );
        violations.finish()?;
        let answers = self.admit_rows(&caller, &rows).await?;
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
        Ok(Response::new(api::BatchAdmitResponse {
            results: results.collect(),
        }))
    }

    async fn get_admission(
        &self,
        request: Request<api::GetAdmissionRequest>,
    ) -> std::result::Result<Response<api::Admission>, Status> {
        let caller = admitting(&request, &rules::GET_ADMISSION)?;
        let mut violations = Violations::new();
        let name = conversion::redemption_name(&request.get_ref().name);
        let name = violations.take("name", name);
        let name = parse::finish(violations, name)?;
        let admission = self.app.get_admission(&caller, &name).await?;
        Ok(Response::new(conversion::admission(&admission)))
    }

    async fn raise_fence(
        &self,
        request: Request<api::RaiseFenceRequest>,
    ) -> std::result::Result<Response<api::RaiseFenceResponse>, Status> {
        let caller = admitting(&request, &rules::RAISE_FENCE)?;
        let api::RaiseFenceRequest { invitation, epoch } = request.into_inner();
        let place = conversion::place_of_invitation(&invitation);
        let mut violations = Violations::new();
        violations.check(
            place.is_some(),
            "invitation",
            "must be the name of an invitation",
        );
        violations.check(epoch >= 0, "epoch", "must not be negative");
        let place = parse::finish(violations, place)?;
        if !caller.may_reach(place.organization()) {
            return Err(place_not_found(&place).into());
        }
        let epoch = self.app.raise_fence(invitation, epoch).await?;
        Ok(Response::new(api::RaiseFenceResponse { epoch }))
    }

    async fn check_access(
        &self,
        request: Request<api::CheckAccessRequest>,
    ) -> std::result::Result<Response<api::CheckAccessResponse>, Status> {
        let caller = admitting(&request, &rules::CHECK_ACCESS)?;
        let request = request.into_inner();
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
        let ((user, place), permission) = parse::finish(violations, read)?;
        let access = self
            .app
            .check_access(&caller, &user, &place, permission)
            .await?;
        Ok(Response::new(conversion::access(access)))
    }
}
