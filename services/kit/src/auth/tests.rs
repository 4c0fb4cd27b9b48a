use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::common::v1::ErrorReason;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::{ManualClock, from_micros},
    random::SeededRandomness,
    status::Result,
    tests::log::Log,
};

pub(super) const ISSUER: &str = "https://school.example";
pub(super) const AUDIENCE: &str = "homeroom";

pub(super) fn noon() -> DateTime<Utc> {
    from_micros(1_700_000_000_000_000)
}

pub(super) fn signer(seed: u64) -> Signer {
    Signer::generate(&SeededRandomness::new(seed)).unwrap()
}

fn verifier_at(time: DateTime<Utc>, cap: Option<Scopes>) -> Verifier {
    let keys = signer(1).keys(cap).unwrap();
    Verifier::new(keys, ISSUER, AUDIENCE, Arc::new(ManualClock::new(time)))
}

pub(super) fn claims() -> Claims {
    Claims::new(ISSUER, AUDIENCE, "ada", noon(), TimeDelta::minutes(5))
}

fn sign(claims: &Claims) -> String {
    signer(1).sign(claims).unwrap().expose().to_owned()
}

/// Signs any JSON with the key that the verifier trusts.
fn sign_json(claims: &Value) -> String {
    let pem = super::signer::tests::pem(1);
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
}

/// Returns the subject of the token and the acting user.
fn names(caller: &Caller) -> (&str, &str) {
    (&caller.subject, caller.user.as_str())
}

pub(super) fn reason<T>(result: Result<T>) -> ErrorReason {
    result
        .err()
        .map_or(ErrorReason::Unspecified, |error| error.reason())
}

#[test]
fn a_good_token_says_who_calls() {
    let mut claims = claims().with_scopes([Scope::Vouch].into_iter().collect());
    claims.email = Some("ada@school.example".to_owned());
    claims.email_verified = Some(true);
    claims.external_id = Some("s-1".to_owned());
    claims.name = Some("Ada".to_owned());
    claims.organizations = Some(vec!["hamilton".to_owned()]);
    let caller = verifier_at(noon(), None).caller(&sign(&claims), None);
    let caller = caller.unwrap();
    assert_eq!(names(&caller), ("ada", "ada"));
    assert!(!caller.acting_for_another && caller.email_verified);
    assert!(caller.has(Scope::Vouch) && !caller.has(Scope::ActAs));
    assert_eq!(caller.email.as_deref(), Some("ada@school.example"));
    assert_eq!(caller.external_id.as_deref(), Some("s-1"));
    assert_eq!(caller.display_name.as_deref(), Some("Ada"));
    assert_eq!(caller.organizations.unwrap()[0].as_str(), "hamilton");
}

#[test]
fn a_token_is_valid_from_nbf_to_exp_give_or_take_the_skew() {
    let (now, skew) = (noon().timestamp(), CLOCK_SKEW_SECONDS_MAX);
    for (begin, end, expected) in [
        (now + skew, now - skew + 1, ErrorReason::Unspecified),
        (now + skew + 1, now + 60, ErrorReason::AccessTokenInvalid),
        (now, now - skew, ErrorReason::AccessTokenExpired),
    ] {
        let mut claims = claims();
        (claims.nbf, claims.exp) = (Some(begin), end);
        let verified = verifier_at(noon(), None).verify(&sign(&claims));
        assert_eq!(reason(verified), expected);
    }
}

#[test]
fn a_caller_knows_when_its_token_ends() {
    let now = noon() + TimeDelta::minutes(2);
    let left = |claims: &Claims| {
        let before = std::time::Instant::now();
        let caller = verifier_at(now, None).caller(&sign(claims), None).unwrap();
        caller.token_end.map(|end| (end - before).as_secs())
    };
    let skew = CLOCK_SKEW_SECONDS_MAX.unsigned_abs();
    let expected = 3 * 60 + skew;
    let found = left(&claims()).unwrap();
    assert!((expected..expected + 20).contains(&found), "{found}");
    let mut forever = claims();
    forever.exp = i64::MAX;
    assert!(left(&forever).is_none_or(|left| left > 1_000_000_000));
}

#[test]
fn every_required_claim_is_required_and_of_its_kind() {
    let whole =
        json!({"iss": ISSUER, "aud": [AUDIENCE, "other"], "sub": "ada", "exp": 1_700_000_060.5});
    let verifier = verifier_at(noon(), None);
    assert!(verifier.verify(&sign_json(&whole)).is_ok());
    for (claim, wrong) in [
        ("iss", json!("https://elsewhere.example")),
        ("iss", json!([ISSUER])),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("sub", json!("")),
        ("sub", json!("s".repeat(256))),
        ("sub", json!(7)),
        ("exp", json!("1700000060")),
        ("exp", json!(null)),
    ] {
        let invalid = ErrorReason::AccessTokenInvalid;
        let mut altered = whole.clone();
        altered[claim] = wrong.clone();
        let refused = reason(verifier.verify(&sign_json(&altered)));
        assert_eq!(refused, invalid, "{claim} {wrong}");
        altered.as_object_mut().unwrap().remove(claim);
        let refused = reason(verifier.verify(&sign_json(&altered)));
        assert_eq!(refused, invalid, "no {claim}");
    }
}

#[test]
fn the_log_says_why_a_token_is_refused_and_holds_none() {
    let of = |change: Value| {
        let mut whole = json!(claims());
        for (claim, value) in change.as_object().unwrap() {
            whole[claim] = value.clone();
        }
        sign_json(&whole)
    };
    let key = EncodingKey::from_ed_pem(super::signer::tests::pem(1).as_bytes()).unwrap();
    let with_header = |change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(Algorithm::EdDSA);
        change(&mut header);
        jsonwebtoken::encode(&header, &claims(), &key).unwrap()
    };
    let keyed = |id: &str| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(id.to_owned());
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(b"s")).unwrap()
    };
    let own = signer(1).jwk(None);
    let own = own["kid"].as_str().unwrap();
    let genuine = sign(&claims());
    assert!(verifier_at(noon(), None).verify(&genuine).is_ok());
    let (head, _) = genuine.rsplit_once('.').unwrap();
    let other = of(json!({"sub": "eve"}));
    let (_, signature) = other.rsplit_once('.').unwrap();
    let foreign = signer(2).sign(&claims()).unwrap();
    let evil = format!("\u{1b}[31m\nWARN {}", "x".repeat(3_000));
    let critical = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        with_header(&|header| header.crit = Some(names.clone()))
    };
    let (now, issuer) = (noon().timestamp(), "https://elsewhere.example");
    for (token, expected) in [
        (
            of(json!({"iss": issuer})),
            "its `iss` is \"https://elsewhere.example\"",
        ),
        (
            of(json!({"iss": evil})),
            r#"its `iss` is "\u{1b}[31m\nWARN xxx"#,
        ),
        (of(json!({"aud": ["a", "b"]})), "its `aud` is \"a b\""),
        (
            of(json!({"exp": now - 3_600})),
            "its `exp` was 3600 seconds ago",
        ),
        (of(json!({"exp": null})), "its claims cannot be used"),
        (
            of(json!({"nbf": now + 60})),
            "its `nbf` is 60 seconds ahead",
        ),
        (of(json!({"sub": ""})), "its `sub` is empty"),
        (of(json!({"sub": "ä"})), "its `sub` \"ä\" is no user id"),
        (
            of(json!({"organizations": ["No!"]})),
            "its `organizations` hold \"No!\"",
        ),
        (foreign.expose().to_owned(), "has its `kid`"),
        (
            with_header(&|header| header.kid = Some(evil.clone())),
            r#"no key of its issuer has its `kid` "\u{1b}[31m"#,
        ),
        (critical(&[]), "its header names `crit`"),
        (critical(&["b64"]), "its header names `crit`"),
        (keyed("elsewhere"), "its `alg` HS256"),
        (keyed(own), "its `alg` HS256"),
        (format!("{head}.{signature}"), "has not signed it"),
        (format!("{head}."), "has not signed it"),
        (head.to_owned(), "no signed JWT"),
        (String::new(), "no signed JWT"),
        ("a.b.c".to_owned(), "no signed JWT"),
        ("a".repeat(TOKEN_BYTES_MAX + 1), "the token has 16385 bytes"),
    ] {
        let verifier = verifier_at(noon(), None);
        let (log, listening) = Log::of_this_thread();
        let refused = reason(verifier.caller(&token, None));
        drop(listening);
        let log = log.text();
        assert!(log.contains(expected), "{expected}: {log}");
        assert!(log.lines().count() == 1 && log.len() < 1_000, "{log}");
        let mut parts = token.split('.').filter(|part| part.len() > 8);
        assert!(!parts.any(|part| log.contains(part)), "{log}");
        let expired = expected.contains("`exp` was");
        assert_eq!(refused == ErrorReason::AccessTokenExpired, expired);
        assert_eq!(refused == ErrorReason::AccessTokenInvalid, !expired);
    }
}

#[test]
fn a_token_of_16384_bytes_is_read_and_the_holder_of_a_longer_one_learns_why_not() {
    let with_name = |chars: usize| {
        let mut whole = json!(claims());
        whole["name"] = "x".repeat(chars).into();
        sign_json(&whole)
    };
    let room = (TOKEN_BYTES_MAX - with_name(0).len()) / 4 * 3;
    let mut tokens = (room..).map(with_name);
    let longest = tokens.find(|token| token.len() >= TOKEN_BYTES_MAX).unwrap();
    assert_eq!(longest.len(), TOKEN_BYTES_MAX);
    assert!(verifier_at(noon(), None).verify(&longest).is_ok());
    let longer = tokens.next().unwrap();
    let refused = verifier_at(noon(), None).verify(&longer).unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::AccessTokenInvalid);
    let said = tonic::Status::from(refused).message().to_owned();
    let bytes = format!("{} bytes, and at most {TOKEN_BYTES_MAX} are", longer.len());
    assert!(said.contains(&bytes), "{said}");
}

#[test]
fn a_key_caps_the_scopes_of_its_tokens() {
    let token = sign(&claims().with_scopes(Scopes::all()));
    let cap: Scopes = [Scope::ActAs].into_iter().collect();
    let (_, scopes) = verifier_at(noon(), Some(cap)).verify(&token).unwrap();
    assert_eq!(scopes, cap);
    let (_, scopes) = verifier_at(noon(), None).verify(&token).unwrap();
    assert_eq!(scopes, Scopes::all());
}

#[test]
fn acting_for_another_needs_its_scope_and_takes_no_claims_along() {
    let verifier = verifier_at(noon(), None);
    let mut own = claims();
    own.email = Some("ada@school.example".to_owned());
    own.email_verified = Some(true);
    let token = sign(&own);
    let refused = verifier.caller(&token, Some("bob"));
    assert_eq!(reason(refused), ErrorReason::ScopeMissing);
    let herself = verifier.caller(&token, Some("ada")).unwrap();
    assert!(!herself.acting_for_another);

    let token = sign(&own.with_scopes([Scope::ActAs].into_iter().collect()));
    let caller = verifier.caller(&token, Some("bob")).unwrap();
    assert_eq!(names(&caller), ("ada", "bob"));
    assert!(caller.acting_for_another && caller.email.is_none() && !caller.email_verified);
    let malformed = verifier.caller(&token, Some("b/b"));
    assert_eq!(reason(malformed), ErrorReason::InvalidRequest);

    // A service is a user too: by the user id of its `sub`, if there is one.
    let mut service = claims().with_scopes([Scope::ActAs].into_iter().collect());
    service.sub = "spiffe://school/platform".to_owned();
    let token = sign(&service);
    let itself = "spiffe:%2F%2Fschool%2Fplatform";
    for named in [None, Some(itself)] {
        let own = verifier.caller(&token, named).unwrap();
        assert_eq!(names(&own), (itself, itself));
        assert!(!own.acting_for_another);
    }
    let for_bob = verifier.caller(&token, Some("bob")).unwrap();
    assert_eq!(names(&for_bob), (itself, "bob"));
    service.sub = "größer".to_owned();
    let token = sign(&service);
    let own = verifier.caller(&token, None);
    assert_eq!(reason(own), ErrorReason::AccessTokenInvalid);
    assert!(verifier.caller(&token, Some("bob")).is_ok());
}

#[test]
fn r12_nobody_acts_as_the_system_or_as_somebody_erased() {
    let verifier = verifier_at(noon(), None);
    let acts = |subject: &str, scopes: &[Scope], user: Option<&str>| {
        let mut claims = claims().with_scopes(scopes.iter().copied().collect());
        claims.sub = subject.to_owned();
        let caller = verifier.caller(&sign(&claims), user);
        caller.map(|caller| caller.user.to_string())
    };
    let act_as = [Scope::ActAs];
    let erased = "erased-00000000-0000-0000-0000-000000000007";
    for nobody in ["system", erased, "me", "-"] {
        let invalid = reason(acts(nobody, &[], None));
        assert_eq!(invalid, ErrorReason::AccessTokenInvalid);
        let refused = acts("lms", &act_as, Some(nobody)).unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::InvalidRequest);
        assert_eq!(refused.field_violations()[0].field, USER_METADATA);
    }
    // A service that acts for itself, and a person who names themselves, act as before.
    assert_eq!(acts("lms", &act_as, None).unwrap(), "lms");
    assert_eq!(acts("lms", &act_as, Some("lms")).unwrap(), "lms");
    assert_eq!(acts("lms", &act_as, Some("ada")).unwrap(), "ada");
    assert_eq!(acts("ada", &[], Some("ada")).unwrap(), "ada");
}

#[test]
fn a_signing_key_is_private_and_read_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    let made = Signer::load_or_generate(&path, &SeededRandomness::new(3)).unwrap();
    let permissions = std::fs::metadata(&path).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);
    let read = Signer::load_or_generate(&path, &SeededRandomness::new(4)).unwrap();
    assert_eq!(made.jwk(None), read.jwk(None));
    assert!(made.jwk(None).get("d").is_none());
    assert!(Signer::from_pem("no key").is_err());
}
