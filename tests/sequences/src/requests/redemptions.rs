//! `RedemptionService`.

use homeroom_api::invitations::v1::{
    BatchRedeemRequest, BatchRedeemResponse, GetRedemptionRequest, ListRedemptionsRequest,
    ListRedemptionsResponse, ListRefusedAttemptsRequest, ListRefusedAttemptsResponse,
    PreviewRedemptionRequest, RedeemRequest, RedeemResponse,
    batch_redeem_response::result::Outcome, redeem_response,
};

use super::{
    Method,
    composer::{Caller, Composer, Request},
    read,
};
use crate::world::{Acknowledged, World};

const SERVICE: &str = "homeroom.invitations.v1.RedemptionService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "PreviewRedemption", 2, preview),
    Method::new(SERVICE, "Redeem", 55, redeem).learning(|world, answer| learn(world, read(answer))),
    Method::new(SERVICE, "BatchRedeem", 8, redeem_many)
        .learning(|world, answer| {
            for response in redeemed_in(answer).into_iter().flatten() {
                learn(world, response);
            }
        })
        .failing_in_part(|answer| {
            let response: BatchRedeemResponse = read(answer);
            let failed = response
                .results
                .into_iter()
                .map(|result| match result.outcome {
                    Some(Outcome::Status(status)) => Some(status),
                    _ => None,
                });
            failed.flatten().collect()
        }),
    Method::new(SERVICE, "GetRedemption", 2, get),
    Method::new(SERVICE, "ListRedemptions", 2, list).learning(|world, answer| {
        let page: ListRedemptionsResponse = read(answer);
        world
            .page_tokens
            .insert("redemptions".to_owned(), page.next_page_token);
    }),
    Method::new(SERVICE, "ListRefusedAttempts", 2, list_refused).learning(|world, answer| {
        let page: ListRefusedAttemptsResponse = read(answer);
        world
            .page_tokens
            .insert("refused attempts".to_owned(), page.next_page_token);
    }),
];

/// Returns the answer to each item of a batch; `None` for a failure.
#[must_use]
pub fn redeemed_in(answer: &[u8]) -> Vec<Option<RedeemResponse>> {
    let response: BatchRedeemResponse = read(answer);
    let results = response
        .results
        .into_iter()
        .map(|result| match result.outcome {
            Some(Outcome::Redemption(redemption)) => Some(redemption),
            _ => None,
        });
    results.collect()
}

/// Returns the caller's record of the answer.
#[must_use]
pub fn acknowledged(response: &RedeemResponse, user: &str) -> Acknowledged {
    let place = if response.class.is_empty() {
        &response.organization
    } else {
        &response.class
    };
    Acknowledged {
        redemption: response.redemption.clone(),
        outcome: response.outcome().as_str_name(),
        place: place.clone(),
        user: user.to_owned(),
    }
}

fn learn(world: &mut World, response: RedeemResponse) {
    if let Some(redeem_response::Result::JoinRequest(request)) = response.result {
        World::note(&mut world.join_requests, &request.name);
    }
}

fn attempt(composer: &mut Composer<'_>, user: &str) -> RedeemRequest {
    let credential = composer.credential();
    let organization = if composer.dice.chance(15) {
        composer.organization()
    } else {
        String::new()
    };
    RedeemRequest {
        credential,
        organization,
        user: Some(composer.user(user)),
        sign_up: composer.dice.chance(4),
        client_ip: if composer.dice.chance(30) {
            "203.0.113.7".to_owned()
        } else {
            String::new()
        },
        request_id: composer.request_id(),
    }
}

fn redeem(composer: &mut Composer<'_>) -> Request {
    let user = if composer.dice.chance(95) {
        composer.student()
    } else {
        composer.anyone()
    };
    let message = attempt(composer, &user);
    let mut request = Request::new(Caller::For(user.clone()), &message);
    request.safe_to_retry = vec![!message.request_id.is_empty()];
    request.credentials = vec![message.credential];
    request.users = vec![user];
    request
}

fn redeem_many(composer: &mut Composer<'_>) -> Request {
    let count = composer.dice.between(1, 5);
    let users: Vec<String> = (0..count).map(|_| composer.student()).collect();
    let mut message = BatchRedeemRequest {
        requests: users.iter().map(|user| attempt(composer, user)).collect(),
    };
    if composer.dice.chance(60)
        && let Some(credential) = message
            .requests
            .first()
            .map(|first| first.credential.clone())
    {
        // A class in front of one screen: all items use one credential.
        for request in &mut message.requests {
            request.credential.clone_from(&credential);
        }
    }
    let mut request = Request::new(Caller::For(composer.anyone()), &message);
    request.safe_to_retry = message
        .requests
        .iter()
        .map(|one| !one.request_id.is_empty())
        .collect();
    request.credentials = message
        .requests
        .iter()
        .map(|one| one.credential.clone())
        .collect();
    request.users = users;
    request
}

fn preview(composer: &mut Composer<'_>) -> Request {
    let user = composer.student();
    let message = PreviewRedemptionRequest {
        credential: composer.credential(),
        user: Some(composer.user(&user)),
        ..Default::default()
    };
    Request::new(Caller::For(user), &message)
}

fn get(composer: &mut Composer<'_>) -> Request {
    let known = composer
        .dice
        .pick_from(&composer.world.acknowledged)
        .cloned();
    let (name, caller) = match known {
        Some(known) if composer.dice.chance(60) => (known.redemption, Caller::For(known.user)),
        Some(known) => (known.redemption, composer.staff()),
        None => (
            format!(
                "{}/redemptions/01900000-0000-7000-8000-000000000000",
                composer.world.organizations[0]
            ),
            composer.oneself(),
        ),
    };
    Request::new(caller, &GetRedemptionRequest { name })
}

fn list(composer: &mut Composer<'_>) -> Request {
    let message = ListRedemptionsRequest {
        parent: composer.place(),
        page_size: composer.page_size(),
        page_token: composer.page_token("redemptions"),
        filter: composer.filter(&["state = \"QUEUED\"", "state = \"COMMITTED\""]),
    };
    Request::new(composer.staff(), &message)
}

fn list_refused(composer: &mut Composer<'_>) -> Request {
    let (parent, caller) = if composer.dice.chance(10) {
        ("organizations/-".to_owned(), Caller::Platform)
    } else {
        (composer.organization(), composer.staff())
    };
    let message = ListRefusedAttemptsRequest {
        parent,
        page_size: composer.page_size(),
        page_token: composer.page_token("refused attempts"),
        filter: composer.filter(&["reason = CODE_NOT_USABLE", "user = nobody"]),
    };
    Request::new(caller, &message)
}
