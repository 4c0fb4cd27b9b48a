//! The service without its server: use cases and handlers over a fresh database, a manual clock and a fake membership.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::{ErrorReason, User},
    ids::{OrganizationId, UserId},
    invitations::v1::{
        self as api, PreviewRedemptionRequest, RedeemRequest,
        redemption_service_server::RedemptionService as _,
    },
    names::Place,
};
use homeroom_invitations::{
    app::{App, audit::AuditTrail, list_logs::attempt_filter, secrets::Secrets},
    domain::refused_attempt::RefusedAttempt,
    domain::{
        credential::Credential,
        invitation::{InvitationKind, Uses},
        lock::{Lock, LockPeriod},
        public_url::PublicUrl,
        redemption::{Outcome, RedemptionState},
    },
    grpc::{
        class_code_service::ClassCodeHandlers, enrollment_code_service::EnrollmentCodeHandlers,
        join_url_service::JoinUrlHandlers, redemption_service::RedemptionHandlers,
        token_service::TokenHandlers,
    },
    limiter::{Budgets, Limiter},
    redemption::{
        Redemptions,
        drive::Recovered,
        follow::Followed,
        ledger::{Ledger, Redemption, RedemptionFilter},
        reply::{Preview, Redeemed},
        request::Attempt,
    },
    store::{InvitationRow, OrganizationProfile, Store},
};
use homeroom_kit::{
    Error, Result,
    auth::{Caller, Scope},
    clock::ManualClock,
    keys::KeyRing,
    outbox,
    paging::Paging,
    random::{SharedRandomness, SystemRandomness, new_id_at},
    secret::SecretText,
    tasks::Writes,
};
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    databases::Database,
    fake_membership::{FakeMembership, Mode},
};

/// The class of most tests.
pub(crate) const CLASS: &str = "organizations/hamilton/classes/bio-101";
pub(crate) const CODE: &str = "HAMILTON-BIO101";
pub(crate) const CLASS_CODE: &str = "ABCD-EFGH-JKMN";
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

/// Notes an organization, as membership tells of it; its prefix is its id.
pub(crate) async fn save_profile(store: &Store, organization: &OrganizationId) {
    let profile = OrganizationProfile {
        organization: organization.clone(),
        code_prefix: organization.as_str().to_ascii_uppercase(),
        display_name: "Hamilton".to_owned(),
        seat_limit: 0,
    };
    let mut repository = store.write().await.unwrap();
    repository.save_profile(&profile, start()).await.unwrap();
    repository.commit("test").await.unwrap();
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

    /// Makes a world with the default budgets, changed so.
    pub(crate) async fn limited(change: impl FnOnce(&mut Budgets)) -> Self {
        let mut budgets = Budgets::default();
        change(&mut budgets);
        Self::with_budgets(budgets).await
    }

    pub(crate) async fn with_budgets(budgets: Budgets) -> Self {
        Self::over(Database::sqlite().await, budgets).await
    }

    /// Makes a world on PostgreSQL, where transactions conflict.
    pub(crate) async fn on_postgres() -> Self {
        Self::over(Database::postgres().await, unlimited()).await
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
        save_profile(&app.store, &organization()).await;
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
        let inserted = repository.insert_invitations(std::slice::from_ref(&row));
        assert_eq!(inserted.await.unwrap(), [true]);
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

    /// Stores the class code.
    pub(crate) async fn class_code(&self) -> Uuid {
        self.invitation(InvitationKind::ClassCode, CLASS_CODE, |_| {})
            .await
    }

    /// Stores the class code, which staff have locked.
    pub(crate) async fn locked_class_code(&self) -> Uuid {
        let id = self.class_code().await;
        let lock = |row: &mut InvitationRow| {
            row.invitation.lock = row.invitation.lock.map(|lock| lock.locked(start()));
        };
        self.change(id, lock).await;
        id
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
        let mut repository = self.app.store.read().await.unwrap();
        repository.get_invitation(id).await.unwrap().unwrap()
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
        let all = repository.list_redemptions(&filter, None, 1_000).await;
        let mut all = all.unwrap();
        all.sort_by_key(|redemption| (redemption.create_time, redemption.id));
        all
    }

    pub(crate) async fn states(&self) -> Vec<RedemptionState> {
        let all = self.redemptions().await.into_iter();
        all.map(|redemption| redemption.state).collect()
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
        self.redeem_by(self.attempt(name, code, request_id)).await
    }

    pub(crate) async fn redeem_by(&self, attempt: Attempt) -> Result<Redeemed> {
        self.redeem_all([attempt]).await.remove(0)
    }

    /// Redeems in one batch, and waits likewise.
    pub(crate) async fn redeem_all(
        &self,
        attempts: impl Into<Vec<Attempt>>,
    ) -> Vec<Result<Redeemed>> {
        let redeemed = self.app.redemptions.redeem_many(attempts.into()).await;
        self.quiet().await;
        redeemed
    }

    /// Redeems in a task of its own.
    pub(crate) fn spawn(&self, attempt: Attempt) -> JoinHandle<Result<Redeemed>> {
        let app = self.app.clone();
        tokio::spawn(async move { app.redemptions.redeem_many(vec![attempt]).await.remove(0) })
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

    /// Returns every refused attempt, newest first.
    pub(crate) async fn refused_attempts(&self) -> Vec<RefusedAttempt> {
        self.quiet().await;
        let operator = caller("operator").with_scopes([Scope::Platform]);
        let page = self.app.paging.parse(1_000, "", "all").unwrap();
        let filter = attempt_filter("").unwrap();
        let listed = self
            .app
            .list_refused_attempts(&operator, None, filter, &page);
        listed.await.unwrap().items
    }

    pub(crate) fn advance(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    /// Runs statements on the database, behind the service's back.
    pub(crate) async fn tamper(&self, statements: &str) {
        self.database.run(statements).await;
    }

    /// Returns the types of all events, oldest first.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        let events = self.app.store.events(&outbox::Scope::Everything, 0, 1_000);
        let events = events.await.unwrap().into_iter();
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
}

/// Returns the outcome, or the reason of the refusal.
pub(crate) fn told(answer: Result<Redeemed>) -> std::result::Result<Outcome, ErrorReason> {
    let outcome = answer.map(|redeemed| redeemed.outcome);
    outcome.map_err(|error| error.reason())
}

/// Redeems while membership behaves so, in vain; then membership answers again.
pub(crate) async fn redeem_in_vain(
    world: &World,
    mode: Mode,
    name: &str,
    code: &str,
    request_id: &str,
) {
    world.membership.set(mode);
    let unknown = ErrorReason::MembershipUnavailable;
    assert_refused(world, name, code, request_id, unknown).await;
    world.membership.set(Mode::Up);
}

/// Redeems, and checks the outcome.
pub(crate) async fn assert_outcome(
    world: &World,
    name: &str,
    code: &str,
    request_id: &str,
    expected: Outcome,
) {
    let answer = told(world.redeem(name, code, request_id).await);
    assert_eq!(answer, Ok(expected), "{name} by {code}");
}

/// Redeems, and checks the reason of the refusal.
pub(crate) async fn assert_refused(
    world: &World,
    name: &str,
    code: &str,
    request_id: &str,
    expected: ErrorReason,
) {
    let answer = told(world.redeem(name, code, request_id).await);
    assert_eq!(answer, Err(expected), "{name} by {code}");
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

/// Lists redemptions of the organization, as its staff.
pub(crate) async fn list_redemptions(
    world: &World,
    filter: &str,
    page_token: &str,
) -> std::result::Result<Vec<api::Redemption>, Status> {
    let request = api::ListRedemptionsRequest {
        parent: Place::Organization(organization()).to_string(),
        filter: filter.to_owned(),
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let handlers = RedemptionHandlers::new(world.app.clone());
    let listed = handlers.list_redemptions(by("tess", request)).await?;
    Ok(listed.into_inner().redemptions)
}
