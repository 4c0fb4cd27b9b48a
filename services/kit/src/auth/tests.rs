use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::common::v1::ErrorReason;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::{ManualClock, from_micros},
    random::SeededRandomness,
    status::Result,
    telemetry::testing::Log,
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
    let caller = verifier_at(noon(), None)
        .caller(&sign(&claims), None)
        .unwrap();
    assert_eq!(
        (caller.subject.as_str(), caller.user.as_str()),
        ("ada", "ada")
    );
    assert!(!caller.acting_for_another && caller.email_verified);
    assert!(caller.has(Scope::Vouch) && !caller.has(Scope::ActAs));
    assert_eq!(caller.email.as_deref(), Some("ada@school.example"));
    assert_eq!(caller.external_id.as_deref(), Some("s-1"));
    assert_eq!(caller.display_name.as_deref(), Some("Ada"));
    assert_eq!(caller.organizations.unwrap()[0].as_str(), "hamilton");
}

#[test]
fn a_token_ends_at_exp_plus_the_skew_and_not_before() {
    let token = sign(&claims());
    let last = noon() + TimeDelta::minutes(5) + TimeDelta::seconds(CLOCK_SKEW_SECONDS_MAX - 1);
    assert!(verifier_at(last, None).verify(&token).is_ok());
    let over = verifier_at(last + TimeDelta::seconds(1), None).verify(&token);
    assert_eq!(reason(over), ErrorReason::AccessTokenExpired);
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
fn a_token_begins_at_nbf_less_the_skew() {
    let mut claims = claims();
    claims.nbf = Some(noon().timestamp() + CLOCK_SKEW_SECONDS_MAX);
    assert!(verifier_at(noon(), None).verify(&sign(&claims)).is_ok());
    claims.nbf = Some(noon().timestamp() + CLOCK_SKEW_SECONDS_MAX + 1);
    let early = verifier_at(noon(), None).verify(&sign(&claims));
    assert_eq!(reason(early), ErrorReason::AccessTokenInvalid);
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
        let mut altered = whole.clone();
        altered[claim] = wrong.clone();
        let refused = verifier.verify(&sign_json(&altered));
        assert_eq!(
            reason(refused),
            ErrorReason::AccessTokenInvalid,
            "{claim} {wrong}"
        );
        altered.as_object_mut().unwrap().remove(claim);
        let refused = verifier.verify(&sign_json(&altered));
        assert_eq!(
            reason(refused),
            ErrorReason::AccessTokenInvalid,
            "no {claim}"
        );
    }
}

#[test]
fn a_token_with_extensions_that_must_be_understood_is_refused() {
    let pem = super::signer::tests::pem(1);
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    let verifier = verifier_at(noon(), None);
    let mut header = Header::new(Algorithm::EdDSA);
    let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert!(verifier.verify(&token).is_ok());
    for critical in [vec![], vec!["b64".to_owned()]] {
        header.crit = Some(critical);
        let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert_eq!(
            reason(verifier.verify(&token)),
            ErrorReason::AccessTokenInvalid
        );
    }
}

#[test]
fn the_header_never_chooses_the_algorithm() {
    let public = signer(1).jwks(None);
    let public: Value = serde_json::from_str(&public).unwrap();
    let x = public["keys"][0]["x"].as_str().unwrap();
    let verifier = verifier_at(noon(), None);
    // The public key is used as an HMAC secret, the classic algorithm confusion.
    for secret in [x.as_bytes(), public.to_string().as_bytes()] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = public["keys"][0]["kid"].as_str().map(str::to_owned);
        let token =
            jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(
            reason(verifier.verify(&token)),
            ErrorReason::AccessTokenInvalid
        );
    }
    // There is no algorithm, or the signature is empty.
    let body = URL_SAFE_NO_PAD.encode(json!(claims()).to_string());
    for algorithm in ["none", "None", "ES256", "RS256"] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm, "typ": "JWT"}).to_string());
        let token = format!("{header}.{body}.");
        assert_eq!(
            reason(verifier.verify(&token)),
            ErrorReason::AccessTokenInvalid,
            "{algorithm}"
        );
    }
}

#[test]
fn a_token_of_another_key_or_altered_is_refused() {
    let verifier = verifier_at(noon(), None);
    let foreign = signer(2).sign(&claims()).unwrap();
    assert_eq!(
        reason(verifier.verify(foreign.expose())),
        ErrorReason::AccessTokenInvalid
    );
    let token = sign(&claims());
    let mut other = claims();
    other.sub = "eve".to_owned();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged = sign(&other);
    let (forged_head, _) = forged.rsplit_once('.').unwrap();
    for broken in [
        format!("{forged_head}.{signature}"),
        head.to_owned(),
        format!("{head}."),
        String::new(),
        "a.b.c".to_owned(),
        "a".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        assert_eq!(
            reason(verifier.verify(&broken)),
            ErrorReason::AccessTokenInvalid
        );
    }
}

#[test]
fn the_log_says_why_a_token_is_refused_and_holds_none() {
    let of = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        sign(&claims)
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
    let own: Value = serde_json::from_str(&signer(1).jwks(None)).unwrap();
    let own = own["keys"][0]["kid"].as_str().unwrap();
    let body = URL_SAFE_NO_PAD.encode(json!(claims()).to_string());
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none"}).to_string());
    let mut bare = json!(claims());
    bare.as_object_mut().unwrap().remove("exp");
    let genuine = sign(&claims());
    let (head, _) = genuine.rsplit_once('.').unwrap();
    let other = of(&|claims| claims.sub = "eve".to_owned());
    let (_, signature) = other.rsplit_once('.').unwrap();
    let evil = format!("\u{1b}[31m\nWARN {}", "x".repeat(3_000));
    for (token, expected) in [
        (
            of(&|claims| claims.iss = "https://elsewhere.example".to_owned()),
            "its `iss` is \"https://elsewhere.example\"",
        ),
        (
            of(&|claims| claims.iss.clone_from(&evil)),
            r#"its `iss` is "\u{1b}[31m\nWARN xxx"#,
        ),
        (
            of(&|claims| claims.aud = Audience::Several(vec!["a".to_owned(), "b".to_owned()])),
            "its `aud` is \"a b\"",
        ),
        (
            of(&|claims| claims.exp = noon().timestamp() - 3_600),
            "its `exp` was 3600 seconds ago",
        ),
        (
            of(&|claims| claims.nbf = Some(noon().timestamp() + 60)),
            "its `nbf` is 60 seconds ahead",
        ),
        (
            of(&|claims| claims.sub = String::new()),
            "its `sub` is empty",
        ),
        (
            of(&|claims| claims.sub = "a/b".to_owned()),
            "its `sub` \"a/b\" is no user id",
        ),
        (
            of(&|claims| claims.organizations = Some(vec!["No!".to_owned()])),
            "its `organizations` hold \"No!\"",
        ),
        (sign_json(&bare), "missing field `exp`"),
        (
            signer(2).sign(&claims()).unwrap().expose().to_owned(),
            "no key has its `kid`",
        ),
        (
            with_header(&|header| header.kid = Some(evil.clone())),
            r#"no key has its `kid` "\u{1b}[31m"#,
        ),
        (
            with_header(&|header| header.crit = Some(vec![])),
            "its header has `crit`",
        ),
        (keyed("elsewhere"), "its `alg` HS256"),
        (keyed(own), "its `alg` HS256"),
        (format!("{none}.{body}."), "unknown variant `none`"),
        (format!("{head}.{signature}"), "has not signed it"),
        ("a".repeat(TOKEN_BYTES_MAX + 1), "the token has 8193 bytes"),
        ("a.b.c".to_owned(), "no signed JWT"),
    ] {
        let verifier = verifier_at(noon(), None);
        let (log, listening) = Log::of_this_thread();
        let refused = verifier.caller_by_known_keys(&token, None).unwrap_err();
        verifier.log(&refused);
        drop(listening);
        let log = log.text();
        assert!(log.contains(expected), "{expected}: {log}");
        assert!(log.lines().count() == 1 && log.len() < 1_000, "{log}");
        let parts = token.split('.').filter(|part| part.len() > 8);
        for part in parts {
            assert!(!log.contains(part), "{log}");
        }
    }
}

#[test]
fn a_key_caps_the_scopes_of_its_tokens() {
    let token = sign(&claims().with_scopes(Scopes::all()));
    let cap: Scopes = [Scope::ActAs].into_iter().collect();
    let (_, scopes) = verifier_at(noon(), Some(cap)).verify(&token).unwrap();
    assert_eq!(scopes, cap);
    let (_, scopes) = verifier_at(noon(), None).verify(&token).unwrap();
    assert_eq!(scopes, Scopes::all());
    // The cap is part of the JWK set.
    let keys = Keys::from_jwks(&signer(1).jwks(Some(cap))).unwrap();
    let verifier = Verifier::new(keys, ISSUER, AUDIENCE, Arc::new(ManualClock::new(noon())));
    assert_eq!(verifier.verify(&token).unwrap().1, cap);
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
    assert!(
        !verifier
            .caller(&token, Some("ada"))
            .unwrap()
            .acting_for_another
    );

    let token = sign(&own.with_scopes([Scope::ActAs].into_iter().collect()));
    let caller = verifier.caller(&token, Some("bob")).unwrap();
    assert_eq!(
        (caller.subject.as_str(), caller.user.as_str()),
        ("ada", "bob")
    );
    assert!(caller.acting_for_another && caller.email.is_none() && !caller.email_verified);
    let malformed = verifier.caller(&token, Some("b/b"));
    assert_eq!(reason(malformed), ErrorReason::InvalidRequest);
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
    for nobody in [
        "system",
        "erased-00000000-0000-0000-0000-000000000007",
        "me",
        "-",
    ] {
        assert_eq!(
            reason(acts(nobody, &[], None)),
            ErrorReason::AccessTokenInvalid
        );
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
fn a_service_whose_sub_is_no_user_id_acts_for_users_only() {
    let verifier = verifier_at(noon(), None);
    let mut service = claims().with_scopes([Scope::ActAs].into_iter().collect());
    service.sub = "spiffe://school/platform".to_owned();
    let token = sign(&service);
    assert_eq!(
        reason(verifier.caller(&token, None)),
        ErrorReason::AccessTokenInvalid
    );
    assert_eq!(
        verifier.caller(&token, Some("bob")).unwrap().user.as_str(),
        "bob"
    );
}

#[test]
fn a_malformed_bound_lets_nobody_through() {
    let mut bound = claims();
    bound.organizations = Some(vec!["NOT AN ID".to_owned()]);
    let refused = verifier_at(noon(), None).caller(&sign(&bound), None);
    assert_eq!(reason(refused), ErrorReason::AccessTokenInvalid);
}

#[test]
fn es256_is_accepted_under_its_own_key() {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let curve = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(curve, &rng).unwrap();
    let key = EncodingKey::from_ec_der(pkcs8.as_ref());
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    let keys = Keys::from_jwks(&json!({ "keys": [jwk] }).to_string())
        .unwrap()
        .merge(signer(1).keys(None).unwrap());
    let verifier = Verifier::new(keys, ISSUER, AUDIENCE, Arc::new(ManualClock::new(noon())));
    let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims(), &key).unwrap();
    assert!(verifier.verify(&token).is_ok());
    assert!(verifier.verify(&sign(&claims())).is_ok());
    verifier.replace_keys(signer(2).keys(None).unwrap());
    assert!(verifier.verify(&token).is_err());
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
    assert_eq!(made.jwks(None), read.jwks(None));
    assert!(!made.jwks(None).contains("\"d\""));
    assert!(Signer::from_pem("no key").is_err());
}
