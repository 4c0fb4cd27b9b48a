//! `JoinRequestService`: the approval queue.

use homeroom_api::{
    membership::v1::{
        self as api, batch_decide_join_requests_response,
        join_request_service_server::JoinRequestService,
    },
    names::{JoinRequestName, Place},
};
use homeroom_kit::{Result, auth::Caller, rpc, validation::Violations};
use uuid::Uuid;

use super::join_request_conversion as conversion;
use crate::{
    app::{App, approve, batch_decide, deny, withdraw},
    domain::join_request::DECISIONS_MAX,
};

/// The service's handlers.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequestApi(pub(crate) App);

/// Parses the fields that single decisions share.
fn read_decision(
    name: &str,
    note: &str,
    request_id: &str,
) -> Result<(JoinRequestName, String, Option<Uuid>)> {
    let mut violations = Violations::new();
    let name = violations.take("name", JoinRequestName::parse(name));
    let note = conversion::note(&mut violations, note);
    let request_id = violations.request_id(request_id);
    Ok((violations.finish_with(name)?, note, request_id))
}

homeroom_kit::rpcs! {
    JoinRequestService for JoinRequestApi {
        get_join_request: api::GetJoinRequestRequest => api::JoinRequest;
        list_join_requests: api::ListJoinRequestsRequest => api::ListJoinRequestsResponse;
        approve_join_request: api::ApproveJoinRequestRequest => api::ApproveJoinRequestResponse;
        deny_join_request: api::DenyJoinRequestRequest => api::DenyJoinRequestResponse;
        batch_decide_join_requests: api::BatchDecideJoinRequestsRequest => api::BatchDecideJoinRequestsResponse;
        withdraw_join_request: api::WithdrawJoinRequestRequest => api::WithdrawJoinRequestResponse;
    }
}

impl JoinRequestApi {
    async fn get_join_request(
        &self,
        caller: &Caller,
        request: api::GetJoinRequestRequest,
    ) -> Result<api::JoinRequest> {
        let name = rpc::name(JoinRequestName::parse(&request.name))?;
        let found = self.0.get_join_request(caller, &name).await?;
        Ok(conversion::join_request(&found))
    }

    async fn list_join_requests(
        &self,
        caller: &Caller,
        request: api::ListJoinRequestsRequest,
    ) -> Result<api::ListJoinRequestsResponse> {
        let place = rpc::parent(Place::parse(&request.parent), request.page_size)?;
        let shown = conversion::shown(&request.filter)?;
        let list = format!("ListJoinRequests {place} {}", request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let page = self
            .0
            .list_join_requests(caller, &place, shown, &page)
            .await?;
        Ok(api::ListJoinRequestsResponse {
            join_requests: page.items.iter().map(conversion::join_request).collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn approve_join_request(
        &self,
        caller: &Caller,
        request: api::ApproveJoinRequestRequest,
    ) -> Result<api::ApproveJoinRequestResponse> {
        let (name, note, request_id) =
            read_decision(&request.name, &request.decide_note, &request.request_id)?;
        self.0
            .write(caller, request_id, &request, move |change| {
                Box::pin(async move {
                    let (approved, member) = approve::approve(change, &name, &note).await?;
                    Ok(api::ApproveJoinRequestResponse {
                        join_request: Some(conversion::join_request(&approved)),
                        member: Some(member.into()),
                    })
                })
            })
            .await
    }

    async fn deny_join_request(
        &self,
        caller: &Caller,
        request: api::DenyJoinRequestRequest,
    ) -> Result<api::DenyJoinRequestResponse> {
        let (name, note, request_id) =
            read_decision(&request.name, &request.decide_note, &request.request_id)?;
        self.0
            .write(caller, request_id, &request, move |change| {
                Box::pin(async move {
                    let denied = deny::deny(change, &name, &note).await?;
                    Ok(api::DenyJoinRequestResponse {
                        join_request: Some(conversion::join_request(&denied)),
                    })
                })
            })
            .await
    }

    async fn batch_decide_join_requests(
        &self,
        caller: &Caller,
        request: api::BatchDecideJoinRequestsRequest,
    ) -> Result<api::BatchDecideJoinRequestsResponse> {
        let mut violations = Violations::new();
        let parent = violations.take("parent", Place::parse(&request.parent));
        violations.check(
            (1..=DECISIONS_MAX).contains(&request.decisions.len()),
            "decisions",
            format!("must hold 1 to {DECISIONS_MAX} decisions"),
        );
        let request_id = violations.request_id(&request.request_id);
        let parent = violations.finish_with(parent)?;
        let decisions = request.decisions.iter().map(conversion::decision).collect();
        self.0
            .write(caller, request_id, &request, move |change| {
                Box::pin(async move {
                    let decided = batch_decide::batch_decide(change, &parent, decisions).await?;
                    Ok(batch_response(decided))
                })
            })
            .await
    }

    async fn withdraw_join_request(
        &self,
        caller: &Caller,
        request: api::WithdrawJoinRequestRequest,
    ) -> Result<api::WithdrawJoinRequestResponse> {
        let (name, _, request_id) = read_decision(&request.name, "", &request.request_id)?;
        self.0
            .write(caller, request_id, &request, move |change| {
                Box::pin(async move {
                    let withdrawn = withdraw::withdraw(change, &name).await?;
                    Ok(api::WithdrawJoinRequestResponse {
                        join_request: Some(conversion::join_request(&withdrawn)),
                    })
                })
            })
            .await
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
