//! Staff who reset, revoke, switch and delete invitations, and remove students.

use std::sync::Arc;

use homeroom_api::invitations::v1::{
    DeleteEnrollmentCodeRequest, EnrollmentCode, JoinUrl, ResetClassCodeRequest,
    ResetInviteTokenRequest, RevokeTokenRequest, UpdateEnrollmentCodeRequest, UpdateJoinUrlRequest,
};

use super::{
    Ended, Scene,
    person::remove,
    school::{School, mask, new_enrollment_code, new_token},
    way::{Kind, Secret, Way},
};
use crate::{
    callers::Caller,
    dice::Dice,
    history::{Entry, Span},
};

/// Changes one invitation after the other.
pub(super) async fn change_ways(scene: Arc<Scene>, school: usize, dice: Dice) {
    let school = &scene.schools[school];
    while scene.goes_on(dice.millis(20, 160)).await {
        if dice.percent(15) {
            remove_somebody(&scene, school, &dice).await;
            continue;
        }
        let way = dice.pick(&school.ways);
        let staff = if way.class.is_empty() {
            &school.admin
        } else {
            &school.teacher
        };
        let staff = scene.platform.acting_for(staff);
        change(&scene, &staff, way, &dice).await;
    }
}

async fn remove_somebody(scene: &Scene, school: &School, dice: &Dice) {
    let student = {
        let mut students = school.students.lock().unwrap();
        if students.is_empty() {
            return;
        }
        let index = dice.below(students.len());
        students.swap_remove(index)
    };
    remove(scene, school, &student, &school.admin, dice).await;
}

/// Records an acknowledged change that closes the secret.
fn closed<T>(scene: &Scene, secret: Option<Secret>, ended: Ended<T>) -> Option<T> {
    let Ended {
        first_begin: begin,
        end,
        answer,
    } = ended;
    let answer = answer?.ok()?;
    if let Some(secret) = secret {
        scene.history.write(Entry::Closed {
            secret: secret.id,
            span: Span { begin, end },
        });
    }
    Some(answer)
}

async fn change(scene: &Scene, staff: &Caller, way: &Way, dice: &Dice) {
    let secret = way.close();
    let request_id = dice.request_id();
    let name = way.name();
    match way.kind {
        Kind::ClassCode => {
            let reset = ResetClassCodeRequest {
                name,
                request_id,
                ..Default::default()
            };
            let ended = scene
                .until_final(true, dice, async || {
                    staff.class_codes().reset_class_code(reset.clone()).await
                })
                .await;
            let code = closed(scene, secret, ended).and_then(|response| response.class_code);
            if let Some(code) = code.filter(|code| !code.code.is_empty()) {
                way.open(Secret::new(code.code));
            }
        }
        Kind::InviteToken => {
            let reset = ResetInviteTokenRequest {
                name,
                request_id,
                ..Default::default()
            };
            let ended = scene
                .until_final(true, dice, async || {
                    staff.tokens().reset_invite_token(reset.clone()).await
                })
                .await;
            let token = closed(scene, secret, ended).and_then(|response| response.invite_token);
            if let Some(token) = token.filter(|token| !token.token.is_empty()) {
                way.open(Secret::new(token.token));
            }
        }
        Kind::Token => {
            let revoke = RevokeTokenRequest {
                name,
                request_id,
                ..Default::default()
            };
            let ended = scene
                .until_final(true, dice, async || {
                    staff.tokens().revoke_token(revoke.clone()).await
                })
                .await;
            closed(scene, secret, ended);
            let create = new_token(&way.place, dice);
            let ended = scene
                .until_final(true, dice, async || {
                    staff.tokens().create_token(create.clone()).await
                })
                .await;
            if let Some(Ok(token)) = ended.answer {
                way.replace(token.name, token.phrase);
            }
        }
        Kind::JoinUrl => switch_join_url(scene, staff, way, secret, dice).await,
        Kind::EnrollmentCode => change_enrollment_code(scene, staff, way, secret, dice).await,
    }
}

async fn switch_join_url(
    scene: &Scene,
    staff: &Caller,
    way: &Way,
    secret: Option<Secret>,
    dice: &Dice,
) {
    // While it is closed, the last secret is the one that works again.
    let Some(url) = secret.clone().or_else(|| way.old(dice)) else {
        return;
    };
    let switch = UpdateJoinUrlRequest {
        join_url: Some(JoinUrl {
            name: way.name(),
            enabled: secret.is_none(),
            ..Default::default()
        }),
        update_mask: Some(mask("enabled")),
        request_id: dice.request_id(),
    };
    if secret.is_none() {
        reopening(scene, &url);
    }
    let ended = scene
        .until_final(true, dice, async || {
            staff.join_urls().update_join_url(switch.clone()).await
        })
        .await;
    if secret.is_some() {
        closed(scene, secret, ended);
    } else if let Some(Ok(_)) = ended.answer {
        way.open(url);
    }
}

fn reopening(scene: &Scene, secret: &Secret) {
    scene.history.write(Entry::Reopening {
        secret: secret.id,
        begin: scene.history.now(),
    });
}

async fn change_enrollment_code(
    scene: &Scene,
    staff: &Caller,
    way: &Way,
    secret: Option<Secret>,
    dice: &Dice,
) {
    if secret.is_none() || dice.percent(25) {
        let delete = DeleteEnrollmentCodeRequest {
            name: way.name(),
            request_id: dice.request_id(),
            ..Default::default()
        };
        let ended = scene
            .until_final(true, dice, async || {
                staff
                    .enrollment_codes()
                    .delete_enrollment_code(delete.clone())
                    .await
            })
            .await;
        closed(scene, secret, ended);
        let create = new_enrollment_code(&way.place, dice);
        let ended = scene
            .until_final(true, dice, async || {
                staff
                    .enrollment_codes()
                    .create_enrollment_code(create.clone())
                    .await
            })
            .await;
        if let Some(Ok(code)) = ended.answer {
            way.replace(code.name, code.full_code);
        }
        return;
    }
    let new_word = dice.percent(50);
    let update = |enrollment_code, path| UpdateEnrollmentCodeRequest {
        enrollment_code: Some(enrollment_code),
        update_mask: Some(mask(path)),
        acknowledge_weak: true,
        request_id: dice.request_id(),
    };
    let name = way.name();
    let first = if new_word {
        update(
            EnrollmentCode {
                name,
                code: dice.word(14),
                ..Default::default()
            },
            "code",
        )
    } else {
        update(
            EnrollmentCode {
                name,
                enabled: Some(false),
                ..Default::default()
            },
            "enabled",
        )
    };
    let call = async |update: UpdateEnrollmentCodeRequest| {
        scene
            .until_final(true, dice, async || {
                staff
                    .enrollment_codes()
                    .update_enrollment_code(update.clone())
                    .await
            })
            .await
    };
    let Some(code) = closed(scene, secret.clone(), call(first).await) else {
        return;
    };
    if new_word {
        way.open(Secret::new(code.full_code));
        return;
    }
    scene.goes_on(dice.millis(20, 200)).await;
    let Some(secret) = secret else { return };
    let name = way.name();
    let on = update(
        EnrollmentCode {
            name,
            enabled: Some(true),
            ..Default::default()
        },
        "enabled",
    );
    reopening(scene, &secret);
    if let Some(Ok(_)) = call(on).await.answer {
        way.open(secret);
    }
}
