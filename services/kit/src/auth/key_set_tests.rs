use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom_api::common::v1::ErrorReason;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{
    keys::KEYS_MAX,
    tests::{AUDIENCE, ISSUER, claims, noon, reason, signer},
    *,
};
use crate::clock::ManualClock;

/// The modulus and exponent of the example in RFC 7515, A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

#[test]
fn no_key_takes_a_token_of_another_algorithm() {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let curve = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(curve, &rng).unwrap();
    let ecdsa = EncodingKey::from_ec_der(pkcs8.as_ref());
    let mut p256 = jsonwebtoken::jwk::Jwk::from_encoding_key(&ecdsa, Algorithm::ES256).unwrap();
    p256.common.key_id = Some("p256".to_owned());
    let rsa = json!({"kty": "RSA", "kid": "rsa", "n": RSA_N, "e": "AQAB"});
    let ed = signer(1).jwk(None);
    let ed_id = ed["kid"].as_str().unwrap();
    let set = json!({ "keys": [p256, rsa, ed] }).to_string();
    let keys = Keys::from_jwks(&set).unwrap();
    let verifier = Verifier::new(keys, ISSUER, AUDIENCE, Arc::new(ManualClock::new(noon())));

    let signed = |algorithm, kid: &str, key: &EncodingKey| {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, &claims(), key).unwrap()
    };
    assert!(
        verifier
            .verify(&signed(Algorithm::ES256, "p256", &ecdsa))
            .is_ok()
    );
    // A good signature under another key's id.
    for id in ["rsa", ed_id] {
        let refused = reason(verifier.verify(&signed(Algorithm::ES256, id, &ecdsa)));
        assert_eq!(refused, ErrorReason::AccessTokenInvalid, "{id}");
    }
    // A public key, which everybody has, as the secret of an HMAC.
    for (id, secret) in [
        ("rsa", RSA_N),
        ("p256", &json!(p256).to_string()),
        (ed_id, ed["x"].as_str().unwrap()),
        (ed_id, &set),
    ] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let token = signed(algorithm, id, &EncodingKey::from_secret(secret.as_bytes()));
            let refused = reason(verifier.verify(&token));
            assert_eq!(refused, ErrorReason::AccessTokenInvalid, "{id}");
        }
    }
    // The header says another algorithm of the same kind of key, of another kind, or none.
    let body = URL_SAFE_NO_PAD.encode(json!(claims()).to_string());
    for id in [Some("rsa"), Some("p256"), Some(ed_id), None] {
        for algorithm in [
            "none", "None", "RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA", "HS256",
        ] {
            let header =
                json!({"alg": algorithm, "kid": id, "jwk": p256, "jku": "https://eve.example"});
            let head = format!("{}.{body}", URL_SAFE_NO_PAD.encode(header.to_string()));
            for signature in [
                String::new(),
                URL_SAFE_NO_PAD.encode([0; 64]),
                URL_SAFE_NO_PAD.encode([0; 256]),
            ] {
                let refused = reason(verifier.verify(&format!("{head}.{signature}")));
                let expected = ErrorReason::AccessTokenInvalid;
                assert_eq!(refused, expected, "{id:?} {algorithm}");
            }
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_spoils_no_other() {
    let rsa = |id: &str| json!({"kty": "RSA", "kid": id, "n": RSA_N, "e": "AQAB"});
    let with = |id: &str, name: &str, value: Value| {
        let mut member = rsa(id);
        member[name] = value;
        member
    };
    let unusable = [
        with("private", "d", json!("AQAB")),
        with("encryption", "use", json!("enc")),
        with("pss", "alg", json!("PS256")),
        with("broken", "n", json!("not base64!")),
        with("unknown scope", "homeroom_scopes", json!(["all"])),
        with("no list", "homeroom_scopes", json!("homeroom.admit")),
        with("good", "e", json!("Aw")),
        json!({"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "EC", "kid": "p384", "crv": "P-384", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "kid": "short", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "kid": "short", "crv": "Ed25519", "x": "AA"}),
        json!({"kty": "RSA", "kid": true, "n": RSA_N, "e": "AQAB"}),
        with("future", "alg", json!("ML-DSA-44")),
        json!({"kty": "AKP", "kid": "of the future"}),
        json!({"kty": 7}),
        json!("no object"),
    ];
    let mut keys = vec![rsa("good")];
    keys.extend(unusable.clone());
    let read = Keys::from_jwks(&json!({ "keys": keys }).to_string()).unwrap();
    assert_eq!(format!("{read:?}"), "[(Some(\"good\"), RS256)]");
    // By themselves all but the second of one id are no set.
    for one in unusable.into_iter().filter(|one| one["kid"] != "good") {
        let refused = Keys::from_jwks(&json!({ "keys": [one] }).to_string());
        assert!(matches!(refused, Err(KeysError::Empty)), "{one}");
    }
}

#[test]
fn what_issuers_write_otherwise_than_the_standard_is_read() {
    let rsa = json!({"kty": "RSA", "kid": 7, "n": format!("{RSA_N}=="), "e": "AQAB="});
    let p256 = json!({"kty": "EC", "kid": "7", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0="});
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": signer(1).jwk(None)["x"]});
    // The same key twice, with its `kid` and without.
    let set = json!({ "keys": [rsa, p256, ed, rsa, ed] });
    let keys = Keys::from_jwks(&format!("\u{feff}{set}")).unwrap();
    let found = r#"[(Some("7"), RS256), (Some("7"), ES256), (None, EdDSA)]"#;
    assert_eq!(format!("{keys:?}"), found);
    // One `kid` is of two keys for two algorithms; without a `kid` one key is for the algorithm.
    for (id, algorithm, right) in [
        (Some("7"), Algorithm::RS256, true),
        (Some("7"), Algorithm::ES256, true),
        (Some("7"), Algorithm::EdDSA, false),
        (Some("7"), Algorithm::PS256, false),
        (None, Algorithm::RS256, true),
        (None, Algorithm::EdDSA, true),
    ] {
        let selected = keys.select(id, algorithm);
        assert_eq!(
            selected.map(|key| key.algorithm),
            right.then_some(algorithm)
        );
    }
}

#[test]
fn an_rsa_key_has_2048_to_8192_bits() {
    for (bits, right) in [
        (1_024, false),
        (2_047, false),
        (2_048, true),
        (8_192, true),
        (8_193, false),
    ] {
        let bytes = bits / 8 + usize::from(bits % 8 > 0);
        let mut modulus = vec![0xff_u8; bytes];
        modulus[0] = 0xff >> (bytes * 8 - bits);
        // Some issuers write a zero before the number.
        modulus.insert(0, 0);
        let n = URL_SAFE_NO_PAD.encode(&modulus);
        let set = json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB"}, signer(1).jwk(None)]});
        let keys = format!("{:?}", Keys::from_jwks(&set.to_string()).unwrap());
        assert_eq!(keys.contains("RS256"), right, "{bits}: {keys}");
    }
}

#[test]
fn a_set_has_no_more_keys_than_it_may_and_one_at_least() {
    let many = |count: usize| {
        let keys: Vec<Value> = (0..count)
            .map(|id| json!({"kty": "RSA", "kid": id.to_string(), "n": RSA_N, "e": "AQAB"}))
            .collect();
        Keys::from_jwks(&json!({ "keys": keys }).to_string())
    };
    assert!(many(KEYS_MAX).is_ok());
    assert!(matches!(many(KEYS_MAX + 1), Err(KeysError::TooMany)));
    assert!(matches!(many(0), Err(KeysError::Empty)));
    for text in ["{}", "no"] {
        let refused = Keys::from_jwks(text);
        assert!(matches!(refused, Err(KeysError::Malformed(_))), "{text}");
    }
}
