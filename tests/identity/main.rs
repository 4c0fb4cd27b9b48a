//! Tokens and key sets as identity providers make them, each from the start of both services to a student in a class.

#![recursion_limit = "256"]

mod providers;

use std::io::Write as _;

use chrono::TimeDelta;
use flate2::{Compression, write::GzEncoder};
use homeroom_api::invitations::v1::{EnrollmentCode, RedemptionOutcome};
use homeroom_kit::{
    auth::{Scopes, Signer},
    clock::{Clock as _, SystemClock},
    random::SystemRandomness,
};
use homeroom_tests::{
    Claims, Clients, Engine, School,
    databases::Databases,
    key_server::KeyServer,
    processes::{Processes, Service},
    reason,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use providers::{Provider, Settings};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

/// The issuer of the platform where a provider gives no scopes.
const PLATFORM: &str = "https://platform.example";

/// Returns a new key for the algorithm.
fn key(algorithm: Algorithm) -> EncodingKey {
    let kind = match algorithm {
        Algorithm::RS256 => &PKCS_RSA_SHA256,
        _ => &PKCS_ECDSA_P256_SHA256,
    };
    let pem = KeyPair::generate_for(kind).unwrap().serialize_pem();
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
        _ => EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
    }
}

impl Provider {
    /// Returns its key set.
    fn key_set(&self, key: &EncodingKey) -> String {
        let mut own = json!(Jwk::from_encoding_key(key, self.algorithm).unwrap());
        own.as_object_mut().unwrap().remove("alg");
        set(&mut own, &self.key);
        let mut keys = self.other_keys.as_array().unwrap().clone();
        keys.push(own);
        json!({ "keys": keys }).to_string()
    }

    /// Signs a student's claims with these changes; null removes a claim.
    fn token(&self, key: &EncodingKey, changes: &Value) -> String {
        let mut claims = self.student.clone();
        let now = SystemClock.now().timestamp();
        set(
            &mut claims,
            &json!({"iss": self.issuer, "iat": now, "exp": now + 3_600}),
        );
        if !claims["nbf"].is_null() {
            claims["nbf"] = now.into();
        }
        set(&mut claims, changes);
        let mut header = Header::new(self.algorithm);
        header.typ = self.typ.map(str::to_owned);
        header.kid = Some(self.key["kid"].as_str().unwrap().to_owned());
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    }

    /// Returns the settings by which both services trust it: names and values.
    fn settings(&self, url: &str, platform: &Value) -> Vec<(&'static str, String)> {
        let entry = |more: &Value| {
            let mut entry = json!({"issuer": self.issuer, "jwks_url": url});
            set(&mut entry, more);
            entry
        };
        let issuers = match &self.settings {
            Settings::Short(audience) => {
                return vec![
                    ("JWKS_FILE", String::new()),
                    ("JWKS_URL", url.to_owned()),
                    ("TOKEN_ISSUER", self.issuer.to_owned()),
                    ("TOKEN_AUDIENCE", (*audience).to_owned()),
                ];
            }
            Settings::File(more) => json!([entry(more)]),
            Settings::BesidePlatform(more) => json!([platform, entry(more)]),
        };
        let none = ["JWKS_FILE", "TOKEN_ISSUER", "TOKEN_AUDIENCE"];
        let none = none.map(|name| (name, String::new()));
        let file = json!({ "issuers": issuers }).to_string();
        [("TOKEN_ISSUERS_FILE", file)]
            .into_iter()
            .chain(none)
            .collect()
    }
}

/// Sets these members of an object; null removes one.
fn set(object: &mut Value, changes: &Value) {
    let object = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(text.as_bytes()).unwrap();
    to.finish().unwrap()
}

/// Starts both services with this provider, lets a student join by a class code, and by an email domain if the provider
/// vouches for addresses, and lists the class.
async fn joins(provider: Provider) {
    let own = key(provider.algorithm);
    // Some servers compress what nobody asked them to compress, and begin it with a mark.
    let keys = KeyServer::start(gzip(&format!("\u{feff}{}", provider.key_set(&own)))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform = Signer::generate(&SystemRandomness).unwrap();
    let set_of_platform = json!({ "keys": [platform.jwk(None)] }).to_string();
    std::fs::write(path("platform.json"), set_of_platform).unwrap();
    let of_platform = json!({
        "issuer": PLATFORM, "jwks_file": path("platform.json"), "audiences": ["homeroom"],
        "homeroom_scopes": ["homeroom.platform"]
    });
    let mut processes = Processes::on(Databases::create(Engine::Sqlite).await);
    for (name, mut value) in provider.settings(&keys.url(), &of_platform) {
        if name == "TOKEN_ISSUERS_FILE" {
            std::fs::write(path("issuers.json"), &value).unwrap();
            value = path("issuers.json");
        }
        for service in Service::BOTH {
            processes = processes.with_setting(service, name, &value);
        }
    }
    let mut processes = processes.with_keys_of_invitations();
    processes.launch_both().await;

    let addresses = Service::BOTH.map(|service| processes.address(service));
    let [membership, invitations] = addresses;
    let caller = |token: &str| Clients::connect(membership, invitations, token);
    let by_platform = |claims: Claims<'_>| {
        let (now, life) = (SystemClock.now(), TimeDelta::hours(1));
        let scopes = Scopes::parse(&claims.scopes.join(" "));
        let signed =
            homeroom_kit::auth::Claims::new(PLATFORM, "homeroom", claims.subject, now, life)
                .with_scopes(scopes);
        caller(platform.sign(&signed).unwrap().expose())
    };
    let school = School::create("hamilton", 5, |claims| match &provider.service {
        None => by_platform(claims),
        Some(service) => {
            let is_service = !claims.scopes.is_empty();
            let mut changes = if is_service {
                service.clone()
            } else {
                json!({})
            };
            changes["sub"] = claims.subject.into();
            caller(&provider.token(&own, &changes))
        }
    })
    .await;

    // A key of the same name and kind has not signed for the provider.
    let code = school.class_code().await.code;
    let forged = provider.token(&key(provider.algorithm), &json!({}));
    let refused = caller(&forged).redeem(&code).await.unwrap_err();
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");

    let student = caller(&provider.token(&own, &json!({})));
    let code = if provider.verifies_email {
        let domains = vec!["school.example".to_owned()];
        let new = EnrollmentCode {
            code: "BIO101".to_owned(),
            email_domains: domains,
            ..EnrollmentCode::default()
        };
        school.enrollment_code(new).await.full_code
    } else {
        code
    };
    let redeemed = student.redeem(&code).await.unwrap();
    assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
    // A person of another issuer with the same `sub` is another person.
    let mut expected = vec![provider.user];
    let subject = provider.student["sub"].as_str().unwrap();
    if provider.service.is_none() {
        let other = by_platform(Claims::of(subject));
        let code = school.class_code().await.code;
        let redeemed = other.redeem(&code).await.unwrap();
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        let (_, user) = provider.user.split_once(':').unwrap();
        expected.push(user);
    }
    expected.sort_unstable();
    let list = json!({"parent": school.class, "filter": "role = STUDENT"});
    let list = school
        .teacher
        .done("MemberService.ListClassMembers", list)
        .await;
    let members = list["members"].as_array().unwrap().iter();
    let mut users: Vec<_> = members
        .map(|member| member["user"].as_str().unwrap())
        .collect();
    users.sort_unstable();
    assert_eq!(users, expected);
    let name = format!("{}/members/{}", school.class, provider.user);
    let member = school
        .teacher
        .done("MemberService.GetClassMember", json!({"name": name}))
        .await;
    let given = provider.student["name"].as_str().unwrap_or("");
    assert_eq!(member["displayName"].as_str().unwrap_or(""), given);
    processes.settled().await;
    let (holds, report) = processes.audit();
    assert!(holds, "{report}");
    processes.stop().await;
}

macro_rules! providers {
    ($($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                joins(providers::$name()).await;
            }
        )+
    };
}

providers!(
    keycloak, entra_id, okta, auth0, cognito, google, apple, lti, hydra
);
