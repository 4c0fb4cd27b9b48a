//! The places that show operators and staff that a redemption is stuck (P13): the log, lists, and a gauge.

use std::{net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        GetRedemptionRequest, Redemption, redemption::State,
        redemption_service_server::RedemptionService as _,
    },
};
use homeroom_invitations::{
    app::workers::{EVENTS_SKIPPED, Pauses, REDEMPTIONS_RESERVED, REDEMPTIONS_STUCK, start},
    grpc::redemption_service::RedemptionHandlers,
    redemption::drive::STUCK_AFTER_TRIES,
};
use homeroom_kit::{Error, metrics::MetricsServer, shutdown::Shutdown};
use tonic::Status;

use crate::{
    fake_membership::Mode,
    scrape::until_shown,
    world::{CODE, World, by, list_redemptions},
};

/// Returns a world with a redemption that membership has not answered after `tries` tries of recovery.
async fn tried(tries: u32) -> World {
    let world = World::new().await;
    world.code(None).await;
    world.membership.set(Mode::Away);
    world.redeem("ann", CODE, "").await.unwrap_err();
    for _ in 0..tries {
        world.advance(TimeDelta::seconds(60));
        world.recover().await;
    }
    world
}

async fn listed(world: &World) -> Redemption {
    let listed = list_redemptions(world, "", "").await;
    listed.unwrap().remove(0)
}

async fn read(handlers: &RedemptionHandlers, name: &str) -> Result<Redemption, Status> {
    let request = GetRedemptionRequest {
        name: name.to_owned(),
    };
    let read = handlers.get_redemption(by("tess", request)).await?;
    Ok(read.into_inner())
}

#[tokio::test]
async fn p13_a_redemption_is_stuck_on_the_wire_after_10_tries_and_no_earlier() {
    for (tries, stuck) in [(STUCK_AFTER_TRIES - 1, false), (STUCK_AFTER_TRIES, true)] {
        let world = tried(tries).await;
        let handlers = RedemptionHandlers::new(world.app.clone());
        // Membership is back, and has received nothing yet.
        world.membership.set(Mode::Up);
        let shown = listed(&world).await;
        assert_eq!((shown.state(), shown.stuck), (State::Reserved, stuck));
        let one = read(&handlers, &shown.name).await.unwrap();
        assert_eq!((one.state(), one.stuck), (State::Reserved, stuck));
        // Without membership nothing is returned that may be wrong (P10).
        world.membership.set(Mode::Away);
        let unknown = read(&handlers, &shown.name).await.unwrap_err();
        let unknown = Error::from_status(&unknown).unwrap();
        assert_eq!(unknown.reason(), ErrorReason::MembershipUnavailable);
        // Once it is answered it is no longer stuck.
        world.membership.set(Mode::Up);
        world.advance(TimeDelta::seconds(60));
        assert_eq!(world.recover().await.settled, 1);
        let settled = listed(&world).await;
        assert_eq!((settled.state(), settled.stuck), (State::Committed, false));
    }
}

#[tokio::test]
async fn p13_gauges_count_what_is_stuck_reserved_and_skipped() {
    let world = tried(STUCK_AFTER_TRIES).await;
    let skipped = "INSERT INTO skipped_events (feed, event_id, event_type, subject, cause, \
        create_time) VALUES ('membership', 'e-1', 'join_request.denied', 's', 'unreadable', 0)";
    world.tamper(skipped).await;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = MetricsServer::start(loopback, "invitations", || (0, 0))
        .await
        .unwrap();
    let address = server.address();
    let shutdown = Shutdown::new();
    let pauses = Pauses {
        recovery: Duration::from_millis(2),
        follower: Duration::from_millis(2),
        sweep: Duration::from_millis(2),
        ..Pauses::default()
    };
    let mut workers = start(&world.app, pauses, &shutdown);
    let of = |gauge: &str, count: u32| format!("{gauge} {count}");
    let [stuck, reserved] = [REDEMPTIONS_STUCK, REDEMPTIONS_RESERVED].map(|name| of(name, 1));
    until_shown(address, &[&stuck, &reserved, &of(EVENTS_SKIPPED, 1)]).await;
    // Membership is back: recovery tries at once, and the gauges fall.
    world.membership.set(Mode::Up);
    let [stuck, reserved] = [REDEMPTIONS_STUCK, REDEMPTIONS_RESERVED].map(|name| of(name, 0));
    until_shown(address, &[&stuck, &reserved]).await;
    shutdown.begin();
    workers.ended().await;
}
