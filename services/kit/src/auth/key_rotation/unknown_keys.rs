use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::FutureExt as _;

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
        world.verifier.following.seeking.callers_waiting() == UNKNOWN_KEY_CALLERS_MAX
    })
    .await;
    // One too many: told at once, while the fetch is still held.
    comes_back_after(world.try_call(2).await, FETCH_RETRY_SECONDS);
    assert!(world.call(1).await, "known keys wait for nothing");
    server.go_on();
    for call in waiting {
        assert!(call.await.unwrap());
    }
    assert_eq!(server.asked(), 2);
    assert_eq!(world.verifier.following.seeking.callers_waiting(), 0);
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
    comes_back_after(world.try_call(2).await, FETCH_RETRY_SECONDS);
    server.go_on();
    eventually("the keys arrive", || world.knows(2)).await;
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_key_published_amid_junk_works_within_the_minute_and_costs_no_fetch_more() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    // What the key set does not have when it is read for a call is nobody's key.
    is_refused(world.try_call(100).await);
    assert_eq!(server.asked(), 2);
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    world.clock.advance(TimeDelta::milliseconds(1_500));
    let whole_seconds_left = 59;
    comes_back_after(world.try_call(2).await, whole_seconds_left);
    for seed in 101..110 {
        comes_back_after(world.try_call(seed).await, whole_seconds_left);
    }
    world.clock.advance(TimeDelta::microseconds(58_500_000 - 1));
    comes_back_after(world.try_call(2).await, 1);
    assert_eq!(server.asked(), 2);
    // Who comes back when told gets in, whoever else comes then.
    world.clock.advance(TimeDelta::microseconds(1));
    server.hold();
    let junk: Vec<_> = (200..200 + UNKNOWN_KEY_CALLERS_MAX as u64)
        .map(|seed| tokio::spawn(world.try_call(seed)))
        .collect();
    eventually("junk waits", || {
        world.verifier.following.seeking.callers_waiting() == UNKNOWN_KEY_CALLERS_MAX
    })
    .await;
    comes_back_after(world.try_call(2).await, FETCH_RETRY_SECONDS);
    server.go_on();
    let mut refused = 0;
    for call in junk {
        let told = call.await.unwrap().unwrap_err();
        refused += usize::from(told.reason() == ErrorReason::AccessTokenInvalid);
    }
    assert_eq!(refused, 1, "the call that the fetch was made for");
    assert!(world.call(2).await);
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn a_key_is_not_refused_for_want_of_an_answer() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    server.say(answer("500 Oops", "", ""));
    comes_back_after(world.try_call(2).await, REFETCH_SECONDS_MIN.unsigned_abs());
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    world.clock.advance(TimeDelta::seconds(REFETCH_SECONDS_MIN));
    assert!(world.call(2).await);
}

#[tokio::test]
async fn a_key_that_was_taken_out_is_refused_at_any_time_and_may_come_again() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    server.say(answer("200 OK", "", &jwks(&[2])));
    world.verifier.look_again().await;
    server.hold();
    // At once, though the keys are being read.
    for _ in 0..2 {
        is_refused(world.try_call(1).now_or_never().expect("it waits"));
    }
    server.go_on();
    eventually("it was asked for", || server.asked() == 3).await;
    eventually("the answer has come", || {
        !world.verifier.following.seeking.is_under_way()
    })
    .await;
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    is_refused(world.try_call(1).await);
    assert_eq!(server.asked(), 3);
    world.clock.advance(TimeDelta::seconds(REFETCH_SECONDS_MIN));
    is_refused(world.try_call(1).await);
    eventually("it is back", || world.knows(1)).await;
    assert!(world.call(1).await && world.call(2).await);
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn a_token_that_no_key_could_save_starts_no_fetch_and_is_not_told_to_retry() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    let whole = Claims::new(ISSUER, AUDIENCE, "ada", noon(), TimeDelta::minutes(5));
    let altered = |change: &dyn Fn(&mut Claims)| {
        let mut claims = whole.clone();
        change(&mut claims);
        signer(2).sign(&claims).unwrap().expose().to_owned()
    };
    let skew = CLOCK_SKEW_SECONDS_MAX;
    let over = noon().timestamp() - skew;
    let header = |algorithm: &str| {
        let header = json!({ "alg": algorithm, "kid": "nobody's", "typ": "JWT" }).to_string();
        let good = altered(&|_| {});
        let (_, rest) = good.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    };
    let hopeless = [
        altered(&|claims| claims.iss = "https://elsewhere.example".to_owned()),
        altered(&|claims| claims.aud = Audience::One("other".to_owned())),
        altered(&|claims| claims.aud = Audience::Several(vec!["other".to_owned()])),
        altered(&|claims| claims.nbf = Some(noon().timestamp() + skew + 1)),
        altered(&|claims| claims.sub = String::new()),
        altered(&|claims| claims.sub = "s".repeat(256)),
        header("HS256"),
        header("ES384"),
        header("PS256"),
        header("none"),
    ];
    for token in hopeless {
        is_refused(world.try_call_with(&token).await);
    }
    let late = altered(&|claims| claims.exp = over);
    let expired = world.try_call_with(&late).await.unwrap_err();
    assert_eq!(expired.reason(), ErrorReason::AccessTokenExpired);
    assert_eq!(server.asked(), 1);
    // A second more, and several audiences: its key is asked for.
    let good = altered(&|claims| {
        claims.exp = over + 1;
        claims.aud = Audience::Several(vec!["other".to_owned(), AUDIENCE.to_owned()]);
    });
    is_refused(world.try_call_with(&good).await);
    assert_eq!(server.asked(), 2);
    comes_back_after(world.try_call_with(&header("ES256")).await, 60);
}

#[tokio::test]
async fn a_refusal_says_whether_the_keys_are_being_read_or_when_they_may_be() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server).await;
    server.hold();
    let waiting: Vec<_> = (0..UNKNOWN_KEY_CALLERS_MAX)
        .map(|_| tokio::spawn(world.call(2)))
        .collect();
    eventually("everyone waits", || {
        world.verifier.following.seeking.callers_waiting() == UNKNOWN_KEY_CALLERS_MAX
    })
    .await;
    let told = world.try_call(2).await.unwrap_err().to_string();
    assert!(
        told.contains("in 1 s") && told.contains("are being read now"),
        "{told}"
    );
    server.go_on();
    for call in waiting {
        assert!(!call.await.unwrap());
    }
    let told = world.try_call(2).await.unwrap_err().to_string();
    assert!(
        told.contains("in 60 s") && told.contains("only then"),
        "{told}"
    );
}
