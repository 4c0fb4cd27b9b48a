use std::{fs, sync::Arc};

use homeroom_api::common::v1::ErrorReason;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{
    tests::{AUDIENCE, ISSUER, claims, noon, reason, signer},
    *,
};
use crate::{
    clock::ManualClock,
    config::{ConfigErrors, Reader},
};

const LMS: &str = "https://lms.example";
/// The `kid` of every key here.
const KEY_ID: &str = "1";

/// Returns the set of the key of this seed.
fn jwks(seed: u64) -> Value {
    let mut key = signer(seed).jwk(None);
    key["kid"] = KEY_ID.into();
    json!({ "keys": [key] })
}

fn issuer(seed: u64, name: &str) -> Issuer {
    let keys = Keys::from_jwks(&jwks(seed).to_string()).unwrap();
    Issuer::new(keys, name, AUDIENCE)
}

fn verifier(issuers: Vec<Issuer>) -> Verifier {
    Verifier::of_issuers(issuers, Arc::new(ManualClock::new(noon())))
}

/// Signs the usual claims of an issuer with these changes; null removes a claim.
fn sign(seed: u64, name: &str, changes: &Value) -> String {
    let mut claims = json!(claims());
    claims["iss"] = name.into();
    for (claim, value) in changes.as_object().unwrap() {
        claims[claim] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(KEY_ID.to_owned());
    let pem = super::signer::tests::pem(seed);
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

fn scopes(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

#[test]
fn scopes_are_read_in_each_claim_and_count_by_their_exact_spelling_alone() {
    let of = |prefix: &str, roles_are_scopes: bool, changes: Value| {
        let issuer = Issuer {
            scope_prefix: prefix.to_owned(),
            roles_are_scopes,
            ..issuer(1, ISSUER)
        };
        let verified = verifier(vec![issuer]).verify(&sign(1, ISSUER, &changes));
        verified.unwrap().1
    };
    let (admit, vouch) = (Scope::Admit.as_str(), Scope::Vouch.as_str());
    let both = format!("openid {admit} {vouch}");
    for (changes, given) in [
        (
            json!({"scope": both}),
            scopes(&[Scope::Admit, Scope::Vouch]),
        ),
        (
            json!({"scope": [admit, vouch]}),
            scopes(&[Scope::Admit, Scope::Vouch]),
        ),
        (json!({"scp": both}), scopes(&[Scope::Admit, Scope::Vouch])),
        (
            json!({"scope": admit, "scp": [vouch]}),
            scopes(&[Scope::Admit, Scope::Vouch]),
        ),
        (json!({"scope": 7, "scp": vouch}), scopes(&[Scope::Vouch])),
        (
            json!({"scope": {"a": admit}, "roles": [vouch]}),
            Scopes::NONE,
        ),
        (json!({"scope": [both]}), Scopes::NONE),
    ] {
        assert_eq!(of("", false, changes.clone()), given, "{changes}");
    }
    let roles = json!({"roles": [admit], "scp": vouch});
    assert_eq!(of("", true, roles), scopes(&[Scope::Admit, Scope::Vouch]));
    let prefixed = format!("api/{admit} {vouch} other/{vouch} API/{vouch} api/api/{vouch}");
    let prefixed = json!({"scope": prefixed});
    assert_eq!(of("api/", false, prefixed.clone()), scopes(&[Scope::Admit]));
    assert_eq!(of("", false, prefixed), scopes(&[Scope::Vouch]));
}

#[test]
fn a_token_without_an_audience_is_an_access_token_of_a_client_that_is_configured() {
    let issuer = Issuer {
        client_ids: vec!["web".to_owned(), "app".to_owned()],
        ..issuer(1, ISSUER)
    };
    let verifier = verifier(vec![issuer]);
    for (audience, kind, client, right) in [
        (json!(null), json!("access"), json!("app"), true),
        (json!([]), json!("access"), json!("web"), true),
        (json!(null), json!("access"), json!("other"), false),
        (json!(null), json!("access"), json!(null), false),
        (json!(null), json!("id"), json!("app"), false),
        (json!(null), json!(null), json!("app"), false),
        // Its audience is another, whoever the client is.
        (json!("other"), json!("access"), json!("app"), false),
        (json!({}), json!("access"), json!("app"), false),
        // An audience of ours needs no client.
        (json!(AUDIENCE), json!(null), json!("other"), true),
    ] {
        let changes = json!({"aud": audience, "token_use": kind, "client_id": client});
        let answered = reason(verifier.verify(&sign(1, ISSUER, &changes)));
        let expected = if right {
            ErrorReason::Unspecified
        } else {
            ErrorReason::AccessTokenInvalid
        };
        assert_eq!(answered, expected, "{changes}");
    }
}

#[test]
fn each_issuer_signs_for_itself_with_its_own_keys_audience_and_scopes() {
    let lms = Issuer {
        audiences: vec!["lms".to_owned(), "lms-2".to_owned()],
        cap: scopes(&[Scope::ActAs]),
        namespace: Some(Namespace::parse("lms").unwrap()),
        ..issuer(2, LMS)
    };
    let verifier = verifier(vec![issuer(1, ISSUER), lms]);
    assert_eq!((verifier.issuer(), verifier.audience()), (ISSUER, AUDIENCE));
    let everything = json!({"scope": Scopes::all().to_string()});
    for (seed, name, audience, given) in [
        (1, ISSUER, AUDIENCE, Some(Scopes::all())),
        (2, LMS, "lms", Some(scopes(&[Scope::ActAs]))),
        (2, LMS, "lms-2", Some(scopes(&[Scope::ActAs]))),
        // In the name of the other, whose key has the same id; for the other's audience; in the name of nobody known.
        (2, ISSUER, AUDIENCE, None),
        (1, LMS, "lms", None),
        (2, LMS, AUDIENCE, None),
        (1, ISSUER, "lms", None),
        (1, "https://elsewhere.example", AUDIENCE, None),
    ] {
        let mut changes = everything.clone();
        changes["aud"] = audience.into();
        // The second time from memory.
        for _ in 0..2 {
            let answered = verifier.verify(&sign(seed, name, &changes));
            let found = answered.ok().map(|(_, scopes)| scopes);
            assert_eq!(found, given, "{seed} {name} {audience}");
        }
    }
}

#[test]
fn people_of_two_issuers_with_one_subject_are_two_and_a_name_space_confines_its_services() {
    let namespace = Some(Namespace::parse("lms").unwrap());
    let lms = Issuer {
        namespace,
        ..issuer(2, LMS)
    };
    let verifier = verifier(vec![issuer(1, ISSUER), lms]);
    let act_as = json!({"scope": Scope::ActAs.as_str()});
    let acts = |seed: u64, name: &str, user: Option<&str>| {
        let caller = verifier.caller(&sign(seed, name, &act_as), user);
        caller.map(|caller| (caller.subject, caller.user.to_string()))
    };
    let pair = |subject: &str, user: &str| (subject.to_owned(), user.to_owned());
    for (seed, name, user, expected) in [
        (1, ISSUER, None, pair("ada", "ada")),
        (2, LMS, None, pair("lms:ada", "lms:ada")),
        (2, LMS, Some("lms:ada"), pair("lms:ada", "lms:ada")),
        (1, ISSUER, Some("bob"), pair("ada", "bob")),
        (1, ISSUER, Some("lms:bob"), pair("ada", "lms:bob")),
        (2, LMS, Some("lms:bob"), pair("lms:ada", "lms:bob")),
    ] {
        assert_eq!(acts(seed, name, user).unwrap(), expected);
    }
    for user in ["bob", "lms", "sis:bob"] {
        let refused = acts(2, LMS, Some(user)).unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::InvalidRequest, "{user}");
        assert_eq!(refused.field_violations()[0].field, USER_METADATA);
    }
    // Nobody gets into a name space by a `sub` that looks like it.
    let mut posing = act_as.clone();
    posing["sub"] = "lms:ada".into();
    let refused = reason(verifier.verify(&sign(1, ISSUER, &posing)));
    assert_eq!(refused, ErrorReason::AccessTokenInvalid);
    let nested = verifier.caller(&sign(2, LMS, &posing), None).unwrap();
    assert_eq!(nested.user.as_str(), "lms:lms:ada");
}

#[test]
fn a_file_names_several_issuers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, json: &Value| {
        let path = folder.path().join(name);
        fs::write(&path, json.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let of_platform = path("platform.json", &jwks(1));
    let service = ServiceKeys {
        setting: "SERVICE_FILE",
        cap: Scopes::all(),
        subject: "service",
    };
    let mut own = jwks(3);
    own["keys"][0]["kid"] = "own".into();
    let file = json!({"issuers": [
        {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks_file": of_platform, "homeroom_scopes": ["homeroom.vouch"]},
        {"issuer": LMS, "client_ids": ["app"], "jwks_url": "https://lms.example/keys", "homeroom_scopes": [],
            "scope_prefix": "api/", "roles_are_scopes": true, "user_id_namespace": "lms"},
    ]});
    let file = path("issuers.json", &file);
    let own = path("own.json", &own);
    let source = [("TOKEN_ISSUERS_FILE", &*file), ("SERVICE_FILE", &*own)];
    let mut reader = Reader::new(&source);
    let issuers = read_issuers(&mut reader, Some(service));
    reader.finish().unwrap();
    let issuers = issuers.unwrap();
    let [_, lms] = issuers.as_slice() else {
        panic!("{issuers:?}");
    };
    assert_eq!(
        (lms.name.as_str(), &*lms.client_ids),
        (LMS, &["app".to_owned()][..])
    );
    assert!(lms.audiences.is_empty() && lms.cap == Scopes::NONE && lms.roles_are_scopes);
    assert_eq!(lms.scope_prefix, "api/");
    assert_eq!(lms.namespace, Some(Namespace::parse("lms").unwrap()));
    let verifier = verifier(issuers);
    let everything = json!({"scope": Scopes::all().to_string()});
    let (_, given) = verifier.verify(&sign(1, ISSUER, &everything)).unwrap();
    assert_eq!(given, scopes(&[Scope::Vouch]));
    // The service speaks in the name of the first issuer, with the scopes of its own key.
    let claims = Claims::new(
        ISSUER,
        AUDIENCE,
        "service",
        noon(),
        chrono::TimeDelta::minutes(5),
    );
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("own".to_owned());
    let pem = super::signer::tests::pem(3);
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    let claims = claims.with_scopes(Scopes::all());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    assert_eq!(verifier.verify(&token).unwrap().1, Scopes::all());
}

#[test]
fn every_mistake_about_issuers_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuers.json");
    let mistakes = |text: &str, more: &[(&str, &str)]| {
        fs::write(&path, text).unwrap();
        let mut source = vec![("TOKEN_ISSUERS_FILE", path.to_str().unwrap())];
        source.extend_from_slice(more);
        let service = ServiceKeys {
            setting: "SERVICE_FILE",
            cap: Scopes::NONE,
            subject: "service",
        };
        let mut reader = Reader::new(&source);
        drop(read_issuers(&mut reader, Some(service)));
        let ConfigErrors(errors) = reader.finish().unwrap_err();
        errors
    };
    let file = json!({"issuers": [
        {"issuer": ISSUER, "jwks_url": "http://school.example/keys", "homeroom_scopes": ["homeroom.all"]},
        {"issuer": format!("{ISSUER} "), "audiences": [], "jwks_url": "https://a.example", "jwks_file": "/nowhere",
            "user_id_namespace": "LMS", "roles_are_scopes": "yes", "scope_prefix": 7},
        {"audiences": "homeroom", "user_id_namespace": " LMS", "homeroom_scopes": [], "namespace": "lms"},
        {"issuer": " ", "homeroom_scopes": []},
    ]});
    let more = [
        ("TOKEN_ISSUER", ISSUER),
        ("JWKS_URL", "https://a.example"),
        ("SERVICE_FILE", "/nowhere"),
    ];
    let found = mistakes(&file.to_string(), &more);
    let expected = [
        "JWKS_URL and TOKEN_ISSUERS_FILE are both set",
        "TOKEN_ISSUER and TOKEN_ISSUERS_FILE are both set",
        "TOKEN_ISSUERS_FILE issuers[0].audiences is required",
        "TOKEN_ISSUERS_FILE issuers[1].issuer is that of another",
        "TOKEN_ISSUERS_FILE issuers[2].user_id_namespace must differ from that of issuers[1]",
        "TOKEN_ISSUERS_FILE issuers[3].user_id_namespace must differ from that of issuers[0]",
        "TOKEN_ISSUERS_FILE issuers[0].jwks_url must be https://",
        "TOKEN_ISSUERS_FILE issuers[0].homeroom_scopes must be a list of scopes",
        "TOKEN_ISSUERS_FILE issuers[1].jwks_file and jwks_url are both set",
        "TOKEN_ISSUERS_FILE issuers[1].jwks_file names /nowhere",
        "TOKEN_ISSUERS_FILE issuers[1].audiences must be a list",
        "TOKEN_ISSUERS_FILE issuers[1].homeroom_scopes is required",
        "TOKEN_ISSUERS_FILE issuers[1].scope_prefix must be a text",
        "TOKEN_ISSUERS_FILE issuers[1].roles_are_scopes must be true or false",
        "TOKEN_ISSUERS_FILE issuers[1].user_id_namespace must be 1 to 32",
        "TOKEN_ISSUERS_FILE issuers[2].issuer is required",
        "TOKEN_ISSUERS_FILE issuers[2].jwks_file or jwks_url is required",
        "TOKEN_ISSUERS_FILE issuers[2].audiences must be a list",
        "TOKEN_ISSUERS_FILE issuers[2].user_id_namespace must be 1 to 32",
        "TOKEN_ISSUERS_FILE issuers[2].namespace is no setting of an issuer",
        "TOKEN_ISSUERS_FILE issuers[3].issuer must not be blank",
        "TOKEN_ISSUERS_FILE issuers[3].jwks_file or jwks_url is required",
        "TOKEN_ISSUERS_FILE issuers[3].audiences or client_ids is required",
        "SERVICE_FILE names /nowhere",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}: {expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (text, expected) in [
        ("{\"issuers\": []}", "TOKEN_ISSUERS_FILE holds no issuer"),
        (
            "{\"issuer\": []}",
            "which is not a list of issuers: unknown field",
        ),
        ("", "which is not a list of issuers"),
    ] {
        let found = mistakes(text, &[]);
        assert!(found[0].contains(expected), "{found:?}");
        assert!(
            found[1].starts_with("SERVICE_FILE is required"),
            "{found:?}"
        );
    }
    let short = [
        ("TOKEN_ISSUER", "https://a.example, https://b.example"),
        ("TOKEN_AUDIENCE", "a,b"),
        ("JWKS_URL", "https://a.example/keys"),
    ];
    let mut reader = Reader::new(&short);
    assert!(read_issuers(&mut reader, None).is_none());
    let ConfigErrors(found) = reader.finish().unwrap_err();
    for (found, setting) in found.iter().zip(["TOKEN_ISSUER", "TOKEN_AUDIENCE"]) {
        assert_eq!(
            found,
            &format!("{setting} must be one value: name several in TOKEN_ISSUERS_FILE")
        );
    }
    assert_eq!(found.len(), 2, "{found:?}");
}
