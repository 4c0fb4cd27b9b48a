//! The settings of the service, checked as a whole before anything is bound.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use homeroom_kit::{
    auth::{Scope, Scopes, ServiceKeys},
    config::{ConfigErrors, Reader},
    service::Settings,
};

use crate::app::retention::read_join_requests_days;

/// The settings that only this service has, for its command line.
pub const SETTINGS: &str = "\
LISTEN_ADDRESS where to listen; 127.0.0.1:50051 if unset
INVITATIONS_JWKS_FILE the public keys of the invitations service, where JWKS_FILE does not hold them
RETENTION_JOIN_REQUESTS_DAYS days for which ended join requests keep names and addresses, 30 to 3650; unset: for ever";

/// The address to listen on if none is set.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_051);

/// The keys of the invitations service, which may admit people, do nothing else, and act for no user.
const INVITATIONS_KEYS: ServiceKeys = ServiceKeys {
    setting: "INVITATIONS_JWKS_FILE",
    cap: Scopes::NONE.with(Scope::Admit),
    subject: "homeroom-invitations",
};

/// The settings that the service needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings that every service has.
    pub service: Settings,
    /// The days for which an ended join request keeps the person's particulars; None: for ever.
    /// `RETENTION_JOIN_REQUESTS_DAYS`
    pub retention_join_requests_days: Option<u32>,
}

impl Config {
    /// Reads all settings, and reports all mistakes together.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigErrors> {
        let service = Settings::read(&mut reader, DEFAULT_LISTEN, Some(INVITATIONS_KEYS));
        let retention_join_requests_days = read_join_requests_days(&mut reader);
        Ok(Self {
            retention_join_requests_days,
            ..Self::from(reader.finish_with(service)?)
        })
    }
}

impl From<Settings> for Config {
    /// Returns the configuration that keeps everything for ever.
    fn from(service: Settings) -> Self {
        Self {
            service,
            retention_join_requests_days: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use homeroom_kit::{auth::Signer, keys::KeyRing, random::SeededRandomness};

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
            ("RETENTION_EVENTS_DAYS", "29"),
            ("RETENTION_JOIN_REQUESTS_DAYS", "29"),
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
            "RETENTION_EVENTS_DAYS",
            "METRICS_LISTEN_ADDRESS",
            "LISTEN_ADDRESS",
            "RETENTION_JOIN_REQUESTS_DAYS",
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn every_setting_is_in_the_readme() {
        let readme = include_str!("../../../README.md");
        for line in SETTINGS.lines() {
            let (name, help) = line.split_once(' ').unwrap();
            assert!(readme.contains(&format!("\n| `{name}` |")), "{name}");
            assert!(!help.is_empty());
        }
    }

    #[test]
    fn what_is_right_is_read_and_the_rest_has_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let random = SeededRandomness::new(1);
        let keys = folder.path().join("keys");
        KeyRing::load_or_generate(&keys, &random).unwrap();
        let jwks = folder.path().join("jwks.json");
        let public = [Signer::generate(&random).unwrap().jwk(None)];
        fs::write(&jwks, serde_json::json!({ "keys": public }).to_string()).unwrap();
        let source = [
            ("DATABASE_URL", "sqlite://membership.db"),
            ("JWKS_FILE", jwks.to_str().unwrap()),
            ("KEYS_FILE", keys.to_str().unwrap()),
            ("TOKEN_ISSUER", "https://platform.example"),
            ("TOKEN_AUDIENCE", "homeroom"),
            ("CONNECTIONS_MAX", "16"),
            ("RETENTION_EVENTS_DAYS", "3650"),
            ("RETENTION_JOIN_REQUESTS_DAYS", "30"),
        ];
        let config = Config::read(Reader::new(&source)).unwrap();
        assert_eq!(config.retention_join_requests_days, Some(30));
        let config = config.service;
        assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
        assert_eq!(config.connections_max, 16);
        assert_eq!(config.retention_events_days, Some(3_650));
        assert!(config.reflection && !config.migrate_at_start && !config.insecure_plaintext);
    }
}
