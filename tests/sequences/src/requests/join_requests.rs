//! `JoinRequestService`.

use homeroom_api::membership::v1::{
    ApproveJoinRequestRequest, BatchDecideJoinRequestsRequest, BatchDecideJoinRequestsResponse,
    DenyJoinRequestRequest, GetJoinRequestRequest, ListJoinRequestsRequest,
    ListJoinRequestsResponse, WithdrawJoinRequestRequest,
    batch_decide_join_requests_request::{JoinRequestDecision, join_request_decision::Action},
    batch_decide_join_requests_response::result::Outcome,
};

use super::{
    Method,
    composer::{Caller, Composer, Request},
    read,
};
use crate::world::World;

const SERVICE: &str = "homeroom.membership.v1.JoinRequestService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "GetJoinRequest", 1, get),
    Method::new(SERVICE, "ListJoinRequests", 3, list).learning(|world, answer| {
        let page: ListJoinRequestsResponse = read(answer);
        for request in &page.join_requests {
            World::note(&mut world.join_requests, &request.name);
        }
        world
            .page_tokens
            .insert("join_requests".to_owned(), page.next_page_token);
    }),
    Method::new(SERVICE, "ApproveJoinRequest", 7, approve),
    Method::new(SERVICE, "DenyJoinRequest", 3, deny),
    Method::new(SERVICE, "BatchDecideJoinRequests", 4, decide_many).failing_in_part(|answer| {
        let response: BatchDecideJoinRequestsResponse = read(answer);
        let failed = response
            .results
            .into_iter()
            .map(|result| match result.outcome {
                Some(Outcome::Status(status)) => Some(status),
                _ => None,
            });
        failed.flatten().collect()
    }),
    Method::new(SERVICE, "WithdrawJoinRequest", 3, withdraw),
];

fn request(composer: &mut Composer<'_>) -> String {
    let absent = format!("{}/joinRequests", composer.world.classes[0]);
    let known = &composer.world.join_requests;
    // The latest requests are the ones that wait.
    let first = if composer.dice.chance(70) {
        known.len().saturating_sub(2)
    } else {
        0
    };
    composer.known(&known[first..], &absent)
}

fn get(composer: &mut Composer<'_>) -> Request {
    let name = request(composer);
    Request::new(composer.oneself(), &GetJoinRequestRequest { name })
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListJoinRequestsRequest {
        parent: composer.place(),
        page_size: composer.page_size(),
        page_token: composer.page_token("join_requests"),
        filter: composer.filter(&["state = \"PENDING\"", "state = \"APPROVED\""]),
    };
    Request::new(composer.decider(), &message)
}

fn approve(composer: &mut Composer<'_>) -> Request {
    let message = ApproveJoinRequestRequest {
        name: request(composer),
        decide_note: "Welcome.".to_owned(),
        request_id: composer.request_id(),
    };
    Request::new(composer.decider(), &message)
}

fn deny(composer: &mut Composer<'_>) -> Request {
    let message = DenyJoinRequestRequest {
        name: request(composer),
        decide_note: String::new(),
        request_id: composer.request_id(),
    };
    Request::new(composer.decider(), &message)
}

fn decide_many(composer: &mut Composer<'_>) -> Request {
    let count = composer.dice.between(1, 4);
    let decisions: Vec<JoinRequestDecision> = (0..count)
        .map(|_| {
            let action = if composer.dice.chance(70) {
                Action::Approve
            } else {
                Action::Deny
            };
            JoinRequestDecision {
                name: request(composer),
                action: action.into(),
                decide_note: String::new(),
            }
        })
        .collect();
    let parent = decisions[0]
        .name
        .split_once("/joinRequests")
        .map_or_else(|| composer.place(), |(parent, _)| parent.to_owned());
    let message = BatchDecideJoinRequestsRequest {
        parent,
        decisions,
        request_id: composer.request_id(),
    };
    Request::new(composer.decider(), &message)
}

fn withdraw(composer: &mut Composer<'_>) -> Request {
    let name = request(composer);
    let filed_by = composer
        .world
        .acknowledged
        .iter()
        .rev()
        .find(|known| known.outcome == "PENDING_APPROVAL")
        .map(|known| known.user.clone());
    let caller = match filed_by {
        Some(user) if composer.dice.chance(85) => Caller::For(user),
        _ => composer.oneself(),
    };
    let message = WithdrawJoinRequestRequest {
        name,
        request_id: composer.request_id(),
    };
    Request::new(caller, &message)
}
