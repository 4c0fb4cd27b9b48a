//! One call that redeems for several people.

use homeroom_api::{
    common::v1::User,
    invitations::v1::{BatchRedeemRequest, RedeemRequest, batch_redeem_response::result::Outcome},
};
use tonic::Code;

use super::{
    Scene, is_final,
    person::{Wish, accepted, choose},
};
use crate::{
    dice::Dice,
    history::{Answer, Span},
};

/// The people in one call.
const PERSONS_OF_BATCH: usize = 5;

/// Redeems for several people at once, and retries until every answer is final.
pub(super) async fn redeem_batch(
    scene: &Scene,
    school: usize,
    prefix: &str,
    patient: bool,
    dice: &Dice,
) {
    let wishes: Vec<Wish> = (0..PERSONS_OF_BATCH)
        .filter_map(|index| {
            let (way, secret) = choose(&scene.schools[school], dice)?;
            let mut wish = Wish::new(format!("{prefix}-{index}"), school, way, &secret, dice);
            wish.request.user = Some(User {
                user: wish.user.clone(),
                ..Default::default()
            });
            Some(wish)
        })
        .collect();
    if wishes.is_empty() {
        return;
    }
    let requests: Vec<RedeemRequest> = wishes.iter().map(|wish| wish.request.clone()).collect();
    let caller = scene.platform.acting_for("platform");
    loop {
        let begin = scene.history.now();
        let batch = BatchRedeemRequest {
            requests: requests.clone(),
        };
        let answered = scene.once(caller.redemptions().batch_redeem(batch)).await;
        let span = Span {
            begin,
            end: scene.history.now(),
        };
        let mut answers = vec![Answer::Unknown; wishes.len()];
        if let Some(Ok(response)) = answered {
            for result in response.results {
                let Ok(index) = usize::try_from(result.index) else {
                    continue;
                };
                answers[index] = match result.outcome {
                    Some(Outcome::Redemption(response)) => accepted(&response),
                    Some(Outcome::Status(status)) if is_final(Code::from(status.code)) => {
                        Answer::Refused(status.message)
                    }
                    _ => Answer::Unknown,
                };
            }
        }
        let done = !answers.contains(&Answer::Unknown);
        for (wish, answer) in wishes.iter().zip(answers) {
            wish.write(scene, span, answer);
        }
        if done || !patient || !scene.waits(dice).await {
            return;
        }
    }
}
