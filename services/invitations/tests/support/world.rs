//! The service without its server: use cases and handlers over a fresh database, a manual clock and a fake membership.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::{ErrorReason, User},
    ids::{OrganizationId, UserId},
    invitations::v1::{PreviewRedemptionRequest, RedeemRequest},
    names::Place,
};
use homeroom_invitations::{
    app::{
        App, audit::AuditTrail, list_logs::attempt_filter, list_logs::audit_filter,
        list_redemptions::redemption_filter, secrets::Secrets,
    },
    domain::{
        credential::Credential,
        invitation::{InvitationKind, Uses},
        lock::{Lock, LockPeriod},
        public_url::PublicUrl,
        redemption::{Outcome, RedemptionState},
    },
    grpc::{ClassCodeHandlers, EnrollmentCodeHandlers, JoinUrlHandlers, TokenHandlers},
    limiter::{Budgets, Limiter},
    redemption::{
        Redemptions,
        drive::Recovered,
        follow::Followed,
        ledger::{Ledger, Redemption, RedemptionFilter},
        reply::{Preview, Redeemed},
        request::Attempt,
    },
    store::{AuditEntry, InvitationRow, OrganizationProfile, RefusedAttempt},
};
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    clock::ManualClock,
    database::Url,
    keys::KeyRing,
    outbox,
    paging::{Page, PageRequest, Paging},
    random::{SharedRandomness, SystemRandomness, new_id_at},
    rpc,
    secret::SecretText,
    tasks::Writes,
};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    databases::Database,
    fake_membership::{FakeMembership, Mode},
};

/// The class of most tests.
pub(crate) const CLASS: &str = "organizations/hamilton/classes/bio-101";
pub(crate) const CODE: &str = "HAMILTON-BIO101";
pub(crate) const REQUEST: &str = "01900000-0000-7000-8000-0000000000aa";

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(crate) fn public_url() -> PublicUrl {
    PublicUrl::parse("https://join.example").unwrap()
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::parse("hamilton").unwrap()
}

pub(crate) fn class() -> Place {
    Place::parse(CLASS).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn keys() -> KeyRing {
    KeyRing::generate(&SystemRandomness).unwrap()
}

/// Returns an invitation whose secret is `code`.
pub(crate) fn row(
    kind: InvitationKind,
    code: &str,
    keys: &KeyRing,
    now: DateTime<Utc>,
) -> InvitationRow {
    let id = new_id_at(now, &SystemRandomness);
    let mut row = InvitationRow::new(id, kind, class(), now);
    if kind == InvitationKind::ClassCode {
        row.invitation.lock = Some(Lock::open(now, LockPeriod::default()));
    }
    set_secret(&mut row, code, keys);
    row
}

pub(crate) fn set_secret(row: &mut InvitationRow, code: &str, keys: &KeyRing) {
    let credential = Credential::parse(code, &public_url()).ok().unwrap();
    let candidate = credential
        .candidates()
        .iter()
        .find(|candidate| candidate.kind == row.invitation.kind)
        .unwrap();
    let canonical = &candidate.canonical;
    // A code is shown without its prefix, which in these tests has eight letters.
    let shown = match candidate.kind {
        InvitationKind::EnrollmentCode => SecretText::new(&canonical.expose()[8..]),
        _ => canonical.clone(),
    };
    let secrets = Secrets::new(keys, &SystemRandomness);
    row.secret = Some(secrets.store(&row.invitation, canonical, &shown).unwrap());
}

pub(crate) fn unlimited() -> Budgets {
    Budgets {
        user_burst: 1_000,
        user_hourly: 1_000,
        user_daily: 1_000,
        address_hourly: 1_000,
        ..Budgets::default()
    }
}

pub(crate) const fn uses(used: u32, reserved: u32, queued: u32) -> Uses {
    Uses {
        used,
        reserved,
        queued,
    }
}

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) membership: Arc<FakeMembership>,
    pub(crate) class_codes: ClassCodeHandlers,
    pub(crate) join_urls: JoinUrlHandlers,
    pub(crate) tokens: TokenHandlers,
    pub(crate) enrollment_codes: EnrollmentCodeHandlers,
    pub(crate) database: Database,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_budgets(unlimited()).await
    }

    pub(crate) async fn with_budgets(budgets: Budgets) -> Self {
        Self::over(Database::sqlite().await, budgets).await
    }

    /// Makes a world on PostgreSQL, where transactions conflict; [`World::drop_it`] must drop it.
    pub(crate) async fn on_postgres() -> Self {
        Self::over(Database::postgres().await, unlimited()).await
    }

    pub(crate) async fn drop_it(self) {
        self.database.remove().await;
    }

    pub(crate) async fn over(database: Database, budgets: Budgets) -> Self {
        Self::with(database, budgets, keys(), Arc::new(SystemRandomness)).await
    }

    /// Makes a world with these keys and this randomness.
    pub(crate) async fn with(
        database: Database,
        budgets: Budgets,
        keys: KeyRing,
        random: SharedRandomness,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(start()));
        let membership = Arc::new(FakeMembership::default());
        let keys = Arc::new(keys);
        let writes = Writes::new();
        let redemptions = Redemptions::new(
            Ledger {
                store: Arc::clone(&database.store),
                clock: clock.clone(),
                random: random.clone(),
            },
            membership.clone(),
            Limiter::in_process(budgets, clock.clone()),
            Arc::clone(&keys),
            writes.clone(),
        );
        let app = Arc::new(App {
            redemptions: Arc::new(redemptions),
            store: Arc::clone(&database.store),
            clock: clock.clone(),
            random,
            keys: Arc::clone(&keys),
            membership: membership.clone(),
            writes,
            paging: Paging::new(keys),
            public_url: public_url(),
            audit: AuditTrail::start(Arc::clone(&database.store)),
        });
        let mut repository = app.store.write().await.unwrap();
        let profile = OrganizationProfile {
            organization: organization(),
            code_prefix: "HAMILTON".to_owned(),
            display_name: "Hamilton".to_owned(),
            seat_limit: 0,
        };
        repository.save_profile(&profile, start()).await.unwrap();
        repository.commit("test").await.unwrap();
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

    /// Returns the row whose id ends the resource name.
    pub(crate) async fn row(&self, name: &str) -> InvitationRow {
        let id = Uuid::parse_str(name.rsplit('/').next().unwrap()).unwrap();
        self.stored(id).await
    }

    /// Stores an invitation. Returns its id.
    pub(crate) async fn invitation(
        &self,
        kind: InvitationKind,
        code: &str,
        change: impl FnOnce(&mut InvitationRow),
    ) -> Uuid {
        let mut row = row(kind, code, &self.app.keys, start());
        change(&mut row);
        let mut repository = self.app.store.write().await.unwrap();
        assert_eq!(
            repository
                .insert_invitations(std::slice::from_ref(&row))
                .await
                .unwrap(),
            [true]
        );
        repository.commit("test").await.unwrap();
        row.invitation.id
    }

    /// Stores an enrollment code with `max_uses` uses.
    pub(crate) async fn code(&self, max_uses: Option<u32>) -> Uuid {
        self.invitation(InvitationKind::EnrollmentCode, CODE, |row| {
            row.invitation.max_uses = max_uses;
        })
        .await
    }

    /// Changes an invitation as staff do.
    pub(crate) async fn change(&self, id: Uuid, change: impl FnOnce(&mut InvitationRow)) {
        let mut repository = self.app.store.write().await.unwrap();
        let mut row = repository.get_invitation(id).await.unwrap().unwrap();
        change(&mut row);
        row.revision += 1;
        assert!(repository.update_invitation(&row).await.unwrap());
        repository.commit("test").await.unwrap();
    }

    /// Resets an invitation to another code, without its fence.
    pub(crate) async fn reset(&self, id: Uuid, code: &str) {
        let keys = Arc::clone(&self.app.keys);
        self.change(id, |row| {
            row.invitation.epoch = row.invitation.epoch.next();
            row.uses_since_epoch = row.invitation.epoch;
            set_secret(row, code, &keys);
        })
        .await;
    }

    pub(crate) async fn stored(&self, id: Uuid) -> InvitationRow {
        self.app
            .store
            .read()
            .await
            .unwrap()
            .get_invitation(id)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn uses(&self, id: Uuid) -> Uses {
        self.stored(id).await.invitation.uses
    }

    /// Returns every redemption, oldest first.
    pub(crate) async fn redemptions(&self) -> Vec<Redemption> {
        let filter = RedemptionFilter {
            place: Place::Organization(organization()),
            invitation_id: None,
            user: None,
            state: None,
            from: None,
            till: None,
        };
        let mut repository = self.app.store.read().await.unwrap();
        let mut all = repository
            .list_redemptions(&filter, None, 1_000)
            .await
            .unwrap();
        all.sort_by_key(|redemption| (redemption.create_time, redemption.id));
        all
    }

    pub(crate) async fn states(&self) -> Vec<RedemptionState> {
        self.redemptions()
            .await
            .iter()
            .map(|redemption| redemption.state)
            .collect()
    }

    pub(crate) fn attempt(&self, name: &str, code: &str, request_id: &str) -> Attempt {
        self.attempt_of(&caller(name), code, request_id)
    }

    pub(crate) fn attempt_of(&self, caller: &Caller, code: &str, request_id: &str) -> Attempt {
        let request = RedeemRequest {
            credential: code.to_owned(),
            request_id: request_id.to_owned(),
            ..RedeemRequest::default()
        };
        Attempt::of_redeem(caller, &request, "", &public_url(), &self.app.keys).unwrap()
    }

    /// Redeems, and waits until T3 is done too.
    pub(crate) async fn redeem(
        &self,
        name: &str,
        code: &str,
        request_id: &str,
    ) -> Result<Redeemed> {
        let result = self
            .app
            .redemptions
            .redeem(self.attempt(name, code, request_id))
            .await;
        self.quiet().await;
        result
    }

    pub(crate) async fn preview(&self, name: &str, code: &str) -> Result<Preview> {
        let caller = caller(name);
        let request = PreviewRedemptionRequest {
            credential: code.to_owned(),
            ..PreviewRedemptionRequest::default()
        };
        let attempt = Attempt::of_preview(&caller, request, &public_url(), &self.app.keys).unwrap();
        let previewed = self.app.redemptions.preview(&caller, attempt).await;
        self.quiet().await;
        previewed
    }

    /// Waits for the work after the answers; new writes may follow.
    pub(crate) async fn quiet(&self) {
        let limit = std::time::Duration::from_secs(10);
        let finished = self.app.writes.finished();
        tokio::time::timeout(limit, finished).await.unwrap();
    }

    pub(crate) fn advance(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    /// Runs statements on the file, behind the service's back.
    pub(crate) async fn tamper(&self, statements: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements))
            .execute(&self.pool().await)
            .await
            .unwrap();
    }

    async fn pool(&self) -> sqlx::SqlitePool {
        let Url::Sqlite(path) = &self.database.url else {
            panic!("it is not a file");
        };
        let url = format!("sqlite://{}", path.display());
        sqlx::SqlitePool::connect(&url).await.unwrap()
    }

    /// Returns the types of all events, oldest first.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        let feed = self.app.store.feed();
        let events = feed.list(&outbox::Scope::Everything, 0, 1_000).await;
        let events = events.unwrap().into_iter();
        events.map(|event| event.event_type).collect()
    }

    /// Lets recovery, the feed or the sweep work once.
    pub(crate) async fn recover(&self) -> Recovered {
        self.app.redemptions.recover_once().await.unwrap()
    }

    pub(crate) async fn follow(&self) -> Followed {
        self.app.redemptions.follow_once().await.unwrap()
    }

    /// Redeems, and returns the reason of the refusal.
    pub(crate) async fn refusal(&self, name: &str, code: &str, request_id: &str) -> ErrorReason {
        let redeemed = self.redeem(name, code, request_id).await;
        redeemed.unwrap_err().reason()
    }

    /// Redeems, and returns the outcome.
    pub(crate) async fn outcome(&self, name: &str, code: &str, request_id: &str) -> Outcome {
        let redeemed = self.redeem(name, code, request_id).await;
        redeemed.unwrap().outcome
    }

    /// Redeems while membership behaves so, and returns the reason of the refusal; then it answers again.
    pub(crate) async fn refusal_while(
        &self,
        mode: Mode,
        name: &str,
        code: &str,
        request_id: &str,
    ) -> ErrorReason {
        self.membership.set(mode);
        let reason = self.refusal(name, code, request_id).await;
        self.membership.set(Mode::Up);
        reason
    }
}

/// Returns a request of a user.
pub(crate) fn by<T>(user: &str, message: T) -> Request<T> {
    let mut caller = caller(user);
    std::any::type_name::<T>().clone_into(&mut caller.method);
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller);
    request
}

/// Returns the reason of a refusal.
pub(crate) fn reason<T>(result: std::result::Result<T, Status>) -> ErrorReason {
    match result {
        Ok(_) => ErrorReason::Unspecified,
        Err(status) => Error::from_status(&status)
            .unwrap_or_else(|| panic!("not one of our reasons: {status}"))
            .reason(),
    }
}

pub(crate) fn caller(name: &str) -> Caller {
    let mut caller = Caller::for_user(user(name));
    "/homeroom.invitations.v1.RedemptionService/Redeem".clone_into(&mut caller.method);
    caller
}

pub(crate) fn platform() -> Caller {
    caller("platform").with_scopes([Scope::ActAs, Scope::Vouch, Scope::ForwardIp])
}

pub(crate) fn person(name: &str) -> User {
    User {
        user: name.to_owned(),
        ..User::default()
    }
}

/// The page size, the page token and the filter of a list.
pub(crate) type Asked<'asked> = (i32, &'asked str, &'asked str);

fn page(
    app: &App,
    method: &str,
    caller: &Caller,
    parent: &str,
    (size, token, filter): Asked<'_>,
) -> Result<PageRequest> {
    let method = method.to_owned();
    let caller = Caller {
        method,
        ..caller.clone()
    };
    rpc::page(&app.paging, &caller, [parent, filter], size, token)
}

/// Lists redemptions as the handler does.
pub(crate) async fn list_redemptions(
    app: &App,
    caller: &Caller,
    place: &Place,
    asked: Asked<'_>,
) -> Result<Page<Redemption>> {
    let page = page(app, "ListRedemptions", caller, &place.to_string(), asked)?;
    let filter = redemption_filter(asked.2)?;
    app.list_redemptions(caller, place.clone(), filter, &page)
        .await
}

/// Lists refused attempts as the handler does.
pub(crate) async fn list_refused_attempts(
    app: &App,
    caller: &Caller,
    parent: Option<&Place>,
    asked: Asked<'_>,
) -> Result<Page<RefusedAttempt>> {
    let of = parent.map(ToString::to_string).unwrap_or_default();
    let page = page(app, "ListRefusedAttempts", caller, &of, asked)?;
    let filter = attempt_filter(asked.2)?;
    app.list_refused_attempts(caller, parent.cloned(), filter, &page)
        .await
}

/// Lists audit entries as the handler does.
pub(crate) async fn list_audit_entries(
    app: &App,
    caller: &Caller,
    place: &Place,
    asked: Asked<'_>,
) -> Result<Page<AuditEntry>> {
    let page = page(app, "ListAuditEntries", caller, &place.to_string(), asked)?;
    let filter = audit_filter(asked.2)?;
    app.list_audit_entries(caller, Some(place.clone()), filter, &page)
        .await
}
