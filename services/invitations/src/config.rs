//! The settings, checked as a whole before any address is bound.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use homeroom_kit::{
    auth::Signer,
    config::{ConfigErrors, Reader},
    server::TrustedProxies,
    service::Settings,
    tls::{self, ClientTls, Names},
};

use crate::{
    app::{retention::Retention, workers::Pauses},
    domain::public_url::PublicUrl,
    limiter::{Budgets, REDIS_CALL_MAX_MILLIS, redis::Redis},
    membership::MembershipClient,
};

/// The settings that only this service has, for its command line.
pub const SETTINGS: &str = "\
LISTEN_ADDRESS where to listen; 127.0.0.1:50052 if unset
REDIS_URL Redis of the limiter; unset: limited within the process
MEMBERSHIP_URL the membership service, as http://host:port or https://host:port
MEMBERSHIP_CA_FILE PEM of the authority that signs membership's certificate; required with https://
MEMBERSHIP_CLIENT_CERT_FILE PEM of the certificate that is shown to membership; unset: none
MEMBERSHIP_CLIENT_KEY_FILE PEM of that certificate's private key
PUBLIC_URL the base of every URL handed out, as https://join.school.example
SIGNING_KEY_FILE this service's own Ed25519 key, PKCS#8 PEM, for its calls of membership
TRUSTED_PROXIES addresses and networks of proxies whose x-forwarded-for is believed, as 10.0.0.7,fd00:1::/64
CALLS_PER_MINUTE_MAX attempts of one calling service a minute; unset: no limit
LIMITER_BUDGETS the limiter's budgets, as user_daily=20,address_hourly=30
RETENTION_REFUSED_ATTEMPTS_DAYS days for which refused attempts are kept, 1 to 3650; 90 if unset
RETENTION_AUDIT_ENTRIES_DAYS days for which audit entries are kept, 30 to 3650; 400 if unset
RETENTION_REDEMPTIONS_DAYS days for which redemptions keep names and addresses, 100 to 3650; unset: for ever";

/// The address that the service listens on by default.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_052);

/// The settings of the TLS files for the connection to membership.
const MEMBERSHIP_TLS: Names = Names {
    certificate: "MEMBERSHIP_CLIENT_CERT_FILE",
    key: "MEMBERSHIP_CLIENT_KEY_FILE",
    authorities: "MEMBERSHIP_CA_FILE",
};

/// The settings that the service needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings that every service has.
    pub service: Settings,
    /// Redis for the limiter; None: the limiter keeps its state in the process. `REDIS_URL`
    pub redis_url: Option<String>,
    /// The address of the membership service, which need not answer yet. `MEMBERSHIP_URL`
    pub membership_url: String,
    /// TLS for the connection to membership; None: plaintext. `MEMBERSHIP_CA_FILE`, `MEMBERSHIP_CLIENT_CERT_FILE`,
    /// `MEMBERSHIP_CLIENT_KEY_FILE`
    pub membership_tls: Option<ClientTls>,
    /// The base of every URL handed out. `PUBLIC_URL`
    pub public_url: PublicUrl,
    /// The signer of this service's own tokens for membership. `SIGNING_KEY_FILE`
    pub signer: Arc<Signer>,
    /// The proxies whose `x-forwarded-for` is believed. `TRUSTED_PROXIES`
    pub trusted_proxies: TrustedProxies,
    /// The limiter's budgets. `LIMITER_BUDGETS`, `CALLS_PER_MINUTE_MAX`
    pub budgets: Budgets,
    /// How long logs and particulars are kept. `RETENTION_REFUSED_ATTEMPTS_DAYS`, `RETENTION_AUDIT_ENTRIES_DAYS`,
    /// `RETENTION_REDEMPTIONS_DAYS`
    pub retention: Retention,
    /// The pauses of the workers.
    pub pauses: Pauses,
    /// The maximum time of one call of Redis before the limiter goes on without it.
    pub redis_call_max: Duration,
    /// True, in tests, if Redis's scripts use the injected clock instead of Redis's own.
    pub limiter_follows_clock: bool,
}

impl Config {
    /// Reads every setting and reports every mistake.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigErrors> {
        let service = Settings::read(&mut reader, DEFAULT_LISTEN, None);
        let redis_url = reader.optional("REDIS_URL", parse_redis_url);
        let membership_url = reader.required("MEMBERSHIP_URL", |url| {
            MembershipClient::check_url(url).map(|()| url.to_owned())
        });
        let url = membership_url.as_deref();
        let membership_tls = tls::read_client(&mut reader, &MEMBERSHIP_TLS, "MEMBERSHIP_URL", url);
        let public_url = reader.required("PUBLIC_URL", PublicUrl::parse);
        let signer = reader.required("SIGNING_KEY_FILE", Signer::read_named);
        let trusted_proxies = TrustedProxies::read(&mut reader);
        let budgets = Budgets::read(&mut reader);
        let retention = Retention::read(&mut reader);
        let required = service.zip(membership_url).zip(public_url).zip(signer);
        let (((service, membership_url), public_url), signer) = reader.finish_with(required)?;
        Ok(Self {
            redis_url,
            membership_tls,
            public_url,
            trusted_proxies,
            budgets,
            retention,
            ..Self::local(service, membership_url, Arc::new(signer))
        })
    }

    /// Returns settings of a service whose limiter keeps its state in the process, and whose membership service speaks
    /// plaintext.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "the constant address parses"
    )]
    pub fn local(service: Settings, membership_url: String, signer: Arc<Signer>) -> Self {
        Self {
            service,
            redis_url: None,
            membership_url,
            membership_tls: None,
            public_url: PublicUrl::parse("https://join.example").expect("is a URL"),
            signer,
            trusted_proxies: TrustedProxies::default(),
            budgets: Budgets::default(),
            retention: Retention::default(),
            pauses: Pauses::default(),
            redis_call_max: Duration::from_millis(REDIS_CALL_MAX_MILLIS),
            limiter_follows_clock: false,
        }
    }
}

fn parse_redis_url(text: &str) -> Result<String, &'static str> {
    let mut nodes = text.split(',').map(str::trim);
    if nodes.all(Redis::check_url) {
        Ok(text.to_owned())
    } else {
        Err(
            "must be redis://host:port/database or redis://:password@host:port/database (rediss:// over TLS), \
             or the nodes of a cluster with commas between them",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use homeroom_kit::{keys::KeyRing, random::SeededRandomness};

    use super::*;

    #[test]
    fn every_mistake_is_named_at_once() {
        let source = [
            ("LISTEN_ADDRESS", "0.0.0.0:1"),
            ("DATABASE_URL", "mysql://nowhere"),
            ("MEMBERSHIP_URL", "nowhere"),
            ("PUBLIC_URL", "ftp://nowhere"),
            ("REDIS_URL", "nowhere"),
            ("TRUSTED_PROXIES", "0.0.0.0/0"),
            ("CALLS_PER_MINUTE_MAX", "0"),
            ("CONNECTIONS_MAX", "15"),
            ("LIMITER_BUDGETS", "user_burst=0"),
            ("METRICS_LISTEN_ADDRESS", "0.0.0.0:1"),
            ("RETENTION_EVENTS_DAYS", "29"),
            ("RETENTION_REFUSED_ATTEMPTS_DAYS", "0"),
            ("RETENTION_AUDIT_ENTRIES_DAYS", "29"),
            ("RETENTION_REDEMPTIONS_DAYS", "99"),
        ];
        let errors = Config::read(Reader::new(&source)).unwrap_err().0;
        let missing = [
            "JWKS_FILE",
            "TOKEN_ISSUER",
            "TOKEN_AUDIENCE",
            "KEYS_FILE",
            "SIGNING_KEY_FILE",
        ];
        for name in source.map(|(name, _)| name).into_iter().chain(missing) {
            let is_named = errors.iter().any(|error| error.starts_with(name));
            assert!(is_named, "{name}: {errors:?}");
        }
    }

    #[test]
    fn tls_on_the_way_to_others_is_taken_and_to_membership_only_with_whom_to_believe() {
        let source = [
            ("DATABASE_URL", "postgres://h/d?sslmode=verify-full"),
            ("MEMBERSHIP_URL", "https://membership:50051"),
            ("REDIS_URL", "rediss://redis:6379"),
        ];
        let errors = Config::read(Reader::new(&source)).unwrap_err().0;
        let told = |name: &str| errors.iter().any(|error| error.starts_with(name));
        assert!(told("MEMBERSHIP_CA_FILE"), "{errors:?}");
        for (name, _) in source {
            assert!(!told(name), "{name}: {errors:?}");
        }
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
    fn a_whole_configuration_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let random = SeededRandomness::new(1);
        KeyRing::load_or_generate(Path::new(&path("keys")), &random).unwrap();
        let signer = Signer::load_or_generate(Path::new(&path("signing.pem")), &random).unwrap();
        let set = serde_json::json!({ "keys": [signer.jwk(None)] }).to_string();
        std::fs::write(path("jwks.json"), set).unwrap();
        let (keys, signing_key, jwks) = (path("keys"), path("signing.pem"), path("jwks.json"));
        let source = [
            ("DATABASE_URL", "sqlite:///tmp/invitations.db"),
            ("MEMBERSHIP_URL", "http://127.0.0.1:50051"),
            ("PUBLIC_URL", "https://join.school.example"),
            ("REDIS_URL", "redis://127.0.0.1:6379/0"),
            ("JWKS_FILE", jwks.as_str()),
            ("TOKEN_ISSUER", "https://platform.example"),
            ("TOKEN_AUDIENCE", "homeroom"),
            ("KEYS_FILE", keys.as_str()),
            ("SIGNING_KEY_FILE", signing_key.as_str()),
            ("RETENTION_EVENTS_DAYS", "30"),
            ("RETENTION_REFUSED_ATTEMPTS_DAYS", "1"),
            ("RETENTION_REDEMPTIONS_DAYS", "3650"),
        ];
        let config = Config::read(Reader::new(&source)).unwrap();
        let retention = Retention {
            refused_attempts_days: 1,
            audit_entries_days: 400,
            redemptions_days: Some(3_650),
        };
        assert_eq!(config.retention, retention);
        assert_eq!(config.service.retention_events_days, Some(30));
        let service = config.service;
        assert_eq!(service.listen, DEFAULT_LISTEN);
        assert!(service.reflection && !service.insecure_plaintext && !service.migrate_at_start);
    }
}
