//! `JoinRequestService`: the approval queue.

use homeroom_api::{
    membership::v1::{
        self as api, batch_decide_join_requests_response,
        join_request_service_server::JoinRequestService,
    },
    names::{JoinRequestName, Place},
};
use homeroom_kit::{Result, auth::Caller, validation::Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{convert, join_request_conversion as conversion, parse};
use crate::{
    app::{App, approve, batch_decide, deny, withdraw},
    domain::join_request::DECISIONS_MAX,
};

/// The service's handlers.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequestApi(pub(crate) App);

struct Decision {
    name: JoinRequestName,
    note: String,
    request_id: Option<Uuid>,
}

/// Reads what the single decisions share.
fn read_decision(name: &str, note: &str, request_id: &str) -> Result<Decision> {
    let mut violations = Violations::new();
    let name = violations.take("name", JoinRequestName::parse(name));
    let note = conversion::note(&mut violations, note);
    let request_id = violations.request_id(request_id);
    let name = parse::finish(violations, name)?;
    Ok(Decision {
        name,
        note,
        request_id,
    })
}

#[tonic::async_trait]
impl JoinRequestService for JoinRequestApi {
    async fn get_join_request(
        &self,
        request: Request<api::GetJoinRequestRequest>,
    ) -> std::result::Result<Response<api::JoinRequest>, Status> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = violations.take("name", JoinRequestName::parse(&request.get_ref().name));
        let name = parse::finish(violations, name)?;
        let found = self.0.get_join_request(&caller, &name).await?;
        Ok(Response::new(conversion::join_request(&found)))
    }

    async fn list_join_requests(
        &self,
        request: Request<api::ListJoinRequestsRequest>,
    ) -> std::result::Result<Response<api::ListJoinRequestsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let place = violations.take("parent", Place::parse(&request.parent));
        violations.page_size(request.page_size);
        let place = parse::finish(violations, place)?;
        let shown = conversion::shown(&request.filter)?;
        let list = format!("ListJoinRequests {place} {}", request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, &list)?;
        let after = page.cursor_as(0)?;
        let found = self
            .0
            .list_join_requests(&caller, &place, shown, after, page.size)
            .await?;
        let next = found.next.map(|cursor| self.0.paging.token(&list, &cursor));
        Ok(Response::new(api::ListJoinRequestsResponse {
            join_requests: found.items.iter().map(conversion::join_request).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn approve_join_request(
        &self,
        request: Request<api::ApproveJoinRequestRequest>,
    ) -> std::result::Result<Response<api::ApproveJoinRequestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let read = read_decision(&request.name, &request.decide_note, &request.request_id)?;
        let response = self
            .0
            .write(&caller, read.request_id, &request, move |change| {
                Box::pin(async move {
                    let (approved, member) =
                        approve::approve(change, &read.name, &read.note).await?;
                    Ok(api::ApproveJoinRequestResponse {
                        join_request: Some(conversion::join_request(&approved)),
                        member: Some(convert::member(member)),
                    })
                })
            })
            .await?;
        Ok(Response::new(response))
    }

    async fn deny_join_request(
        &self,
        request: Request<api::DenyJoinRequestRequest>,
    ) -> std::result::Result<Response<api::DenyJoinRequestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let read = read_decision(&request.name, &request.decide_note, &request.request_id)?;
        let response = self
            .0
            .write(&caller, read.request_id, &request, move |change| {
                Box::pin(async move {
                    let denied = deny::deny(change, &read.name, &read.note).await?;
                    Ok(api::DenyJoinRequestResponse {
                        join_request: Some(conversion::join_request(&denied)),
                    })
                })
            })
            .await?;
        Ok(Response::new(response))
    }

    async fn batch_decide_join_requests(
        &self,
        request: Request<api::BatchDecideJoinRequestsRequest>,
    ) -> std::result::Result<Response<api::BatchDecideJoinRequestsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let parent = violations.take("parent", Place::parse(&request.parent));
        violations.check(
            (1..=DECISIONS_MAX).contains(&request.decisions.len()),
            "decisions",
            format!("must hold 1 to {DECISIONS_MAX} decisions"),
        );
        let request_id = violations.request_id(&request.request_id);
        let parent = parse::finish(violations, parent)?;
        let decisions = request.decisions.iter().map(conversion::decision).collect();
        let response = self
            .0
            .write(&caller, request_id, &request, move |change| {
                Box::pin(async move {
                    let decided = batch_decide::batch_decide(change, &parent, decisions).await?;
                    Ok(batch_response(decided))
                })
            })
            .await?;
        Ok(Response::new(response))
    }

    async fn withdraw_join_request(
        &self,
        request: Request<api::WithdrawJoinRequestRequest>,
    ) -> std::result::Result<Response<api::WithdrawJoinRequestResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let read = read_decision(&request.name, "", &request.request_id)?;
        let response = self
            .0
            .write(&caller, read.request_id, &request, move |change| {
                Box::pin(async move {
                    let withdrawn = withdraw::withdraw(change, &read.name).await?;
                    Ok(api::WithdrawJoinRequestResponse {
                        join_request: Some(conversion::join_request(&withdrawn)),
                    })
                })
            })
            .await?;
        Ok(Response::new(response))
    }
}

fn batch_response(
    decided: Vec<Result<crate::domain::join_request::JoinRequest>>,
) -> api::BatchDecideJoinRequestsResponse {
    use batch_decide_join_requests_response::{Result as Row, result::Outcome};
    let results = (0_i32..).zip(decided).map(|(index, decided)| {
        let outcome = match decided {
            Ok(request) => Outcome::JoinRequest(conversion::join_request(&request)),
            Err(error) => Outcome::Status(error.into_row_status()),
        };
        Row {
            index,
            outcome: Some(outcome),
        }
    });
    api::BatchDecideJoinRequestsResponse {
        results: results.collect(),
    }
}
