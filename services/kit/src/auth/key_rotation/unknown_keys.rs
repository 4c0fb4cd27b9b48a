use super::*;

#[tokio::test]
async fn a_storm_of_unknown_keys_is_one_fetch_a_minute() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    assert_eq!(server.asked(), 1);
    let storm = || async { join_all((0..40).map(|seed| world.call(100 + seed))).await };

    assert!(!storm().await.contains(&true));
    assert_eq!(server.asked(), 2, "one flight for all of them");
    assert!(!storm().await.contains(&true));
    world
        .clock
        .advance(TimeDelta::seconds(REFETCH_SECONDS_MIN) - TimeDelta::microseconds(1));
    assert!(!storm().await.contains(&true));
    assert_eq!(server.asked(), 2, "refused at once within the minute");
    assert!(world.call(1).await, "known keys need no fetch");

    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    assert!(!world.call(2).await);
    world.clock.advance(TimeDelta::microseconds(1));
    assert!(world.call(2).await && world.call(1).await);
    assert_eq!(server.asked(), 3);
    // A clock that was set back does not stop it for as long as it was set back.
    world.clock.set(noon());
    assert!(!world.call(3).await);
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn calls_wait_for_the_fetch_under_way_and_no_more_than_their_bound() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    server.hold();
    let waiting: Vec<_> = (0..UNKNOWN_KEY_CALLERS_MAX)
        .map(|_| tokio::spawn(world.call(2)))
        .collect();
    eventually("the fetch is under way", || server.asked() == 2).await;
    eventually("everyone waits", || {
        world.verifier.following.callers_waiting() == UNKNOWN_KEY_CALLERS_MAX
    })
    .await;
    assert!(!world.call(2).await, "one too many is refused at once");
    assert!(world.call(1).await, "known keys wait for nothing");
    server.go_on();
    for call in waiting {
        assert!(call.await.unwrap());
    }
    assert_eq!(server.asked(), 2);
    assert_eq!(world.verifier.following.callers_waiting(), 0);
}

#[tokio::test]
async fn a_call_gives_up_waiting_and_the_fetch_goes_on_without_it() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let keys = TokenKeys::of_url(&server.url()).unwrap();
    let clock = Arc::new(ManualClock::new(noon()));
    let keys = keys.with_pauses(KeyPauses {
        unknown_key_wait: Duration::from_millis(20),
        ..PAUSES
    });
    let verifier = Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone()));
    let world = World { clock, verifier };
    world.verifier.fetch_first_keys().await.unwrap();
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    server.hold();
    assert!(!world.call(2).await);
    server.go_on();
    eventually("the keys arrive", || world.knows(2)).await;
    assert_eq!(server.asked(), 2);
}
