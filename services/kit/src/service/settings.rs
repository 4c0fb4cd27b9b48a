//! The settings of both services.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use super::{Dependencies, StartError};
use crate::{
    auth::{self, ServiceKeys, Verifier},
    clock::SystemClock,
    config::{Reader, parse_flag},
    database::Url,
    keys::KeyRing,
    metrics,
    retention::read_events_days,
    server::{self, ServerOptions},
    tls::{self, ServerTls},
};

/// The settings that every service needs to start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The listen address; port 0 takes a free port. `LISTEN_ADDRESS`
    pub listen: SocketAddr,
    /// The database's URL. `DATABASE_URL`
    pub database_url: Url,
    /// True to migrate the schema at start. `MIGRATE_AT_START`
    pub migrate_at_start: bool,
    /// The verifier of access tokens. `TOKEN_ISSUERS_FILE`, or `JWKS_FILE` or `JWKS_URL`, `TOKEN_ISSUER` and
    /// `TOKEN_AUDIENCE`
    pub verifier: Arc<Verifier>,
    /// The keys of stored secrets, MACs and page tokens. `KEYS_FILE`
    pub keys: Arc<KeyRing>,
    /// True to serve gRPC reflection. `REFLECTION`
    pub reflection: bool,
    /// The server's TLS; `None` means plaintext. `TLS_CERT_FILE`, `TLS_KEY_FILE`,
    /// `TLS_CLIENT_CA_FILE`
    pub tls: Option<ServerTls>,
    /// The most open connections; further ones wait. `CONNECTIONS_MAX`
    pub connections_max: usize,
    /// True to allow a listener beyond loopback without TLS. `INSECURE_PLAINTEXT`
    pub insecure_plaintext: bool,
    /// The address of metrics; `None` means that they are not served. `METRICS_LISTEN_ADDRESS`
    pub metrics_listen: Option<SocketAddr>,
    /// The days for which events are kept; `None` means for ever. `RETENTION_EVENTS_DAYS`
    pub retention_events_days: Option<u32>,
}

impl Settings {
    /// Reads the settings; returns `None` after an error, which the reader reports. `listen` is the
    /// default listen address, `service_keys` are the keys of another service that calls this one.
    pub fn read(
        reader: &mut Reader,
        listen: SocketAddr,
        service_keys: Option<ServiceKeys>,
    ) -> Option<Self> {
        let listen = reader.or_default("LISTEN_ADDRESS", listen, |text| {
            let parsed = text.trim().parse();
            parsed.map_err(|_| format!("must be an IP address and a port, such as {listen}"))
        });
        let database_url = reader.required_from_secret("DATABASE_URL", Url::parse);
        let migrate_at_start = reader.or_default("MIGRATE_AT_START", false, parse_flag);
        let issuers = auth::read_issuers(reader, service_keys);
        let keys = reader.required("KEYS_FILE", KeyRing::read_named);
        let reflection = reader.or_default("REFLECTION", true, parse_flag);
        let connections_max = server::read_connections_max(reader);
        let retention_events_days = read_events_days(reader);
        let insecure_plaintext = reader.or_default("INSECURE_PLAINTEXT", false, parse_flag);
        let metrics_listen = metrics::read_address(reader, insecure_plaintext);
        let tls = tls::read_server(reader, listen, insecure_plaintext);
        let verifier = Verifier::of_issuers(issuers?, Arc::new(SystemClock));
        Some(Self {
            listen,
            database_url: database_url?,
            migrate_at_start,
            verifier: Arc::new(verifier),
            keys: Arc::new(keys?),
            reflection,
            tls,
            connections_max,
            insecure_plaintext,
            metrics_listen,
            retention_events_days,
        })
    }

    /// Returns settings of a service for its own machine: a free port on loopback, and a schema that is migrated at
    /// start.
    #[must_use]
    pub fn local(database_url: Url, verifier: Arc<Verifier>, keys: Arc<KeyRing>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            database_url,
            migrate_at_start: true,
            verifier,
            keys,
            reflection: true,
            tls: None,
            connections_max: server::CONNECTIONS_DEFAULT,
            insecure_plaintext: false,
            metrics_listen: None,
            retention_events_days: None,
        }
    }

    /// Returns the server's options, once the keys of access tokens are available.
    pub async fn check(&self, dependencies: &Dependencies) -> Result<ServerOptions, StartError> {
        if self.metrics_listen.is_some() {
            metrics::record()?;
        }
        self.verifier.fetch_first_keys().await?;
        Ok(ServerOptions {
            tls: self.tls.clone(),
            connections_max: self.connections_max,
            reflection: self.reflection,
            clock: Arc::clone(&dependencies.clock),
            random: Arc::clone(&dependencies.random),
            ..ServerOptions::new(Arc::clone(&self.verifier))
        })
    }
}
