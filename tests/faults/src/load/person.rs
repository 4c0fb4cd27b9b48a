//! People who redeem by every kind of invitation, alone or several in one call, retry, withdraw and
//! leave.

use std::sync::Arc;

use homeroom_tests::dice::Dice;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    Scene, is_final,
    school::School,
    way::{Secret, Way},
};
use crate::history::{Answer, Asked, Decision, Entry, Span};

/// The people whom one task remembers, to make them come back, withdraw and leave.
const PERSONS_REMEMBERED: usize = 30;
/// The percentage of people who retry until they have a final answer.
const PATIENT_PERCENT: usize = 75;
/// The people in one call that redeems for several.
const PERSONS_OF_BATCH: usize = 5;

/// A person's redemption, kept for retries.
#[derive(Debug, Clone)]
struct Wish {
    request: Value,
    asked: Asked,
    school: usize,
}

impl Wish {
    /// Returns a redemption by this person of one of the school's invitations.
    fn new(scene: &Scene, user: String, school: usize, dice: &Dice) -> Option<Self> {
        let here = &scene.schools[school];
        let (way, secret) = choose(here, dice)?;
        let request_id = dice.request_id();
        let class = if way.is_of_class() { &way.place } else { "" };
        Some(Self {
            request: json!({"credential": secret.text, "request_id": request_id}),
            asked: Asked {
                request_id,
                user,
                organization: here.organization.clone(),
                class: class.to_owned(),
                secret: secret.id,
                span: Span::default(),
                answer: Answer::Unknown,
            },
            school,
        })
    }

    /// Records the answer to one call.
    fn write(&self, scene: &Scene, span: Span, answer: Answer) {
        scene.history.write(Entry::Asked(Asked {
            span,
            answer,
            ..self.asked.clone()
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
        let patient = dice.chance(PATIENT_PERCENT);
        if !memories.is_empty() {
            let index = dice.below(memories.len());
            match dice.below(100) {
                0..10 => {
                    // Uses the same request id again, perhaps long after.
                    redeem(&scene, &memories[index].wish, patient, &dice).await;
                    continue;
                }
                10..18 if memories[index].waiting.is_some() => {
                    withdraw(&scene, &mut memories[index], &dice).await;
                    continue;
                }
                18..30 if memories[index].admitted => {
                    let Wish { school, asked, .. } = memories.swap_remove(index).wish;
                    let school = &scene.schools[school];
                    remove(&scene, school, &asked.user, &asked.user, &dice).await;
                    continue;
                }
                _ => {}
            }
        }
        let (user, school) = match dice.pick_from(&memories) {
            Some(memory) if dice.chance(12) => (memory.wish.asked.user.clone(), memory.wish.school),
            _ => {
                number += 1;
                (
                    format!("student-{task}-{number}"),
                    dice.below(scene.schools.len()),
                )
            }
        };
        if dice.chance(5) {
            redeem_batch(&scene, school, &user, patient, &dice).await;
            continue;
        }
        let Some(wish) = Wish::new(&scene, user, school, &dice) else {
            continue;
        };
        if let Some(response) = redeem(&scene, &wish, patient, &dice).await {
            remember(&scene, &mut memories, wish, &response);
        }
    }
}

/// Returns an invitation and its secret, sometimes an old one, which opens nothing.
fn choose<'school>(school: &'school School, dice: &Dice) -> Option<(&'school Way, Secret)> {
    let way = dice.pick(&school.ways);
    let old = dice.chance(8).then(|| way.old(dice)).flatten();
    Some((way, old.or_else(|| way.current())?))
}

fn remember(scene: &Scene, memories: &mut Vec<Memory>, wish: Wish, response: &Value) {
    let waiting = response["joinRequest"]["name"].as_str().map(str::to_owned);
    let admitted = response["outcome"] == "ADMITTED";
    if admitted {
        let mut students = scene.schools[wish.school].students.lock().unwrap();
        students.push(wish.asked.user.clone());
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
fn accepted(response: &Value) -> Answer {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Answer::Accepted {
        redemption: text(&response["redemption"]),
        outcome: text(&response["outcome"]),
        join_request: text(&response["joinRequest"]["name"]),
    }
}

/// Retries until the answer is final, and records each call.
async fn redeem(scene: &Scene, wish: &Wish, patient: bool, dice: &Dice) -> Option<Value> {
    let caller = scene.acting_for(&wish.asked.user);
    loop {
        let begin = scene.history.now();
        let answered = scene
            .once(&caller, "RedemptionService.Redeem", &wish.request)
            .await;
        let answer = match &answered {
            Some(Ok(response)) => accepted(response),
            Some(Err(reason)) => Answer::Refused(reason.clone()),
            None => Answer::Unknown,
        };
        wish.write(scene, scene.history.since(begin), answer);
        match answered {
            Some(answered) => return answered.ok(),
            None if !patient || !scene.waits(dice).await => return None,
            None => {}
        }
    }
}

/// Redeems for several people at once, and retries until every answer is final.
async fn redeem_batch(scene: &Scene, school: usize, prefix: &str, patient: bool, dice: &Dice) {
    let wish = |index| Wish::new(scene, format!("{prefix}-{index}"), school, dice);
    let wishes: Vec<Wish> = (0..PERSONS_OF_BATCH).filter_map(wish).collect();
    if wishes.is_empty() {
        return;
    }
    let requests = wishes.iter().map(|wish| {
        let mut request = wish.request.clone();
        request["user"] = json!({"user": wish.asked.user});
        request
    });
    let batch = json!({"requests": requests.collect::<Vec<_>>()});
    let caller = scene.acting_for("platform");
    loop {
        let begin = scene.history.now();
        let answered = scene
            .once(&caller, "RedemptionService.BatchRedeem", &batch)
            .await;
        let mut answers = vec![Answer::Unknown; wishes.len()];
        let response = answered.and_then(Result::ok).unwrap_or_default();
        for result in response["results"].as_array().into_iter().flatten() {
            let index = usize::try_from(result["index"].as_u64().unwrap_or(0)).unwrap();
            let code = result["status"]["code"].as_i64().unwrap_or(0);
            answers[index] = match result.get("redemption") {
                Some(response) => accepted(response),
                None if is_final(Code::from(i32::try_from(code).unwrap())) => {
                    Answer::Refused(result["status"]["message"].to_string())
                }
                None => Answer::Unknown,
            };
        }
        let done = !answers.contains(&Answer::Unknown);
        let span = scene.history.since(begin);
        for (wish, answer) in wishes.iter().zip(answers) {
            wish.write(scene, span, answer);
        }
        if done || !patient || !scene.waits(dice).await {
            return;
        }
    }
}

async fn withdraw(scene: &Scene, memory: &mut Memory, dice: &Dice) {
    let Some(join_request) = memory.waiting.take() else {
        return;
    };
    let caller = scene.acting_for(&memory.wish.asked.user);
    let (method, body) = (
        "JoinRequestService.WithdrawJoinRequest",
        json!({"name": join_request}),
    );
    if scene
        .change(&caller, dice, method, body)
        .await
        .answer
        .is_some()
    {
        scene.history.write(Entry::Decided {
            join_request,
            decision: Decision::Withdrawn,
        });
    }
}

/// Removes a person from the organization: the person leaves or staff remove them.
pub(super) async fn remove(scene: &Scene, school: &School, user: &str, by: &str, dice: &Dice) {
    let caller = scene.acting_for(by);
    let body = json!({"name": format!("{}/members/{user}", school.organization)});
    let method = "MemberService.RemoveOrganizationMember";
    let ended = scene.change(&caller, dice, method, body).await;
    scene.history.write(Entry::Left {
        organization: school.organization.clone(),
        user: user.to_owned(),
        span: Span {
            begin: ended.first_begin,
            end: ended.end,
        },
        acknowledged: ended.answer.is_some(),
    });
}
