//! Starts both services in this process as in production, on either engine, with one clock that the
//! test moves.

mod addresses;
pub mod clients;
pub mod databases;
pub mod dice;
pub mod key_server;
pub mod postgres;
pub mod probes;
pub mod processes;
pub mod raw;
pub mod redis_servers;
mod school;
pub mod tcp_proxy;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_invitations as invitations;
use homeroom_kit::{
    auth::{self, Scopes, Signer, Verifier},
    clock::{Clock, ManualClock, SharedClock},
    keys::KeyRing,
    random::{SharedRandomness, SystemRandomness, new_id},
    retention::kept_since,
    service::Settings,
    shutdown::Shutdown,
};
use homeroom_membership as membership;
use tonic::{Code, Status, transport::Channel};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

pub use crate::{addresses::free_address, clients::Clients, databases::Engine, school::School};
use crate::{clients::Credentials, databases::Databases, processes::Service};

/// The issuer of every access token.
pub const ISSUER: &str = "https://platform.example";
/// The audience of every access token.
pub const AUDIENCE: &str = "homeroom";
/// The validity of a test's access token, longer than any test moves the clock.
const ACCESS_TOKEN_YEARS: i64 = 100;
/// The time for which a test waits for anything, on a busy machine.
const EVENTUALLY_SECONDS: u64 = 60;
/// The number of equal reads in a row, 50 ms apart, that count as quiet.
const QUIET_READS: u32 = 6;

/// Both services, running.
pub struct Homeroom {
    clock: Arc<ManualClock>,
    random: SharedRandomness,
    signer: Signer,
    membership: Channel,
    invitations: Channel,
    /// The address of membership.
    pub membership_address: std::net::SocketAddr,
    /// The address of invitations.
    pub invitations_address: std::net::SocketAddr,
    shutdown: Shutdown,
    services: Mutex<Option<(membership::Service, invitations::Service)>>,
    databases: Databases,
}

/// The claims of an access token.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// The subject: a user, or a service.
    pub subject: &'a str,
    /// The display name; empty if there is none.
    pub name: &'a str,
    /// The email address; empty if there is none.
    pub email: &'a str,
    /// True if the issuer has verified the address.
    pub email_verified: bool,
    /// The external id; empty if there is none.
    pub external_id: &'a str,
    /// The scopes, such as `homeroom.act_as`.
    pub scopes: &'a [&'a str],
    /// The user for whom the bearer acts; empty if it acts for itself.
    pub acting_user: &'a str,
    /// The ids of the organizations to which the token is limited; `None` means no limit.
    pub organizations: Option<&'a [&'a str]>,
}

impl<'a> Claims<'a> {
    /// Returns claims with this subject alone.
    #[must_use]
    pub const fn of(subject: &'a str) -> Self {
        Self {
            subject,
            name: "",
            email: "",
            email_verified: false,
            external_id: "",
            scopes: &[],
            acting_user: "",
            organizations: None,
        }
    }
}

impl Homeroom {
    /// Starts both services on new databases.
    pub async fn start(engine: Engine) -> Self {
        Self::start_on(Databases::create(engine).await, |_| {}).await
    }

    /// Starts both services on these databases, with the configuration of invitations changed by
    /// `adjust`.
    pub async fn start_on(
        databases: Databases,
        adjust: impl FnOnce(&mut invitations::Config),
    ) -> Self {
        let clock = Arc::new(ManualClock::new(
            "2026-09-01T08:00:00Z".parse::<DateTime<Utc>>().unwrap(),
        ));
        let random: SharedRandomness = Arc::new(SystemRandomness);
        let Configured {
            membership,
            invitations: mut config,
            signer,
        } = configured(&databases, clock.clone());
        let shutdown = Shutdown::new();
        let membership = membership::start(
            membership,
            membership::Dependencies {
                clock: clock.clone(),
                random: random.clone(),
            },
            shutdown.clone(),
        )
        .await
        .unwrap();
        config.membership_url = format!("http://{}", membership.address());
        adjust(&mut config);
        let invitations = invitations::start(
            config,
            invitations::Dependencies {
                clock: clock.clone(),
                random: random.clone(),
            },
            shutdown.clone(),
        )
        .await
        .unwrap();
        Self {
            membership_address: membership.address(),
            invitations_address: invitations.address(),
            membership: channel(membership.address()),
            invitations: channel(invitations.address()),
            clock,
            random,
            signer,
            shutdown,
            services: Mutex::new(Some((membership, invitations))),
            databases,
        }
    }

    /// Stops both services and drops their databases.
    pub async fn stop(&self) {
        self.shutdown.begin();
        let services = self.services.lock().unwrap().take();
        if let Some((membership, invitations)) = services {
            invitations.stopped().await.unwrap();
            membership.stopped().await.unwrap();
        }
        self.databases.drop_all().await;
    }

    /// Deletes what is past these days, as the periodic work does: events of both services, and the particulars in
    /// redemptions and in ended join requests.
    pub async fn delete_what_is_older(&self, events_days: u32, persons_days: u32) {
        let apps = {
            let services = self.services.lock().unwrap();
            let (membership, invitations) = services.as_ref().unwrap();
            (membership.app(), invitations.app())
        };
        let (membership, invitations) = apps;
        let before = kept_since(invitations.clock.now(), events_days);
        while membership.store.prune_events(before).await.unwrap() {}
        while invitations.store.prune_events(before).await.unwrap() {}
        while invitations.forget_persons_once(persons_days).await.unwrap() {}
        while membership.forget_persons_once(persons_days).await.unwrap() {}
    }

    /// Returns their databases.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Returns the time of the services' clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Moves the services' clock forward.
    pub fn advance(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    /// Sets the services' clock.
    pub fn set(&self, time: DateTime<Utc>) {
        self.clock.set(time);
    }

    /// Returns a new UUID.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        new_id(&*self.clock, &*self.random)
    }

    /// Returns a user without any scope.
    #[must_use]
    pub fn user(&self, user: &str) -> Clients {
        self.user_with(Claims::of(user))
    }

    /// Returns the calling platform, with the scope to create organizations and set licenses.
    #[must_use]
    pub fn platform(&self) -> Clients {
        self.user_with(Claims {
            scopes: &["homeroom.platform"],
            ..Claims::of("platform")
        })
    }

    /// Returns a caller with these claims.
    #[must_use]
    pub fn user_with(&self, claims: Claims<'_>) -> Clients {
        let authorization = format!("Bearer {}", self.access_token(claims));
        Clients {
            channels: [self.membership.clone(), self.invitations.clone()],
            credentials: Credentials::new(&authorization, claims.acting_user),
        }
    }

    /// Waits until no redemption is under way, since an answer needs T2 but not T3 (P12).
    pub async fn settled(&self) {
        self.eventually("every redemption is settled", async || {
            self.databases.reserved_redemptions().await == 0
        })
        .await;
    }

    /// Returns the number of rows in each table of both databases, once all work after the answers
    /// is done.
    pub async fn settled_row_counts(&self) -> BTreeMap<String, i64> {
        self.settled().await;
        let mut counts = self.databases.row_counts().await;
        let mut quiet = 0;
        while quiet < QUIET_READS {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = self.databases.row_counts().await;
            quiet = if now == counts { quiet + 1 } else { 0 };
            counts = now;
        }
        counts
    }

    /// Returns an access token with these claims.
    #[must_use]
    pub fn access_token(&self, claims: Claims<'_>) -> String {
        access_token(&self.signer, &*self.clock, claims)
    }

    /// Waits until `condition` holds, for background work of the services.
    pub async fn eventually(&self, what: &str, condition: impl AsyncFnMut() -> bool) {
        eventually(what, condition).await;
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// Panics if it does not hold within a minute.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(EVENTUALLY_SECONDS), wait)
        .await
        .unwrap_or_else(|_| panic!("not within {EVENTUALLY_SECONDS} s: {what}"));
}

/// The configurations of both services, and the key of their callers.
pub struct Configured {
    /// The configuration of membership.
    pub membership: membership::Config,
    /// The configuration of invitations, without the address of membership.
    pub invitations: invitations::Config,
    /// The key of access tokens.
    pub signer: Signer,
}

/// Configures both services on these databases, with new keys and this clock.
#[must_use]
pub fn configured(databases: &Databases, clock: SharedClock) -> Configured {
    let random = SystemRandomness;
    let signer = Signer::generate(&random).unwrap();
    let own_signer = Arc::new(Signer::generate(&random).unwrap());
    let own_keys = own_signer.keys(Some(Scopes::parse("homeroom.admit")));
    let keys = signer.keys(None).unwrap().merge(own_keys.unwrap());
    let verifier = Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock));
    let [membership, invitations] = Service::BOTH.map(|service| {
        let keys = Arc::new(KeyRing::generate(&random).unwrap());
        let url = databases.url_of(service).clone();
        Settings::local(url, verifier.clone(), keys)
    });
    Configured {
        membership: membership.into(),
        invitations: invitations::Config {
            redis_url: databases.redis.clone(),
            // A busy machine must not decide whether Redis counts as unreachable.
            redis_call_max: Duration::from_secs(10),
            limiter_follows_clock: true,
            ..invitations::Config::local(invitations, String::new(), own_signer)
        },
        signer,
    }
}

/// Returns an access token with these claims.
#[must_use]
pub fn access_token(key: &Signer, clock: &dyn Clock, claims: Claims<'_>) -> String {
    let mut signed = auth::Claims::new(
        ISSUER,
        AUDIENCE,
        claims.subject,
        clock.now(),
        TimeDelta::days(365 * ACCESS_TOKEN_YEARS),
    )
    .with_scopes(Scopes::parse(&claims.scopes.join(" ")));
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    signed.name = text(claims.name);
    signed.email = text(claims.email);
    signed.email_verified = Some(claims.email_verified);
    signed.external_id = text(claims.external_id);
    signed.organizations = claims
        .organizations
        .map(|bound| bound.iter().map(|&id| id.to_owned()).collect());
    key.sign(&signed).unwrap().expose().to_owned()
}

fn channel(address: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

/// Returns the reason that a failed call carries; empty if there is none.
#[must_use]
pub fn reason(status: &Status) -> String {
    details(status).error_info().map_or_else(
        || format!("no reason: {status:?}"),
        |info| info.reason.clone(),
    )
}

/// Returns false if the result of a call that failed with this code is unknown, or a retry may
/// succeed. A cut connection also appears as UNKNOWN, CANCELLED or INTERNAL.
#[must_use]
pub fn is_final(code: Code) -> bool {
    !matches!(
        code,
        Code::Unavailable
            | Code::Aborted
            | Code::Unknown
            | Code::Cancelled
            | Code::Internal
            | Code::DeadlineExceeded
    )
}

/// Returns the google.rpc details of a failed call.
#[must_use]
pub fn details(status: &Status) -> ErrorDetails {
    status.get_error_details()
}

/// Returns the field of every violation that a failed call carries, in order.
#[must_use]
pub fn violated_fields(status: &Status) -> Vec<String> {
    let details = details(status);
    let violations = details.bad_request().map(|bad| &bad.field_violations);
    let fields = violations.into_iter().flatten();
    fields.map(|violation| violation.field.clone()).collect()
}

/// Returns the time as a protobuf timestamp.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    homeroom_kit::clock::to_timestamp(time)
}

/// Defines one test that runs on both engines, each time with its own services and databases.
#[macro_export]
macro_rules! on_both_engines {
    (async fn $name:ident($homeroom:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn test($homeroom: &$crate::Homeroom) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let homeroom = $crate::Homeroom::start($crate::Engine::Sqlite).await;
                test(&homeroom).await;
                homeroom.stop().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres_with_redis() {
                let homeroom = $crate::Homeroom::start($crate::Engine::Postgres).await;
                test(&homeroom).await;
                homeroom.stop().await;
            }
        }
    };
}
