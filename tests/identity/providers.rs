//! The access tokens and key sets of identity providers, as their documents describe them. Each has a key made for its
//! test.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

/// An identity provider.
pub(crate) struct Provider {
    /// The `iss` of its tokens.
    pub(crate) issuer: &'static str,
    /// How both services are told about it.
    pub(crate) settings: Settings,
    /// The `typ` in the header of its tokens, beside `alg` and `kid`.
    pub(crate) typ: Option<&'static str>,
    pub(crate) algorithm: Algorithm,
    /// The members of its key besides the numbers.
    pub(crate) key: Value,
    /// The other keys of its set.
    pub(crate) other_keys: Value,
    /// The claims of a student's token, without the times.
    pub(crate) student: Value,
    /// The claims of the token of a service with the scope `homeroom.platform`, which differ from a student's. Without
    /// them its tokens have no scopes, and another issuer is needed for the platform.
    pub(crate) service: Option<Value>,
    /// The student's user id.
    pub(crate) user: &'static str,
    /// True if a student's token vouches for the address `ada@school.example`.
    pub(crate) verifies_email: bool,
}

/// The settings of both services.
pub(crate) enum Settings {
    /// `JWKS_URL`, `TOKEN_ISSUER`, and this `TOKEN_AUDIENCE`.
    Short(&'static str),
    /// A file with this issuer, beside its `issuer` and `jwks_url`.
    File(Value),
    /// A file with the issuer of the platform first, and this one as the second.
    BesidePlatform(Value),
}

/// Keycloak: the realm's keys hold one for encryption, and `aud` names the client scope's audience.
pub(crate) fn keycloak() -> Provider {
    Provider {
        issuer: "https://id.school.example/realms/school",
        settings: Settings::Short("homeroom"),
        typ: Some("JWT"),
        algorithm: Algorithm::RS256,
        key: json!({"kid": "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE", "use": "sig", "alg": "RS256", "x5c": ["MIIC"], "x5t": "AA", "x5t#S256": "AA"}),
        other_keys: json!([{"kty": "RSA", "kid": "enc", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"}]),
        student: json!({
            "jti": "trrtcc:4a2d", "aud": ["homeroom", "account"], "sub": "f1a2b3c4-0000-4000-8000-00000000ada1",
            "typ": "Bearer", "azp": "lms", "sid": "1b2c", "acr": "1", "allowed-origins": ["https://lms.school.example"],
            "realm_access": {"roles": ["offline_access"]}, "resource_access": {"account": {"roles": ["view-profile"]}},
            "scope": "profile email", "email_verified": true, "name": "Ada Lovelace", "preferred_username": "ada",
            "given_name": "Ada", "family_name": "Lovelace", "email": "ada@school.example"
        }),
        service: Some(json!({"scope": "profile homeroom.platform", "clientHost": "10.0.0.1"})),
        user: "f1a2b3c4-0000-4000-8000-00000000ada1",
        verifies_email: true,
    }
}

/// Microsoft Entra ID, version 2.0: `scp` for users and `roles` for applications; keys without `alg`.
pub(crate) fn entra_id() -> Provider {
    Provider {
        issuer: "https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0",
        settings: Settings::File(json!({
            "audiences": ["00001111-aaaa-2222-bbbb-3333cccc4444"], "homeroom_scopes": ["homeroom.platform"],
            "roles_are_scopes": true
        })),
        typ: Some("JWT"),
        algorithm: Algorithm::RS256,
        key: json!({"kid": "1LTMzakihiRla_8z2BEJVXeWMqo", "use": "sig", "x5t": "1LTMzakihiRla_8z2BEJVXeWMqo", "x5c": ["MIIC"],
            "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}),
        other_keys: json!([]),
        student: json!({
            "aud": "00001111-aaaa-2222-bbbb-3333cccc4444", "nbf": 0, "aio": "AXQAi/8IAAAA", "azp": "lms", "azpacr": "1",
            "name": "Ada Lovelace", "oid": "00000000-0000-0000-66f3-3332eca7ea81", "preferred_username": "ada@school.example",
            "rh": "0.AAAA", "scp": "access_as_user", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee", "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0"
        }),
        service: Some(
            json!({"scp": null, "name": null, "idtyp": "app", "roles": ["homeroom.platform"]}),
        ),
        user: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
        verifies_email: false,
    }
}

/// Okta, a custom authorization server: `scp` is a list, and `sub` a user's login.
pub(crate) fn okta() -> Provider {
    Provider {
        issuer: "https://school.okta.com/oauth2/default",
        settings: Settings::Short("api://homeroom"),
        typ: None,
        algorithm: Algorithm::RS256,
        key: json!({"kid": "5tQ3ZGTJHEUQjvOjQqzn", "use": "sig", "alg": "RS256"}),
        other_keys: json!([]),
        student: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "aud": "api://homeroom", "cid": "0oa1",
            "uid": "00u1", "scp": ["openid", "profile"], "auth_time": 1_700_000_000, "sub": "ada@school.example"
        }),
        service: Some(json!({"uid": null, "scp": ["homeroom.platform"]})),
        user: "ada@school.example",
        verifies_email: false,
    }
}

/// Auth0: the issuer ends with a slash, and user ids hold `|`.
pub(crate) fn auth0() -> Provider {
    Provider {
        issuer: "https://school.eu.auth0.com/",
        settings: Settings::Short("https://homeroom.school.example"),
        typ: Some("at+jwt"),
        algorithm: Algorithm::RS256,
        key: json!({"kid": "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg", "use": "sig", "alg": "RS256",
            "x5t": "AA", "x5c": ["MIIC"]}),
        other_keys: json!([]),
        student: json!({
            "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "lms", "scope": "openid profile", "permissions": [],
            "aud": ["https://homeroom.school.example", "https://school.eu.auth0.com/userinfo"]
        }),
        service: Some(json!({
            "aud": "https://homeroom.school.example", "gty": "client-credentials", "scope": "homeroom.platform",
            "permissions": ["homeroom.platform"]
        })),
        user: "auth0|5f7c8ec7c33c6c004bbafe82",
        verifies_email: false,
    }
}

/// Amazon Cognito: access tokens have no `aud`, and the resource server's identifier precedes each scope.
pub(crate) fn cognito() -> Provider {
    Provider {
        issuer: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_example",
        settings: Settings::File(json!({
            "audiences": ["homeroom"], "client_ids": ["1example23456789"], "scope_prefix": "homeroom-api/",
            "homeroom_scopes": ["homeroom.platform"]
        })),
        typ: None,
        algorithm: Algorithm::RS256,
        key: json!({"kid": "abcdefghijklmnopqrsexample=", "use": "sig", "alg": "RS256"}),
        other_keys: json!([]),
        student: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-example", "cognito:groups": ["students"], "version": 2,
            "client_id": "1example23456789", "origin_jti": "aaaa", "event_id": "bbbb", "token_use": "access",
            "scope": "openid email", "auth_time": 1_700_000_000, "jti": "cccc", "username": "ada"
        }),
        service: Some(json!({"scope": "homeroom-api/homeroom.platform", "username": null})),
        user: "aaaaaaaa-bbbb-cccc-dddd-example",
        verifies_email: false,
    }
}

/// Google: identity tokens, whose subjects are numbers.
pub(crate) fn google() -> Provider {
    Provider {
        issuer: "https://accounts.google.com",
        settings: Settings::BesidePlatform(json!({
            "audiences": ["1234987819200.apps.googleusercontent.com"], "homeroom_scopes": [], "user_id_namespace": "google"
        })),
        typ: Some("JWT"),
        algorithm: Algorithm::RS256,
        key: json!({"kid": "e8799db06287515556213c80acbcfd022fb302a9", "use": "sig", "alg": "RS256"}),
        other_keys: json!([]),
        student: json!({
            "azp": "1234987819200.apps.googleusercontent.com", "aud": "1234987819200.apps.googleusercontent.com",
            "sub": "10769150350006150715113082367", "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "school.example",
            "email": "ada@school.example", "email_verified": true, "nonce": "0394852-3190485-2490358",
            "name": "Ada Lovelace", "picture": "https://school.example/ada", "given_name": "Ada", "family_name": "Lovelace"
        }),
        service: None,
        user: "google:10769150350006150715113082367",
        verifies_email: true,
    }
}

/// Sign in with Apple: identity tokens, whose flags are texts.
pub(crate) fn apple() -> Provider {
    Provider {
        issuer: "https://appleid.apple.com",
        settings: Settings::BesidePlatform(json!({
            "audiences": ["example.school.lms"], "homeroom_scopes": [], "user_id_namespace": "apple"
        })),
        typ: None,
        algorithm: Algorithm::RS256,
        key: json!({"kid": "eXaunmL", "use": "sig", "alg": "RS256"}),
        other_keys: json!([]),
        student: json!({
            "aud": "example.school.lms", "sub": "000544.5e201aec537347aeb79d23cbc345170a.1321", "c_hash": "AA",
            "email": "ada@school.example", "email_verified": "true", "is_private_email": "false",
            "auth_time": 1_700_000_000, "nonce_supported": true
        }),
        service: None,
        user: "apple:000544.5e201aec537347aeb79d23cbc345170a.1321",
        verifies_email: true,
    }
}

/// A platform of LTI 1.3, such as Canvas or Moodle: the token of a launch, with a subject as the standard allows it.
pub(crate) fn lti() -> Provider {
    let claim = |name: &str| format!("https://purl.imsglobal.org/spec/lti/claim/{name}");
    Provider {
        issuer: "https://lms.school.example",
        settings: Settings::BesidePlatform(json!({
            "audiences": ["170000000000559"], "homeroom_scopes": [], "user_id_namespace": "lti"
        })),
        typ: Some("JWT"),
        algorithm: Algorithm::RS256,
        key: json!({"kid": "2026-11-01T00:00:01Z", "use": "sig", "alg": "RS256"}),
        other_keys: json!([{"kty": "RSA", "kid": 7, "n": "AQAB", "e": "AQAB"}]),
        student: json!({
            "aud": "170000000000559", "azp": "170000000000559", "nonce": "098e0f5a", "sub": "school/ada lovelace",
            "name": "Ada Lovelace", "email": null, "locale": "en-GB", "picture": null, "errors": {"errors": {}},
            (claim("message_type")): "LtiResourceLinkRequest", (claim("version")): "1.3.0",
            (claim("deployment_id")): "189:7f956bcc", (claim("target_link_uri")): "https://homeroom.school.example",
            (claim("resource_link")): {"id": "7f956bcc", "title": null}, (claim("roles")): ["Learner"],
            (claim("lis")): {"person_sourcedid": "S-1"}
        }),
        service: None,
        user: "lti:school%2Fada%20lovelace",
        verifies_email: false,
    }
}

/// ORY Hydra, with JWT as the strategy of access tokens: `scp` is a list. Its key is on P-256 here.
pub(crate) fn hydra() -> Provider {
    Provider {
        issuer: "https://hydra.school.example",
        settings: Settings::Short("homeroom"),
        typ: Some("JWT"),
        algorithm: Algorithm::ES256,
        key: json!({"kid": "public:hydra.jwt.access-token", "use": "sig", "alg": "ES256"}),
        // Both algorithms have one `kid`.
        other_keys: json!([{"kty": "RSA", "kid": "public:hydra.jwt.access-token", "n": "AQAB", "e": "AQAB"}]),
        student: json!({
            "aud": ["homeroom"], "client_id": "lms", "ext": {}, "jti": "a9e5", "nbf": 0, "scp": ["openid"], "sub": "ada"
        }),
        service: Some(json!({"scp": ["homeroom.platform"]})),
        user: "ada",
        verifies_email: false,
    }
}
