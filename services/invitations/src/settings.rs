//! Every setting of the service, for its command line.

/// A setting: its name in the environment, its flag on the command line, and what it is for.
pub type Setting = (&'static str, &'static str, &'static str);

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    (
        "LISTEN_ADDRESS",
        "listen-address",
        "where to listen; 127.0.0.1:50052 if unset",
    ),
    (
        "DATABASE_URL",
        "database-url",
        "postgres://user:password@host/database or sqlite://path",
    ),
    (
        "MIGRATE_AT_START",
        "migrate-at-start",
        "bring the schema up to date at start: true or false",
    ),
    (
        "REDIS_URL",
        "redis-url",
        "Redis of the limiter; unset: limited within the process",
    ),
    (
        "MEMBERSHIP_URL",
        "membership-url",
        "the membership service, as http://host:port or https://host:port",
    ),
    (
        "MEMBERSHIP_CA_FILE",
        "membership-ca-file",
        "PEM of the authority that signs membership's certificate; required with https://",
    ),
    (
        "MEMBERSHIP_CLIENT_CERT_FILE",
        "membership-client-cert-file",
        "PEM of the certificate that is shown to membership; unset: none",
    ),
    (
        "MEMBERSHIP_CLIENT_KEY_FILE",
        "membership-client-key-file",
        "PEM of that certificate's private key",
    ),
    (
        "PUBLIC_URL",
        "public-url",
        "the base of every URL handed out, as https://join.school.example",
    ),
    ("JWKS_FILE", "jwks-file", "the public keys of access tokens"),
    ("JWKS_URL", "jwks-url", "their https:// address instead"),
    ("TOKEN_ISSUER", "token-issuer", "the `iss` of access tokens"),
    (
        "TOKEN_AUDIENCE",
        "token-audience",
        "the `aud` of access tokens",
    ),
    (
        "KEYS_FILE",
        "keys-file",
        "the keys of stored secrets, as version:base64,…",
    ),
    (
        "SIGNING_KEY_FILE",
        "signing-key-file",
        "this service's own Ed25519 key, PKCS#8 PEM, for its calls of membership",
    ),
    (
        "REFLECTION",
        "reflection",
        "serve gRPC reflection: true if unset",
    ),
    (
        "TLS_CERT_FILE",
        "tls-cert-file",
        "PEM of the server's certificate, and of those between it and its authority; unset: plaintext",
    ),
    (
        "TLS_KEY_FILE",
        "tls-key-file",
        "PEM of that certificate's private key",
    ),
    (
        "TLS_CLIENT_CA_FILE",
        "tls-client-ca-file",
        "PEM of the authorities one of which must have signed a client's certificate; unset: none is asked for",
    ),
    (
        "INSECURE_PLAINTEXT",
        "insecure-plaintext",
        "listen beyond loopback without TLS: false if unset",
    ),
    (
        "CONNECTIONS_MAX",
        "connections-max",
        "connections open at most, further ones wait: 8000 if unset",
    ),
    (
        "CALLS_PER_MINUTE_MAX",
        "calls-per-minute-max",
        "attempts of one calling service a minute; unset: no limit",
    ),
    (
        "LIMITER_BUDGETS",
        "limiter-budgets",
        "the limiter's budgets, as user_daily=20,address_hourly=30",
    ),
    ("LOG_FORMAT", "log-format", "text or json; text if unset"),
    (
        "METRICS_LISTEN_ADDRESS",
        "metrics-listen-address",
        "where Prometheus reads metrics, without a token; unset: nowhere",
    ),
];

#[cfg(test)]
mod tests {
    use homeroom_kit::{config::flag_of, server::CONNECTIONS_DEFAULT};

    use super::*;

    #[test]
    fn what_a_setting_says_of_its_default_is_so() {
        let says = |name, text: &str| {
            let mut settings = SETTINGS.iter();
            settings.any(|(setting, _, what)| *setting == name && what.ends_with(text))
        };
        let connections = format!(": {CONNECTIONS_DEFAULT} if unset");
        assert!(says("CONNECTIONS_MAX", &connections));
    }

    #[test]
    fn each_flag_is_named_after_its_setting() {
        for (name, flag, _) in SETTINGS {
            assert_eq!(flag_of(name), format!("--{flag}"));
        }
    }
}
