//! Access tokens: only what the issuer signed is trusted. The first byte selects the use of the rest.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    auth::{CLOCK_SKEW_SECONDS_MAX, Keys, Scope, TOKEN_BYTES_MAX, Verifier},
    clock::{ManualClock, from_micros},
};
use serde_json::{Value, json};

const NOW_SECONDS: i64 = 1_700_000_000;
const ISSUER: &str = "https://school.example";
const AUDIENCE: &str = "homeroom";
const CAP: [Scope; 2] = [Scope::ActAs, Scope::Vouch];

struct World {
    issuer: Ed25519KeyPair,
    attacker: Ed25519KeyPair,
    verifier: Verifier,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let issuer = key(7);
    let jwks = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "real", "alg": "EdDSA", "use": "sig",
         "x": URL_SAFE_NO_PAD.encode(issuer.public_key().as_ref()), "homeroom_scopes": CAP.map(Scope::as_str)},
        // The example of RFC 7515, A.3: another key, bound to another algorithm.
        {"kty": "EC", "crv": "P-256", "kid": "other", "use": "sig",
         "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
    ]});
    let keys = Keys::from_jwks(&jwks.to_string()).unwrap();
    let clock = Arc::new(ManualClock::new(from_micros(NOW_SECONDS * 1_000_000)));
    World {
        issuer,
        attacker: key(8),
        verifier: Verifier::new(keys, ISSUER, AUDIENCE, clock),
    }
});

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let Some((use_as, data)) = data.split_first() else {
        return;
    };
    let text = crate::text(data);
    match use_as % 4 {
        0 => check_raw(&text),
        1 => check_unsigned(&text, *use_as),
        2 => check_signed(&text),
        _ => check_altered(data, *use_as),
    }
}

fn encoded(part: &str) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// Checks that every accepted token carries the issuer's signature over its content.
fn check_raw(token: &str) {
    if WORLD.verifier.verify(token).is_err() {
        return;
    }
    let (said, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ED25519, WORLD.issuer.public_key().as_ref())
        .verify(said.as_bytes(), &signature)
        .expect("it was believed without the issuer's signature");
}

/// Checks any header and claims that are not signed by the issuer's key.
fn check_unsigned(text: &str, way: u8) {
    let (header, claims) = crate::two(text);
    let said = format!("{}.{}", encoded(header), encoded(claims));
    let public = WORLD.issuer.public_key().as_ref();
    let mac = |key: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, said.as_bytes()).as_ref().to_vec()
    };
    let signature = match way / 4 % 6 {
        0 => Vec::new(),
        1 => WORLD.attacker.sign(said.as_bytes()).as_ref().to_vec(),
        2 => mac(public),
        3 => mac(URL_SAFE_NO_PAD.encode(public).as_bytes()),
        4 => vec![0; 64],
        _ => WORLD.issuer.sign(b"something else").as_ref().to_vec(),
    };
    let signature = URL_SAFE_NO_PAD.encode(signature);
    for token in [
        format!("{said}.{signature}"),
        said.clone(),
        format!("{said}."),
    ] {
        assert!(WORLD.verifier.verify(&token).is_err(), "{token}");
    }
}

/// Checks any header and claims that the issuer signed: exactly their content is accepted.
fn check_signed(text: &str) {
    let (header, rest) = crate::two(text);
    let (claims, for_user) = crate::two(rest);
    let said = format!("{}.{}", encoded(header), encoded(claims));
    let signature = WORLD.issuer.sign(said.as_bytes());
    let token = format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
    let (believed, scopes) = match WORLD.verifier.verify(&token) {
        Ok(believed) => believed,
        Err(refused) => {
            assert!(matches!(
                refused.reason(),
                ErrorReason::AccessTokenInvalid | ErrorReason::AccessTokenExpired
            ));
            return;
        }
    };
    assert!(token.len() <= TOKEN_BYTES_MAX);
    let header: Value = serde_json::from_str(header).unwrap();
    assert_eq!(header["alg"], "EdDSA");
    assert!(header["kid"] == "real" || header.get("kid").is_none_or(Value::is_null));
    // RFC 7515, 4.1.11: no extension is supported.
    assert!(header.get("crit").is_none_or(Value::is_null));
    let claims: Value = serde_json::from_str(claims).unwrap();
    assert_eq!(claims["iss"], ISSUER);
    let audience = &claims["aud"];
    let several = audience
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one == AUDIENCE));
    assert!(audience == AUDIENCE || several);
    assert!(claims["exp"].as_f64().unwrap() > (NOW_SECONDS - CLOCK_SKEW_SECONDS_MAX) as f64 - 1.0);
    let begin = claims["nbf"].as_f64().unwrap_or(f64::MIN);
    assert!(begin < (NOW_SECONDS + CLOCK_SKEW_SECONDS_MAX + 1) as f64);
    assert_eq!(claims["sub"], believed.sub.as_str());
    assert!((1..=255).contains(&believed.sub.len()));
    let said = [&claims["scope"], &claims["scp"]].into_iter().flat_map(|names| {
        let text = names.as_str().unwrap_or("").split_ascii_whitespace();
        let list = names.as_array().into_iter().flatten();
        text.chain(list.filter_map(Value::as_str))
    });
    let said: Vec<&str> = said.collect();
    for scope in Scope::ALL {
        let given = CAP.contains(&scope) && said.contains(&scope.as_str());
        assert_eq!(scopes.contains(scope), given, "{scope}");
    }

    let for_user = (!for_user.is_empty()).then_some(for_user);
    let Ok(caller) = WORLD.verifier.caller(&token, for_user) else {
        return;
    };
    let is_read_back = caller.subject.replace("%2F", "/").replace("%20", " ").replace("%25", "%");
    assert_eq!(is_read_back, believed.sub);
    assert_eq!(caller.user.as_str(), for_user.unwrap_or(&caller.subject));
    let another = caller.user.as_str() != caller.subject;
    assert_eq!(caller.acting_for_another, another);
    if another {
        assert!(scopes.contains(Scope::ActAs));
        assert!(caller.email.is_none() && caller.external_id.is_none() && !caller.email_verified);
    }
    let bound = claims["organizations"].as_array().map(Vec::len);
    assert_eq!(caller.organizations.map(|all| all.len()), bound);
}

/// Checks a valid token with some of its bytes changed, inserted or removed.
fn check_altered(data: &[u8], way: u8) {
    let header = encoded(r#"{"alg":"EdDSA","typ":"JWT","kid":"real"}"#);
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW_SECONDS + 60});
    let said = format!("{header}.{}", encoded(&claims.to_string()));
    let signature = WORLD.issuer.sign(said.as_bytes());
    let good = format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
    assert!(WORLD.verifier.verify(&good).is_ok());
    let mut altered = good.clone().into_bytes();
    for change in data.chunks_exact(3).take(4) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % altered.len();
        match way / 4 % 3 {
            0 => altered[place] = change[2],
            1 => altered.insert(place, change[2]),
            _ => {
                altered.remove(place);
            }
        }
    }
    let altered = String::from_utf8_lossy(&altered);
    assert!(
        altered == good || WORLD.verifier.verify(&altered).is_err(),
        "{altered}"
    );
}
