//! Staff who reset, revoke, switch and delete invitations, decide join requests, and remove
//! students.

use std::sync::Arc;

use homeroom_tests::{Clients, dice::Dice};
use serde_json::{Value, json};

use super::{
    Ended, Scene,
    person::remove,
    way::{Kind, Secret, Way},
};
use crate::history::{Decision, Entry, Span};

/// The most join requests that are decided one by one before the list is read again.
const DECISIONS_MAX: usize = 6;

/// Changes one invitation after the other.
pub(super) async fn change_ways(scene: Arc<Scene>, school: usize, dice: Dice) {
    let school = &scene.schools[school];
    while scene.goes_on(dice.millis(20, 160)).await {
        if dice.chance(15) {
            let student = {
                let mut students = school.students.lock().unwrap();
                let index = dice.below(students.len());
                (!students.is_empty()).then(|| students.swap_remove(index))
            };
            if let Some(student) = student {
                remove(&scene, school, &student, "admin", &dice).await;
            }
            continue;
        }
        let way = dice.pick(&school.ways);
        let staff = if way.is_of_class() {
            "teacher"
        } else {
            "admin"
        };
        let staff = scene.acting_for(staff);
        let change = Change {
            scene: &scene,
            staff: &staff,
            way,
            dice: &dice,
        };
        change.make().await;
    }
}

/// A change of an invitation.
struct Change<'a> {
    scene: &'a Scene,
    staff: &'a Clients,
    way: &'a Way,
    dice: &'a Dice,
}

impl Change<'_> {
    async fn call(&self, method: &str, body: Value) -> Ended {
        self.scene.change(self.staff, self.dice, method, body).await
    }

    /// Makes a change that closes the secret, and records it once it is acknowledged.
    async fn close(&self, secret: Option<&Secret>, method: &str, body: Value) -> Option<Value> {
        let ended = self.call(method, body).await;
        let answer = ended.answer?;
        if let Some(secret) = secret {
            self.scene.history.write(Entry::Closed {
                secret: secret.id,
                span: Span {
                    begin: ended.first_begin,
                    end: ended.end,
                },
            });
        }
        Some(answer)
    }

    /// Makes a change by which this secret works again.
    async fn reopen(&self, secret: Secret, method: &str, body: Value) {
        self.scene.history.write(Entry::Reopening {
            secret: secret.id,
            begin: self.scene.history.now(),
        });
        if self.call(method, body).await.answer.is_some() {
            self.way.reopen(secret);
        }
    }

    /// Puts another invitation in the place of one that has ended.
    async fn replace(&self) {
        let (method, body) = self.way.kind.made(&self.way.place, self.dice);
        if let Some(answer) = self.call(method, body).await.answer {
            self.way.renew(&answer);
        }
    }

    async fn make(&self) {
        let Self { way, dice, .. } = self;
        let closed = way.close();
        let secret = closed.as_ref();
        let named = json!({"name": way.name()});
        match way.kind {
            Kind::ClassCode => {
                let reset = self
                    .close(secret, "ClassCodeService.ResetClassCode", named)
                    .await;
                if let Some(answer) = reset {
                    way.renew(&answer["classCode"]);
                }
            }
            Kind::InviteToken => {
                let reset = self
                    .close(secret, "TokenService.ResetInviteToken", named)
                    .await;
                if let Some(answer) = reset {
                    way.renew(&answer["inviteToken"]);
                }
            }
            Kind::Token => {
                self.close(secret, "TokenService.RevokeToken", named).await;
                self.replace().await;
            }
            Kind::JoinUrl => {
                let method = "JoinUrlService.UpdateJoinUrl";
                let url = json!({"name": way.name(), "enabled": secret.is_none()});
                let body = json!({"join_url": url, "update_mask": "enabled"});
                if secret.is_some() {
                    self.close(secret, method, body).await;
                } else if let Some(url) = way.old(dice) {
                    // While it is closed, the last secret is the one that works again.
                    self.reopen(url, method, body).await;
                }
            }
            Kind::EnrollmentCode if secret.is_none() || dice.chance(25) => {
                let method = "EnrollmentCodeService.DeleteEnrollmentCode";
                self.close(secret, method, named).await;
                self.replace().await;
            }
            Kind::EnrollmentCode => {
                let method = "EnrollmentCodeService.UpdateEnrollmentCode";
                let update = |field: &str, value: Value| {
                    let mut code = json!({"name": way.name()});
                    code[field] = value;
                    json!({"enrollment_code": code, "update_mask": field, "acknowledge_weak": true})
                };
                if dice.chance(50) {
                    let word = update("code", dice.word(14).into());
                    if let Some(code) = self.close(secret, method, word).await {
                        way.renew(&code);
                    }
                    return;
                }
                let off = self
                    .close(secret, method, update("enabled", false.into()))
                    .await;
                if let (Some(_), Some(secret)) = (off, closed) {
                    self.scene.goes_on(dice.millis(20, 200)).await;
                    self.reopen(secret, method, update("enabled", true.into()))
                        .await;
                }
            }
        }
    }
}

/// Decides waiting requests, one by one or several at once.
pub(super) async fn decide(scene: Arc<Scene>, school: usize, dice: Dice) {
    let teacher = scene.acting_for("teacher");
    while scene.goes_on(dice.millis(30, 250)).await {
        let class = dice.pick(&scene.schools[school].classes);
        let list = json!({"parent": class, "page_size": 20, "filter": "state = \"PENDING\""});
        let list = scene.once(&teacher, "JoinRequestService.ListJoinRequests", &list);
        let Some(Ok(page)) = list.await else { continue };
        let waiting = page["joinRequests"].as_array().into_iter().flatten();
        let decide = |request: &Value| {
            let approves = dice.chance(60);
            (request["name"].clone(), approves)
        };
        let decisions: Vec<(Value, bool)> = waiting.map(decide).collect();
        if dice.chance(30) && decisions.len() > 1 {
            decide_many(&scene, &teacher, class, decisions, &dice).await;
            continue;
        }
        for (name, approves) in decisions.into_iter().take(DECISIONS_MAX) {
            let method = if approves {
                "JoinRequestService.ApproveJoinRequest"
            } else {
                "JoinRequestService.DenyJoinRequest"
            };
            let ended = scene
                .change(&teacher, &dice, method, json!({"name": name}))
                .await;
            if ended.answer.is_some() {
                write_decision(&scene, &name, approves);
            }
        }
    }
}

fn write_decision(scene: &Scene, join_request: &Value, approves: bool) {
    scene.history.write(Entry::Decided {
        join_request: join_request.as_str().unwrap_or_default().to_owned(),
        decision: if approves {
            Decision::Approved
        } else {
            Decision::Denied
        },
    });
}

async fn decide_many(
    scene: &Scene,
    teacher: &Clients,
    class: &str,
    decisions: Vec<(Value, bool)>,
    dice: &Dice,
) {
    let action = |approves| if approves { "APPROVE" } else { "DENY" };
    let items = decisions
        .iter()
        .map(|(name, approves)| json!({"name": name, "action": action(*approves)}));
    let body = json!({"parent": class, "requests": items.collect::<Vec<_>>()});
    let method = "JoinRequestService.BatchDecideJoinRequests";
    let Some(answer) = scene.change(teacher, dice, method, body).await.answer else {
        return;
    };
    for result in answer["results"].as_array().into_iter().flatten() {
        let index = result["index"].as_u64().unwrap_or(0);
        let (name, approves) = &decisions[usize::try_from(index).unwrap()];
        if result.get("joinRequest").is_some() {
            write_decision(scene, name, *approves);
        }
    }
}
