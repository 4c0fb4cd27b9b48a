//! The service without its server: handlers over a SQLite file, a manual clock, and a membership service whose answers
//! the test sets.

use std::sync::{Arc, atomic::Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{common::v1::ErrorReason, ids::UserId};
use homeroom_invitations::{
    app::{App, audit::AuditTrail},
    domain::public_url::PublicUrl,
    grpc::{ClassCodeHandlers, EnrollmentCodeHandlers, JoinUrlHandlers, TokenHandlers},
    limiter::{Budgets, memory::MemoryLimiter},
    redemption::{Redemptions, ledger::Ledger},
    store::InvitationRow,
};
use homeroom_kit::{
    Error,
    auth::Caller,
    clock::ManualClock,
    database::Url,
    keys::KeyRing,
    outbox::{Event, Scope},
    paging::Paging,
    random::{SharedRandomness, SystemRandomness},
    tasks::Writes,
};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{databases::Database, fake_membership::FakeMembership};

/// The class of most tests.
pub(crate) const CLASS: &str = "organizations/hamilton/classes/bio-101";

pub(crate) struct Office {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) membership: Arc<FakeMembership>,
    pub(crate) class_codes: ClassCodeHandlers,
    pub(crate) join_urls: JoinUrlHandlers,
    pub(crate) tokens: TokenHandlers,
    pub(crate) enrollment_codes: EnrollmentCodeHandlers,
    database: Database,
}

impl Office {
    pub(crate) async fn open() -> Self {
        let keys = KeyRing::generate(&SystemRandomness).unwrap();
        Self::open_with(keys, Arc::new(SystemRandomness)).await
    }

    /// Opens an office with these keys and this randomness.
    pub(crate) async fn open_with(keys: KeyRing, random: SharedRandomness) -> Self {
        let database = Database::sqlite().await;
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let membership = Arc::new(FakeMembership::default());
        let keys = Arc::new(keys);
        let writes = Writes::new();
        let redemptions = Redemptions::new(
            Ledger {
                store: database.store.clone(),
                clock: clock.clone(),
                random: random.clone(),
            },
            membership.clone(),
            Arc::new(MemoryLimiter::new(Budgets::default(), clock.clone())),
            keys.clone(),
            writes.clone(),
        );
        let app = Arc::new(App {
            redemptions: Arc::new(redemptions),
            store: database.store.clone(),
            clock: clock.clone(),
            random,
            keys: keys.clone(),
            membership: membership.clone(),
            writes,
            paging: Paging::new(keys),
            public_url: PublicUrl::parse("https://join.example").unwrap(),
            audit: AuditTrail::start(database.store.clone()),
        });
        Self {
            class_codes: ClassCodeHandlers(app.clone()),
            join_urls: JoinUrlHandlers(app.clone()),
            tokens: TokenHandlers(app.clone()),
            enrollment_codes: EnrollmentCodeHandlers(app.clone()),
            app,
            clock,
            membership,
            database,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.app.clock.now()
    }

    pub(crate) fn advance(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    pub(crate) fn membership_is_away(&self, away: bool) {
        self.membership.away.store(away, Ordering::SeqCst);
    }

    /// Returns the URL of its database.
    pub(crate) fn database_url(&self) -> &Url {
        &self.database.url
    }

    /// Runs a statement on the file, behind the service's back.
    pub(crate) async fn tamper(&self, statement: &'static str) {
        let Url::Sqlite(path) = &self.database.url else {
            panic!("these tests run on SQLite");
        };
        let url = format!("sqlite://{}", path.display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }

    /// Returns the types of all events so far, oldest first.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        let events = self.events().await;
        events.into_iter().map(|event| event.event_type).collect()
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let feed = self.app.store.feed();
        feed.list(&Scope::Everything, 0, 1_000).await.unwrap()
    }

    /// Returns the row whose id ends the resource name.
    pub(crate) async fn row(&self, name: &str) -> InvitationRow {
        let id = Uuid::parse_str(name.rsplit('/').next().unwrap()).unwrap();
        let mut session = self.app.store.read().await.unwrap();
        session.get_invitation(id).await.unwrap().unwrap()
    }
}

/// Returns a request of a user.
pub(crate) fn by<T>(user: &str, message: T) -> Request<T> {
    let mut caller = Caller::for_user(UserId::parse(user).unwrap());
    std::any::type_name::<T>().clone_into(&mut caller.method);
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller);
    request
}

/// Returns a request of the class's owner.
pub(crate) fn by_owner<T>(message: T) -> Request<T> {
    by("owner", message)
}

/// Returns the reason of a refusal.
pub(crate) fn reason<T>(result: Result<T, Status>) -> ErrorReason {
    match result {
        Ok(_) => ErrorReason::Unspecified,
        Err(status) => Error::from_status(&status)
            .unwrap_or_else(|| panic!("not one of our reasons: {status}"))
            .reason(),
    }
}

pub(crate) fn request_id(number: u128) -> String {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number).to_string()
}
