//! Settings, judged as a whole before anything is bound.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use homeroom_kit::{
    auth::{self, Scope, Scopes, ServiceKeys, Verifier},
    clock::SystemClock,
    config::{ConfigErrors, Reader, parse_as, parse_flag, parse_text},
    database::Url,
    keys::KeyRing,
    metrics, server,
    tls::{self, ServerTls},
};

/// Where the service listens when nothing is said.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50_051);

/// The keys of the invitations service, which may admit and nothing else, and speak for nobody.
const INVITATIONS_KEYS: ServiceKeys = ServiceKeys {
    setting: "INVITATIONS_JWKS_FILE",
    cap: Scopes::NONE.with(Scope::Admit),
    subject: "homeroom-invitations",
};

/// What the service needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one. `LISTEN_ADDRESS`
    pub listen: SocketAddr,
    /// The database. `DATABASE_URL`
    pub database_url: Url,
    /// Whether to bring the schema up to date at start. `MIGRATE_AT_START`
    pub migrate_at_start: bool,
    /// Checks access tokens. `JWKS_FILE` or `JWKS_URL`, `INVITATIONS_JWKS_FILE`, `TOKEN_ISSUER`,
    /// `TOKEN_AUDIENCE`
    pub verifier: Arc<Verifier>,
    /// MACs and page tokens. `KEYS_FILE`
    pub keys: Arc<KeyRing>,
    /// Whether to serve gRPC reflection. `REFLECTION`
    pub reflection: bool,
    /// TLS of the server; None: plaintext. `TLS_CERT_FILE`, `TLS_KEY_FILE`, `TLS_CLIENT_CA_FILE`
    pub tls: Option<ServerTls>,
    /// Connections open at most; further ones wait. `CONNECTIONS_MAX`
    pub connections_max: usize,
    /// Whether to listen beyond loopback without TLS. `INSECURE_PLAINTEXT`
    pub insecure_plaintext: bool,
    /// Where metrics are read; None: nowhere. `METRICS_LISTEN_ADDRESS`
    pub metrics_listen: Option<SocketAddr>,
}

impl Config {
    /// Reads every setting and names every mistake.
    pub fn read(mut reader: Reader<'_>) -> Result<Self, ConfigErrors> {
        let listen = reader.or_default(
            "LISTEN_ADDRESS",
            DEFAULT_LISTEN,
            parse_as("an IP address and a port, such as 127.0.0.1:50051"),
        );
        let database_url = reader.required_from_secret("DATABASE_URL", Url::parse);
        let migrate_at_start = reader.or_default("MIGRATE_AT_START", false, parse_flag);
        let token_keys = auth::read_token_keys(&mut reader, Some(INVITATIONS_KEYS));
        let issuer = reader.required("TOKEN_ISSUER", parse_text);
        let audience = reader.required("TOKEN_AUDIENCE", parse_text);
        let keys = reader.required("KEYS_FILE", KeyRing::read_named);
        let reflection = reader.or_default("REFLECTION", true, parse_flag);
        let connections_max = server::read_connections_max(&mut reader);
        let insecure_plaintext = reader.or_default("INSECURE_PLAINTEXT", false, parse_flag);
        let metrics_listen = metrics::read_address(&mut reader, insecure_plaintext);
        let tls = tls::read_server(&mut reader, listen, insecure_plaintext);
        reader.finish()?;
        let (Some(database_url), Some(token_keys), Some(issuer), Some(audience), Some(keys)) =
            (database_url, token_keys, issuer, audience, keys)
        else {
            return Err(ConfigErrors(vec![
                "a required setting is missing".to_owned(),
            ]));
        };
        Ok(Self {
            listen,
            database_url,
            migrate_at_start,
            verifier: Arc::new(Verifier::new(
                token_keys,
                issuer,
                audience,
                Arc::new(SystemClock),
            )),
            keys: Arc::new(keys),
            reflection,
            tls,
            connections_max,
            insecure_plaintext,
            metrics_listen,
        })
    }

    /// Settings for a test: a free port on loopback, the schema brought up to date.
    #[must_use]
    pub fn for_tests(database_url: Url, verifier: Arc<Verifier>, keys: Arc<KeyRing>) -> Self {
        Self {
            listen: SocketAddr::new(DEFAULT_LISTEN.ip(), 0),
            database_url,
            migrate_at_start: true,
            verifier,
            keys,
            reflection: true,
            tls: None,
            connections_max: server::CONNECTIONS_DEFAULT,
            insecure_plaintext: false,
            metrics_listen: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use homeroom_kit::{auth::Signer, random::SeededRandomness};

    use super::*;

    #[test]
    fn every_mistake_is_named_at_once() {
        let source = [
            ("LISTEN_ADDRESS", "0.0.0.0:50051"),
            ("DATABASE_URL", "mysql://nowhere"),
            ("JWKS_FILE", "/nowhere/jwks.json"),
            ("KEYS_FILE", "/nowhere/keys"),
            ("REFLECTION", "perhaps"),
            ("CONNECTIONS_MAX", "15"),
            ("METRICS_LISTEN_ADDRESS", "0.0.0.0:9464"),
        ];
        let ConfigErrors(errors) = Config::read(Reader::new(&source)).unwrap_err();
        let named: Vec<&str> = errors
            .iter()
            .filter_map(|error| error.split(' ').next())
            .collect();
        let expected = [
            "DATABASE_URL",
            "JWKS_FILE",
            "TOKEN_ISSUER",
            "TOKEN_AUDIENCE",
            "KEYS_FILE",
            "REFLECTION",
            "CONNECTIONS_MAX",
            "METRICS_LISTEN_ADDRESS",
            "LISTEN_ADDRESS",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn what_is_right_is_read_and_the_rest_has_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let random = SeededRandomness::new(1);
        let keys = folder.path().join("keys");
        KeyRing::load_or_generate(&keys, &random).unwrap();
        let jwks = folder.path().join("jwks.json");
        fs::write(&jwks, Signer::generate(&random).unwrap().jwks(None)).unwrap();
        let source = [
            ("DATABASE_URL", "sqlite://membership.db"),
            ("JWKS_FILE", jwks.to_str().unwrap()),
            ("KEYS_FILE", keys.to_str().unwrap()),
            ("TOKEN_ISSUER", "https://platform.example"),
            ("TOKEN_AUDIENCE", "homeroom"),
            ("CONNECTIONS_MAX", "16"),
        ];
        let config = Config::read(Reader::new(&source)).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
        assert_eq!(config.connections_max, 16);
        assert!(config.reflection && !config.migrate_at_start && !config.insecure_plaintext);
    }
}
