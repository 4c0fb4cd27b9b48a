use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

/// The time for which a call waits if no key will come.
const SHORT: Duration = Duration::from_millis(50);
/// Pauses under which the URL is asked for one unknown key, and then for no other for a long time.
const ASKED_ONCE: KeyPauses = KeyPauses {
    url_refresh: Duration::from_hours(1),
    url_retry: Duration::from_hours(1),
    unknown_key_wait: SHORT,
    ..PAUSES
};
/// Pauses under which the URL is soon asked again for the next unknown key, and calls wait for
/// that.
const ASKED_AGAIN: KeyPauses = KeyPauses {
    url_refresh: Duration::from_hours(1),
    unknown_key_wait: EVENTUALLY,
    ..PAUSES
};

#[tokio::test]
async fn a_storm_of_unknown_keys_is_one_fetch_and_lets_the_new_key_in() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let patient = KeyPauses {
        unknown_key_wait: EVENTUALLY,
        ..ASKED_ONCE
    };
    let world = World::followed(&server, patient).await;
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    let storm = join_all((2..42).map(|seed| world.try_call(seed))).await;
    assert_eq!(server.asked(), 2, "one flight for all of them");
    let mut storm = storm.into_iter();
    storm.next().unwrap().unwrap();
    // A key that is missing from the set that was read for the call is refused.
    storm.for_each(is_refused);
    assert!(world.call(1).await && world.call(2).await);
}

#[tokio::test]
async fn within_the_minute_a_young_token_comes_back_and_an_old_one_is_refused() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::followed(&server, ASKED_ONCE).await;
    is_refused(world.try_call(100).await);
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    comes_back(world.try_call(2).await);
    let made = |seconds: i64| {
        let at = noon() - TimeDelta::seconds(seconds);
        let claims = Claims::new(ISSUER, AUDIENCE, "ada", at, TimeDelta::days(1));
        signer(2).sign(&claims).unwrap().expose().to_owned()
    };
    // The issuer's clock may be wrong by this much.
    comes_back(world.try_call_with(&made(CLOCK_SKEW_SECONDS_MAX)).await);
    is_refused(world.try_call_with(&made(3_600)).await);
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn once_the_minute_is_over_a_new_key_gets_in_though_others_send_junk() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::followed(&server, ASKED_AGAIN).await;
    is_refused(world.try_call(100).await);
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    assert!(world.call(2).await);
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn a_key_is_not_refused_for_want_of_an_answer() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let pauses = KeyPauses {
        unknown_key_wait: SHORT,
        ..ASKED_AGAIN
    };
    let world = World::followed(&server, pauses).await;
    server.say(answer("500 Oops", "", ""));
    comes_back(world.try_call(2).await);
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    eventually("it is asked again", || world.knows(2)).await;
}

#[tokio::test]
async fn calls_wait_for_the_fetch_under_way_and_no_more_than_their_bound() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::followed(&server, ASKED_AGAIN).await;
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    server.hold();
    let waiting: Vec<_> = (0..UNKNOWN_KEY_CALLERS_MAX)
        .map(|_| tokio::spawn(world.call(2)))
        .collect();
    let places = &world.verifier.following.waiting;
    eventually("everyone waits", || places.available_permits() == 0).await;
    // A call beyond the limit is answered at once, while the fetch is still held.
    comes_back(world.try_call(2).await);
    assert!(world.call(1).await, "known keys wait for nothing");
    server.go_on();
    for call in waiting {
        assert!(call.await.unwrap());
    }
    assert_eq!(places.available_permits(), UNKNOWN_KEY_CALLERS_MAX);
}

#[tokio::test]
async fn a_call_gives_up_waiting_and_the_fetch_goes_on_without_it() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::followed(&server, ASKED_ONCE).await;
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    server.hold();
    comes_back(world.try_call(2).await);
    server.go_on();
    eventually("the keys arrive", || world.knows(2)).await;
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_token_that_no_key_could_save_starts_no_fetch_and_is_not_told_to_retry() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::followed(&server, ASKED_ONCE).await;
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
    // With one more second and several audiences, its key is still asked for.
    let good = altered(&|claims| {
        claims.exp = over + 1;
        claims.aud = Audience::Several(vec!["other".to_owned(), AUDIENCE.to_owned()]);
    });
    is_refused(world.try_call_with(&good).await);
    assert_eq!(server.asked(), 2);
    comes_back(world.try_call_with(&header("ES256")).await);
}
