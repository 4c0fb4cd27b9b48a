use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use futures::FutureExt as _;

use super::*;

#[tokio::test]
async fn a_storm_of_unknown_keys_is_one_fetch_which_brings_the_new_key() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server, Duration::from_secs(1)).await.followed();
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    assert!((2..42).all(|seed| world.is_looking_for(seed)));
    let refused = world.verifier.verify(&token(2)).unwrap_err();
    let delay = Duration::from_secs(UNKNOWN_KEY_RETRY_SECONDS);
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(refused.retry_delay(), Some(delay));
    eventually("the new key is known", || world.knows(2)).await;
    // Nobody asks for more within the minute.
    assert!(world.is_looking_for(42) && world.knows(1));
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn once_the_minute_is_over_a_new_key_gets_in_though_others_send_junk() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server, SHORT).await.followed();
    assert!(world.is_looking_for(100));
    server.say(answer("500 Oops", "", ""));
    let asked = server.asked();
    eventually("it is asked", || server.asked() > asked + 1).await;
    assert!(world.is_looking_for(2), "there was no answer");
    server.say(answer("200 OK", "", &jwks(&[1, 2])));
    eventually("it is asked again", || world.knows(2)).await;
}

#[tokio::test]
async fn only_a_key_that_could_make_the_token_valid_and_be_new_is_asked_for() {
    let server = KeyServer::start(&jwks(&[1])).await;
    let world = World::of(&server, SHORT).await;
    let altered = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        signer(2).sign(&claims).unwrap().expose().to_owned()
    };
    let made = |at: Option<i64>| altered(&|claims| claims.iat = at);
    let good = altered(&|_| {});
    let header = |algorithm: &str| {
        let header = json!({ "alg": algorithm, "kid": "nobody's", "typ": "JWT" }).to_string();
        let (_, rest) = good.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    };
    let several = |last: &str| Audience::Several(vec!["other".to_owned(), last.to_owned()]);
    let (now, skew) = (noon().timestamp(), CLOCK_SKEW_SECONDS_MAX);
    let invalid = ErrorReason::AccessTokenInvalid;
    let asked_for = [
        good.clone(),
        header("ES256"),
        altered(&|claims| claims.aud = several(AUDIENCE)),
        altered(&|claims| claims.exp = now - skew + 1),
        // The issuer's clock may be wrong by this much, and its tokens need not say when they were made.
        made(Some(now - skew)),
        made(None),
    ];
    let refused = [
        made(Some(now - skew - 1)),
        altered(&|claims| claims.iss = "https://elsewhere.example".to_owned()),
        altered(&|claims| claims.aud = Audience::One("other".to_owned())),
        altered(&|claims| claims.aud = several("others")),
        altered(&|claims| claims.nbf = Some(now + skew + 1)),
        altered(&|claims| claims.sub = String::new()),
        altered(&|claims| claims.sub = "s".repeat(256)),
        header("HS256"),
        header("ES384"),
        header("PS256"),
        header("none"),
    ];
    let late = altered(&|claims| claims.exp = now - skew);
    let each = asked_for
        .map(|token| (token, ErrorReason::Overloaded))
        .into_iter();
    let each = each.chain(refused.map(|token| (token, invalid)));
    for (token, expected) in each.chain([(late, ErrorReason::AccessTokenExpired)]) {
        assert_eq!(reason(world.verifier.verify(&token)), expected, "{token}");
        let asked = world.sources().wanted.notified().now_or_never();
        let is_asked_for = expected == ErrorReason::Overloaded;
        assert_eq!(asked.is_some(), is_asked_for, "{token}");
    }
    // A set that was read after the token was made is certain.
    world.clock.set(noon() + TimeDelta::seconds(skew + 1));
    for (answered, expected) in [("500 Oops", ErrorReason::Overloaded), ("200 OK", invalid)] {
        server.say(answer(answered, "", &jwks(&[1])));
        world.look_again().await;
        assert_eq!(reason(world.verifier.verify(&good)), expected);
    }
}
