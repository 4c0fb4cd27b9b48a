//! `JoinRequestService`: the approval queue.

use homeroom_api::{
    membership::v1::{
        self as api, batch_decide_join_requests_response,
        join_request_service_server::JoinRequestService,
    },
    names::{JoinRequestName, Place},
};
use homeroom_kit::{Result, validation::Violations};

use super::join_request_conversion as conversion;
use crate::{
    app::{
        App,
        decisions::{self, Decided},
    },
    domain::join_request::DECISIONS_MAX,
};

homeroom_kit::rpcs! {
    JoinRequestService for pub(crate) struct JoinRequestApi(pub(crate) App) {
        get_join_request: api::GetJoinRequestRequest => api::JoinRequest
            = get(JoinRequestName::parse, App::get_join_request);
        list_join_requests: api::ListJoinRequestsRequest => api::ListJoinRequestsResponse { join_requests }
            = list(Place::parse, conversion::shown, App::list_join_requests);
        approve_join_request: api::ApproveJoinRequestRequest => api::ApproveJoinRequestResponse
            = change(approval, decisions::approve);
        deny_join_request: api::DenyJoinRequestRequest => api::DenyJoinRequestResponse { join_request }
            = change(denial, decisions::deny);
        batch_decide_join_requests: api::BatchDecideJoinRequestsRequest => api::BatchDecideJoinRequestsResponse
            = change(batch, decisions::batch_decide);
        withdraw_join_request: api::WithdrawJoinRequestRequest => api::WithdrawJoinRequestResponse { join_request }
            = change(withdrawal, decisions::withdraw);
    }
}

/// Parses the fields that single decisions share.
fn decision(v: &mut Violations, name: &str, note: &str) -> Option<(JoinRequestName, String)> {
    let name = v.take("name", JoinRequestName::parse(name));
    let note = conversion::note(v, note);
    name.zip(Some(note))
}

fn approval(
    v: &mut Violations,
    request: &api::ApproveJoinRequestRequest,
) -> Option<(JoinRequestName, String)> {
    decision(v, &request.name, &request.decide_note)
}

fn denial(
    v: &mut Violations,
    request: &api::DenyJoinRequestRequest,
) -> Option<(JoinRequestName, String)> {
    decision(v, &request.name, &request.decide_note)
}

fn withdrawal(
    v: &mut Violations,
    request: &api::WithdrawJoinRequestRequest,
) -> Option<(JoinRequestName, ())> {
    let name = v.take("name", JoinRequestName::parse(&request.name));
    name.zip(Some(()))
}

type Decisions = Vec<Result<decisions::JoinRequestDecision>>;

fn batch(
    v: &mut Violations,
    request: &api::BatchDecideJoinRequestsRequest,
) -> Option<(Place, Decisions)> {
    let parent = v.take("parent", Place::parse(&request.parent));
    v.check(
        (1..=DECISIONS_MAX).contains(&request.requests.len()),
        "requests",
        format!("must hold 1 to {DECISIONS_MAX} decisions"),
    );
    let decisions = request.requests.iter().map(conversion::decision);
    parent.map(|parent| (parent, decisions.collect()))
}

impl From<Decided> for api::BatchDecideJoinRequestsResponse {
    fn from(Decided(decided): Decided) -> Self {
        use batch_decide_join_requests_response::{Result as Row, result::Outcome};
        let results = (0_i32..).zip(decided).map(|(index, decided)| {
            let outcome = match decided {
                Ok(request) => Outcome::JoinRequest(request.into()),
                Err(error) => Outcome::Status(error.into_row_status()),
            };
            Row {
                index,
                outcome: Some(outcome),
            }
        });
        Self {
            results: results.collect(),
        }
    }
}
