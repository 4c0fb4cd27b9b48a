//! People who redeem by every kind of invitation, retry, withdraw and leave.

use std::sync::Arc;

use homeroom_api::{
    invitations::v1::{RedeemRequest, RedeemResponse, RedemptionOutcome, redeem_response},
    membership::v1::{RemoveOrganizationMemberRequest, WithdrawJoinRequestRequest},
};

use super::{
    Scene,
    batch::redeem_batch,
    school::School,
    way::{Secret, Way},
};
use crate::{
    dice::Dice,
    history::{Answer, Asked, Decision, Entry, SecretId, Span},
};

/// The people whom one task remembers, to make them come back, withdraw and leave.
const PERSONS_REMEMBERED: usize = 30;
/// The percentage of people who retry until they have a final answer.
const PATIENT_PERCENT: usize = 75;

/// A person's redemption, kept for retries.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) request: RedeemRequest,
    pub(super) user: String,
    pub(super) school: usize,
    pub(super) class: String,
    pub(super) secret: SecretId,
}

impl Wish {
    /// Returns a redemption by this person of this invitation.
    pub(super) fn new(
        user: String,
        school: usize,
        way: &Way,
        secret: &Secret,
        dice: &Dice,
    ) -> Self {
        Self {
            request: RedeemRequest {
                credential: secret.text.clone(),
                request_id: dice.request_id(),
                ..Default::default()
            },
            user,
            school,
            class: way.class.clone(),
            secret: secret.id,
        }
    }

    /// Records the answer to one call.
    pub(super) fn write(&self, scene: &Scene, span: Span, answer: Answer) {
        scene.history.write(Entry::Asked(Asked {
            request_id: self.request.request_id.clone(),
            user: self.user.clone(),
            organization: scene.schools[self.school].organization.clone(),
            class: self.class.clone(),
            secret: self.secret,
            span,
            answer,
        }));
    }
}

/// The state of a person between calls.
#[derive(Debug)]
struct Memory {
    wish: Wish,
    /// The join request that they wait for.
    waiting: Option<String>,
    admitted: bool,
}

/// Redeems for one person after the other.
pub(super) async fn redeem_and_leave(scene: Arc<Scene>, task: usize, dice: Dice) {
    let mut memories: Vec<Memory> = Vec::new();
    let mut number = 0;
    while scene.goes_on(dice.millis(0, 8)).await {
        let patient = dice.percent(PATIENT_PERCENT);
        if !memories.is_empty() {
            let index = dice.below(memories.len());
            match dice.below(100) {
                0..10 => {
                    // Uses the same request id again, perhaps long after.
                    redeem(&scene, &memories[index].wish.clone(), patient, &dice).await;
                    continue;
                }
                10..18 if memories[index].waiting.is_some() => {
                    let memory = &mut memories[index];
                    withdraw(&scene, memory, &dice).await;
                    continue;
                }
                18..30 if memories[index].admitted => {
                    leave(&scene, memories.swap_remove(index), &dice).await;
                    continue;
                }
                _ => {}
            }
        }
        let again = !memories.is_empty() && dice.percent(12);
        let (user, school) = if again {
            let memory = dice.pick(&memories);
            (memory.wish.user.clone(), memory.wish.school)
        } else {
            number += 1;
            (
                format!("student-{task}-{number}"),
                dice.below(scene.schools.len()),
            )
        };
        if dice.percent(5) {
            redeem_batch(&scene, school, &user, patient, &dice).await;
            continue;
        }
        let Some((way, secret)) = choose(&scene.schools[school], &dice) else {
            continue;
        };
        let wish = Wish::new(user, school, way, &secret, &dice);
        let Some(response) = redeem(&scene, &wish, patient, &dice).await else {
            continue;
        };
        remember(&scene, &mut memories, wish, &response);
    }
}

/// Returns an invitation and its secret, sometimes an old one, which opens nothing.
pub(super) fn choose<'school>(
    school: &'school School,
    dice: &Dice,
) -> Option<(&'school Way, Secret)> {
    let way = dice.pick(&school.ways);
    let old = dice.percent(8).then(|| way.old(dice)).flatten();
    Some((way, old.or_else(|| way.current())?))
}

fn remember(scene: &Scene, memories: &mut Vec<Memory>, wish: Wish, response: &RedeemResponse) {
    let waiting = match &response.result {
        Some(redeem_response::Result::JoinRequest(request)) => Some(request.name.clone()),
        _ => None,
    };
    let admitted = response.outcome() == RedemptionOutcome::Admitted;
    if admitted {
        let mut students = scene.schools[wish.school].students.lock().unwrap();
        students.push(wish.user.clone());
    }
    if memories.len() == PERSONS_REMEMBERED {
        memories.remove(0);
    }
    memories.push(Memory {
        wish,
        waiting,
        admitted,
    });
}

/// Returns the history's form of an answer.
pub(super) fn accepted(response: &RedeemResponse) -> Answer {
    let resource = match &response.result {
        Some(redeem_response::Result::Member(member)) => member.name.clone(),
        Some(redeem_response::Result::JoinRequest(request)) => request.name.clone(),
        None => String::new(),
    };
    Answer::Accepted {
        redemption: response.redemption.clone(),
        outcome: response.outcome(),
        resource,
    }
}

/// Retries until the answer is final, and records each call.
async fn redeem(scene: &Scene, wish: &Wish, patient: bool, dice: &Dice) -> Option<RedeemResponse> {
    let caller = scene.platform.acting_for(&wish.user);
    loop {
        let begin = scene.history.now();
        let answered = scene
            .once(caller.redemptions().redeem(wish.request.clone()))
            .await;
        let span = Span {
            begin,
            end: scene.history.now(),
        };
        let answer = match &answered {
            Some(Ok(response)) => accepted(response),
            Some(Err(reason)) => Answer::Refused(reason.clone()),
            None => Answer::Unknown,
        };
        wish.write(scene, span, answer);
        match answered {
            Some(answered) => return answered.ok(),
            None if !patient || !scene.waits(dice).await => return None,
            None => {}
        }
    }
}

async fn withdraw(scene: &Scene, memory: &mut Memory, dice: &Dice) {
    let Some(join_request) = memory.waiting.take() else {
        return;
    };
    let caller = scene.platform.acting_for(&memory.wish.user);
    let withdraw = WithdrawJoinRequestRequest {
        name: join_request.clone(),
        request_id: dice.request_id(),
    };
    let ended = scene
        .until_final(true, dice, async || {
            caller
                .join_requests()
                .withdraw_join_request(withdraw.clone())
                .await
        })
        .await;
    if let Some(Ok(_)) = ended.answer {
        scene.history.write(Entry::Decided {
            join_request,
            decision: Decision::Withdrawn,
        });
    }
}

async fn leave(scene: &Scene, memory: Memory, dice: &Dice) {
    let school = &scene.schools[memory.wish.school];
    let user = memory.wish.user;
    remove(scene, school, &user, &user, dice).await;
}

/// Removes a person from the organization: the person leaves or staff remove them.
pub(super) async fn remove(scene: &Scene, school: &School, user: &str, by: &str, dice: &Dice) {
    let caller = scene.platform.acting_for(by);
    let remove = RemoveOrganizationMemberRequest {
        name: format!("{}/members/{user}", school.organization),
        request_id: dice.request_id(),
        ..Default::default()
    };
    let ended = scene
        .until_final(true, dice, async || {
            caller
                .members()
                .remove_organization_member(remove.clone())
                .await
        })
        .await;
    scene.history.write(Entry::Left {
        organization: school.organization.clone(),
        user: user.to_owned(),
        span: Span {
            begin: ended.first_begin,
            end: ended.end,
        },
        acknowledged: matches!(ended.answer, Some(Ok(()))),
    });
}
