//! Many redemptions at once on PostgreSQL, where transactions conflict.

use chrono::TimeDelta;
use futures::future::join_all;
use homeroom_api::membership::v1::join_request::State;
use homeroom_invitations::domain::redemption::RedemptionState;

use crate::{
    fake_membership::Mode,
    world::{CLASS_CODE, CODE, REQUEST, World, uses},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p9_concurrent_retries_of_one_request_are_one_redemption() {
    let world = World::on_postgres().await;
    let code = world.code(Some(5)).await;
    let sent = (0..40).map(|_| world.spawn(world.attempt("ann", CODE, REQUEST)));
    let answers = join_all(sent.collect::<Vec<_>>()).await;
    world.quiet().await;
    let mut answers = answers.into_iter().map(|answer| answer.unwrap().unwrap());
    let first = answers.next().unwrap();
    assert!(answers.all(|answer| answer == first));
    assert_eq!(world.redemptions().await.len(), 1);
    assert_eq!(world.uses(code).await, uses(1, 0, 0));
}

/// Runs batches over two invitations, recovery, the feed and retries all at once, while membership loses every other
/// answer: in the end counts and states agree (I3, I4).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p4_p5_p13_counts_stay_true_while_everything_runs_at_once() {
    let world = World::on_postgres().await;
    let code = world.code(Some(30)).await;
    let class_code = world.locked_class_code().await;
    let batches = (0..8).map(|batch| {
        let attempts = (0..10)
            .flat_map(|number| {
                let user = format!("user-{batch}-{number}");
                let mut pair = [CLASS_CODE, CODE];
                pair.rotate_left((batch + 1) % 2);
                pair.map(|code| world.attempt(&user, code, ""))
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
            world
                .membership
                .set([Mode::Up, Mode::LosesAnswers][round % 2]);
            world.advance(TimeDelta::seconds(60));
            let _ = world.app.redemptions.recover_once().await;
            let _ = world.app.redemptions.follow_once().await;
            let waiting = world.membership.state().waiting();
            if let Some(user) = waiting.first() {
                let ends = [State::Denied, State::Approved, State::Approved];
                world.membership.end_request(user, ends[round % 3]);
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
    assert!(redemptions.iter().all(|one| one.state.is_final()));
    for invitation in [code, class_code] {
        let its = redemptions
            .iter()
            .filter(|one| one.invitation_id == invitation);
        let committed = its.filter(|one| one.state == RedemptionState::Committed);
        let used = u32::try_from(committed.count()).unwrap();
        assert_eq!(world.uses(invitation).await, uses(used, 0, 0));
    }
    assert!(world.uses(code).await.used <= 30);
}
