//! Many redemptions at once on PostgreSQL, where transactions conflict.

use chrono::TimeDelta;
use futures::future::join_all;
use homeroom_api::membership::v1::join_request::State;
use homeroom_invitations::domain::{invitation::InvitationKind, redemption::RedemptionState};

use crate::{
    fake_membership::Mode,
    world::{CODE, REQUEST, World, uses},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p4_a_hundred_at_once_on_one_use_admit_exactly_one() {
    let world = World::on_postgres().await;
    let code = world.code(Some(1)).await;
    let results = join_all((0..100).map(|number| {
        let attempt = world.attempt(&format!("user-{number}"), CODE, "");
        let app = world.app.clone();
        tokio::spawn(async move { app.redemptions.redeem(attempt).await })
    }))
    .await;
    world.quiet().await;
    let admitted = results
        .iter()
        .filter(|result| result.as_ref().unwrap().is_ok())
        .count();
    assert_eq!(admitted, 1);
    assert_eq!(world.membership.state().members.len(), 1);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    world.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p9_concurrent_retries_of_one_request_are_one_redemption() {
    let world = World::on_postgres().await;
    let code = world.code(Some(5)).await;
    let answers = join_all((0..40).map(|_| {
        let attempt = world.attempt("ann", CODE, REQUEST);
        let app = world.app.clone();
        tokio::spawn(async move { app.redemptions.redeem(attempt).await })
    }))
    .await;
    world.quiet().await;
    let first = answers[0].as_ref().unwrap().as_ref().unwrap();
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().as_ref().unwrap() == first)
    );
    assert_eq!(world.redemptions().await.len(), 1);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
    world.drop_it().await;
}

/// Runs batches over two invitations, recovery, the feed and retries all at once, while membership loses every other
/// answer: in the end counts and states agree (I3, I4).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p4_p5_p13_counts_stay_true_while_everything_runs_at_once() {
    const CLASS_CODE: &str = "ABCD-EFGH-JKMN";
    let world = World::on_postgres().await;
    let code = world.code(Some(30)).await;
    let class_code = world
        .invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
        .await;
    world.advance(TimeDelta::days(14));
    let batches = (0..8).map(|batch| {
        let attempts = (0..10)
            .flat_map(|number| {
                let user = format!("user-{batch}-{number}");
                let mut pair = vec![
                    world.attempt(&user, CLASS_CODE, ""),
                    world.attempt(&user, CODE, ""),
                ];
                if batch % 2 == 0 {
                    pair.reverse();
                }
                pair
            })
            .collect();
        let app = world.app.clone();
        tokio::spawn(async move {
            app.redemptions.redeem_many(attempts).await;
        })
    });
    let batches = join_all(batches.collect::<Vec<_>>());
    let meanwhile = async {
        for round in 0..40 {
            world.membership.set(if round % 2 == 0 {
                Mode::Up
            } else {
                Mode::LosesAnswers
            });
            world.advance(TimeDelta::seconds(60));
            let _ = world.app.redemptions.recover_once().await;
            let _ = world.app.redemptions.follow_once().await;
            let waiting = world.membership.state().waiting();
            if let Some(user) = waiting.first() {
                let end = if round % 3 == 0 {
                    State::Denied
                } else {
                    State::Approved
                };
                world.membership.end_request(user, end);
            }
        }
    };
    let _ = futures::join!(batches, meanwhile);
    world.membership.set(Mode::Up);
    world.quiet().await;
    while !world.membership.state().waiting().is_empty() {
        let user = world.membership.state().waiting()[0].clone();
        world.membership.end_request(&user, State::Denied);
    }
    for _ in 0..5 {
        world.advance(TimeDelta::seconds(60));
        world.recover().await;
        world.follow().await;
    }
    let redemptions = world.redemptions().await;
    assert!(
        redemptions
            .iter()
            .all(|redemption| redemption.state.is_final())
    );
    for invitation in [code, class_code] {
        let committed = redemptions
            .iter()
            .filter(|one| {
                one.invitation_id == invitation && one.state == RedemptionState::Committed
            })
            .count();
        let used = u32::try_from(committed).unwrap();
        assert_eq!(world.uses(invitation).await, uses(used, 0, 0));
    }
    assert!(world.uses(code).await.used <= 30);
    world.drop_it().await;
}
