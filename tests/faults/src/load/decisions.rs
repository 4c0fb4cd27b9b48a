//! Staff who decide join requests, one by one or several at once.

use std::sync::Arc;

use homeroom_api::membership::v1::{
    ApproveJoinRequestRequest, BatchDecideJoinRequestsRequest, DenyJoinRequestRequest,
    ListJoinRequestsRequest,
    batch_decide_join_requests_request::{JoinRequestDecision, join_request_decision::Action},
    batch_decide_join_requests_response::result::Outcome,
};

use super::Scene;
use crate::{
    callers::Caller,
    dice::Dice,
    history::{Decision, Entry},
};

/// The most join requests that are decided one by one before the list is read again.
const DECISIONS_MAX: usize = 6;

/// Decides waiting requests, one by one or several at once.
pub(super) async fn decide(scene: Arc<Scene>, school: usize, dice: Dice) {
    let school = &scene.schools[school];
    let teacher = scene.platform.acting_for(&school.teacher);
    while scene.goes_on(dice.millis(30, 250)).await {
        let class = dice.pick(&school.classes);
        let list = ListJoinRequestsRequest {
            parent: class.clone(),
            page_size: 20,
            filter: "state = \"PENDING\"".to_owned(),
            ..Default::default()
        };
        let listed = scene
            .once(teacher.join_requests().list_join_requests(list))
            .await;
        let Some(Ok(page)) = listed else { continue };
        let names: Vec<String> = page
            .join_requests
            .into_iter()
            .map(|request| request.name)
            .collect();
        if dice.percent(30) && names.len() > 1 {
            decide_many(&scene, &teacher, class, names, &dice).await;
            continue;
        }
        for name in names.into_iter().take(DECISIONS_MAX) {
            decide_one(&scene, &teacher, name, &dice).await;
        }
    }
}

fn write_decision(scene: &Scene, join_request: String, decision: Decision) {
    scene.history.write(Entry::Decided {
        join_request,
        decision,
    });
}

async fn decide_one(scene: &Scene, teacher: &Caller, name: String, dice: &Dice) {
    let request_id = dice.request_id();
    let (decision, acknowledged) = if dice.percent(60) {
        let approve = ApproveJoinRequestRequest {
            name: name.clone(),
            request_id,
            ..Default::default()
        };
        let ended = scene
            .until_final(true, dice, async || {
                teacher
                    .join_requests()
                    .approve_join_request(approve.clone())
                    .await
            })
            .await;
        (Decision::Approved, matches!(ended.answer, Some(Ok(_))))
    } else {
        let deny = DenyJoinRequestRequest {
            name: name.clone(),
            request_id,
            ..Default::default()
        };
        let ended = scene
            .until_final(true, dice, async || {
                teacher
                    .join_requests()
                    .deny_join_request(deny.clone())
                    .await
            })
            .await;
        (Decision::Denied, matches!(ended.answer, Some(Ok(_))))
    };
    if acknowledged {
        write_decision(scene, name, decision);
    }
}

async fn decide_many(
    scene: &Scene,
    teacher: &Caller,
    class: &str,
    names: Vec<String>,
    dice: &Dice,
) {
    let decisions: Vec<JoinRequestDecision> = names
        .into_iter()
        .map(|name| JoinRequestDecision {
            name,
            action: if dice.percent(60) {
                Action::Approve
            } else {
                Action::Deny
            }
            .into(),
            ..Default::default()
        })
        .collect();
    let batch = BatchDecideJoinRequestsRequest {
        parent: class.to_owned(),
        decisions: decisions.clone(),
        request_id: dice.request_id(),
    };
    let ended = scene
        .until_final(true, dice, async || {
            teacher
                .join_requests()
                .batch_decide_join_requests(batch.clone())
                .await
        })
        .await;
    let Some(Ok(response)) = ended.answer else {
        return;
    };
    for result in response.results {
        let decided = usize::try_from(result.index)
            .ok()
            .and_then(|index| decisions.get(index));
        let (Some(decided), Some(Outcome::JoinRequest(_))) = (decided, result.outcome) else {
            continue;
        };
        let decision = match decided.action() {
            Action::Approve => Decision::Approved,
            _ => Decision::Denied,
        };
        write_decision(scene, decided.name.clone(), decision);
    }
}
