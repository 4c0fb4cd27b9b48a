//! The service's use cases over a fresh SQLite file, a manual clock and a fake membership.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::User,
    ids::{ClassId, OrganizationId, UserId},
    invitations::v1::{PreviewRedemptionRequest, RedeemRequest},
    names::Place,
};
use homeroom_invitations::{
    app::{App, audit::AuditTrail, secrets::Secrets},
    domain::{
        credential::Credential,
        invitation::{Epoch, Invitation, InvitationKind, Standing, Uses},
        lock::{Lock, LockPeriod},
        public_url::PublicUrl,
        redemption::RedemptionState,
    },
    limiter::{Budgets, memory::MemoryLimiter},
    redemption::{
        Redemptions,
        ledger::{Ledger, Redemption, RedemptionFilter},
        reply::{Preview, Redeemed},
        request::Attempt,
    },
    store::{InvitationRow, OrganizationProfile},
};
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    clock::ManualClock,
    keys::KeyRing,
    paging::Paging,
    random::{SystemRandomness, new_id_at},
    secret::SecretText,
    tasks::Writes,
};
use uuid::Uuid;

use crate::{database::TestDatabase, fake_membership::FakeMembership};

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
    Place::new(organization(), Some(ClassId::parse("bio-101").unwrap()))
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
    let invitation = Invitation {
        id: new_id_at(now, &SystemRandomness),
        kind,
        place: class(),
        epoch: Epoch::FIRST,
        standing: Standing::On,
        valid_from: None,
        valid_till: None,
        max_uses: None,
        uses: Uses::default(),
        assigned_email: None,
        external_id: None,
        email_domains: Vec::new(),
        lock: (kind == InvitationKind::ClassCode).then(|| Lock::open(now, LockPeriod::default())),
        issue_time: now,
        allow_rejoin: false,
    };
    let mut row = InvitationRow {
        invitation,
        fence_epoch: Epoch::FIRST,
        uses_since_epoch: Epoch::FIRST,
        secret: None,
        enabled: true,
        revoke_time: None,
        delete_time: None,
        display_name: String::new(),
        strength_bits: 0,
        words: 0,
        revision: 1,
        create_time: now,
        update_time: now,
    };
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

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) membership: Arc<FakeMembership>,
    database: TestDatabase,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_budgets(unlimited()).await
    }

    /// Makes a world on PostgreSQL, where transactions conflict; [`World::drop_it`] must drop it.
    pub(crate) async fn on_postgres() -> Self {
        Self::over(TestDatabase::postgres().await, unlimited()).await
    }

    pub(crate) async fn drop_it(self) {
        self.database.drop_it().await;
    }

    pub(crate) fn into_database(self) -> TestDatabase {
        self.database
    }

    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    pub(crate) async fn with_budgets(budgets: Budgets) -> Self {
        Self::over(TestDatabase::sqlite().await, budgets).await
    }

    pub(crate) async fn over(database: TestDatabase, budgets: Budgets) -> Self {
        let clock = Arc::new(ManualClock::new(start()));
        let membership = Arc::new(FakeMembership::default());
        let keys = Arc::new(keys());
        let writes = Writes::new();
        let redemptions = Redemptions::new(
            Ledger {
                store: Arc::clone(database.store()),
                clock: clock.clone(),
                random: Arc::new(SystemRandomness),
            },
            membership.clone(),
            Arc::new(MemoryLimiter::new(budgets, clock.clone())),
            Arc::clone(&keys),
            writes.clone(),
        );
        let app = App {
            redemptions: Arc::new(redemptions),
            store: Arc::clone(database.store()),
            clock: clock.clone(),
            random: Arc::new(SystemRandomness),
            keys: Arc::clone(&keys),
            membership: membership.clone(),
            writes,
            paging: Paging::new(keys),
            public_url: public_url(),
            audit: AuditTrail::start(Arc::clone(database.store())),
        };
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
            app: Arc::new(app),
            clock,
            membership,
            database,
        }
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
        let url = format!("sqlite://{}", self.database.file().display());
        sqlx::SqlitePool::connect(&url).await.unwrap()
    }

    /// Returns the types of all events, in their order.
    pub(crate) async fn event_types(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT event_type FROM events ORDER BY sequence")
            .fetch_all(&self.pool().await)
            .await
            .unwrap()
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
