//! Both services in one process, started by their own `start` functions.

use std::{net::SocketAddr, sync::Arc};

use chrono::TimeDelta;
use homeroom_invitations::{app::retention::Retention, domain::public_url::PublicUrl};
use homeroom_kit::{
    auth::{Claims, Signer, Verifier},
    clock::{SharedClock, SystemClock},
    random::SystemRandomness,
    server::TrustedProxies,
    service::Dependencies,
    shutdown::Shutdown,
};

use crate::{
    Failure,
    data_folder::{
        AUDIENCE, DataFolder, INVITATIONS_DATABASE_FILE, ISSUER, MEMBERSHIP_DATABASE_FILE,
    },
};

/// The number of services that share the process and its memory.
const SERVICES: usize = 2;

/// The settings of the embedded services.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The listen address of membership; port 0 takes any free port.
    pub(crate) membership: SocketAddr,
    /// The listen address of invitations; port 0 takes any free port.
    pub(crate) invitations: SocketAddr,
    /// The base of every URL handed out.
    pub(crate) public_url: PublicUrl,
    /// The proxies whose `x-forwarded-for` invitations believes.
    pub(crate) trusted_proxies: TrustedProxies,
    /// Maximum number of open connections, half of them for each service.
    pub(crate) connections_max: usize,
    /// The days for which both services keep their events; None: for ever.
    pub(crate) retention_events_days: Option<u32>,
    /// The days for which ended join requests keep the person's particulars; None: for ever.
    pub(crate) retention_join_requests_days: Option<u32>,
    /// How long invitations keeps logs and particulars.
    pub(crate) retention: Retention,
}

/// Two running services and the key that mints tokens for them.
pub(crate) struct Embedded {
    membership: homeroom_membership::Service,
    invitations: homeroom_invitations::Service,
    signer: Signer,
    clock: SharedClock,
    /// Stops invitations, and then membership.
    shutdown: Shutdown,
    membership_shutdown: Shutdown,
}

impl Embedded {
    /// Starts membership, then invitations, which calls it.
    pub(crate) async fn start(
        folder: &DataFolder,
        settings: Settings,
        shutdown: Shutdown,
    ) -> Result<Self, Failure> {
        let connections_max = settings.connections_max / SERVICES;
        let clock: SharedClock = Arc::new(SystemClock);
        let material = folder.load_or_generate()?;
        let dependencies = || Dependencies {
            clock: Arc::clone(&clock),
            random: Arc::new(SystemRandomness),
        };
        let service = |listen, database, keys| -> Result<_, Failure> {
            let token_keys = folder.token_keys()?;
            let verifier = Verifier::new(token_keys, ISSUER, AUDIENCE, Arc::clone(&clock));
            Ok(homeroom_kit::service::Settings {
                listen,
                connections_max,
                retention_events_days: settings.retention_events_days,
                ..homeroom_kit::service::Settings::local(
                    folder.database(database)?,
                    Arc::new(verifier),
                    Arc::new(keys),
                )
            })
        };

        let membership_shutdown = shutdown.followed_by();
        let membership = homeroom_membership::start(
            homeroom_membership::Config {
                service: service(
                    settings.membership,
                    MEMBERSHIP_DATABASE_FILE,
                    material.membership_keys,
                )?,
                retention_join_requests_days: settings.retention_join_requests_days,
            },
            dependencies(),
            membership_shutdown.clone(),
        )
        .await?;
        let config = homeroom_invitations::Config::local(
            service(
                settings.invitations,
                INVITATIONS_DATABASE_FILE,
                material.invitations_keys,
            )?,
            format!("http://{}", membership.address()),
            Arc::new(material.invitations_signer),
        );
        let invitations = homeroom_invitations::start(
            homeroom_invitations::Config {
                public_url: settings.public_url,
                trusted_proxies: settings.trusted_proxies,
                retention: settings.retention,
                ..config
            },
            dependencies(),
            shutdown.clone(),
        )
        .await?;

        Ok(Self {
            membership,
            invitations,
            signer: material.signer,
            clock,
            shutdown,
            membership_shutdown,
        })
    }

    pub(crate) fn membership_address(&self) -> SocketAddr {
        self.membership.address()
    }

    pub(crate) fn invitations_address(&self) -> SocketAddr {
        self.invitations.address()
    }

    /// Returns the claims of an access token of a user, which both services accept.
    pub(crate) fn claims(&self, user: &str, life: TimeDelta) -> Claims {
        Claims::new(ISSUER, AUDIENCE, user, self.clock.now(), life)
    }

    /// Returns a signed access token.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Failure> {
        Ok(self.signer.sign(claims)?.expose().to_owned())
    }

    /// Orders both services to finish the work in progress.
    pub(crate) fn stop(&self) {
        self.shutdown.begin();
    }

    /// Waits until both services have stopped. Invitations stops first, because it calls membership; if membership
    /// stops by itself, invitations is told to stop too.
    pub(crate) async fn stopped(self) -> Result<(), Failure> {
        let invitations = async {
            let ended = self.invitations.stopped().await;
            self.membership_shutdown.begin();
            ended
        };
        let membership = async {
            let ended = self.membership.stopped().await;
            self.shutdown.begin();
            ended
        };
        let (invitations, membership) = tokio::join!(invitations, membership);
        invitations?;
        membership?;
        Ok(())
    }
}
