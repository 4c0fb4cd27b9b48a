//! The rows that a redemption reads do not grow with the tables: on a million rows each of its statements uses an
//! index, whether PostgreSQL plans it for its parameters or generically.

use std::collections::HashMap;

use chrono::TimeDelta;
use homeroom_api::{
    ids::{ClassId, OrganizationId},
    names::{ClassName, Place},
};
use homeroom_invitations::{
    domain::invitation::InvitationKind,
    store::{self, RedemptionFilter},
};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    databases::{Database, options},
    world::{World, unlimited, user},
};

/// The number of redemptions of several years.
const MANY_ROWS: u32 = 1_000_000;
/// The maximum number of invitations and of request ids.
const FEWER_ROWS_MAX: u32 = 200_000;
/// A number of rows so small that it would be cheaper to read them all than to look 100 up.
const SOME_ROWS: u32 = 20_000;
/// A number of rows so small that PostgreSQL reads them all unless each condition has its index.
const FEW_ROWS: u32 = 50;
/// The number of redemptions that are made under each kind of plan.
const REDEMPTIONS: u32 = 12;
/// The number of classes, each of an organization of its own, that share [`SOME_ROWS`] redemptions: so many that
/// PostgreSQL would rather collect the few that it expects of one class, and sort them, than read them in order.
const LARGE_CLASSES: u32 = 200;
/// A number of classes so small that PostgreSQL would rather walk through the redemptions of all.
const FEW_CLASSES: u32 = 5;
/// The number of rows on one page.
const PAGE_ROWS: u32 = 20;
/// The maximum number of rows of one table that a redemption reads, including its settlement and its share of the
/// workers' runs.
const ROWS_READ_PER_REDEMPTION_MAX: i64 = 30;

/// Fills the tables with `$ROWS` redemptions in 10,000 organizations of 10 classes.
const FILL: &str = "
    SET session_replication_role = replica;
    INSERT INTO organization_profiles (organization_id, code_prefix, display_name, seat_limit, update_time)
  SELECT 'org-' || n, 'PREFIX' || n, '', 0, 0
        FROM generate_series(1, 10000) n;
    INSERT INTO invitations (invitation_id, kind, organization_id, class_id, epoch, fence_epoch,
        uses_since_epoch, lookup_mac, sealed, key_version, enabled, uses_committed, uses_reserved, uses_queued,
        assigned_email, external_id, display_name, email_domains, allow_rejoin, strength_bits, words,
        unlock_time, issue_time, revision, create_time, update_time)
        SELECT lpad(n::text, 32, '0')::uuid::text, 'class_token', 'org-' || n % 10000, 'class-' || n % 10, 1, 1, 1,
        sha256(n::text::bytea), '', 1, true, 1, 0, 0, '', '', '', '[]', false, 0, 0, 0, 0, 1, 0, 0
        FROM generate_series(1, $FEWER) n;
    INSERT INTO redemptions (redemption_id, invitation_id, invitation, kind, epoch, organization_id, class_id,
        user_id, display_name, email, external_id, route, queue_cause, refuse_if_unknown, issue_time, allow_rejoin,
        holds_use, state, outcome, refuse_reason, join_request, tries, next_try_time, create_time, settle_time)
        SELECT lpad(n::text, 32, '0')::uuid::text, lpad((n % $FEWER + 1)::text, 32, '0')::uuid::text, '', 'class_token', 1,
        'org-' || n % 10000, 'class-' || n % 10, 'person-' || n, '', '', '', 'ADMIT_AT_ONCE', '', '', 0, false, true,
        CASE n % 100 WHEN 0 THEN 'QUEUED' ELSE 'COMMITTED' END, '', '', '', 0, 1800001800000000, 0, 0
        FROM generate_series(1, $ROWS) n;
    INSERT INTO redemption_request_ids (subject, acting_user, method, request_id, body_mac, redemption_id, create_time)
  SELECT 'platform', 'person-' || n, 'Redeem', n::text, '',
        lpad(n::text, 32, '0')::uuid::text, 1800000000000000 FROM generate_series(1, $FEWER) n;
    INSERT INTO events (event_id, position, event_type, organization_id, subject, actor, notify, data, create_time)
        SELECT n::text, n, 'redemption.committed', 'org-' || n % 10000, '', '', '[]', '{}', 0
        FROM generate_series(1, 100000) n;
";

impl Database {
    /// Returns how each table that grows has been read, full scans and rows, once every session has reported it; then
    /// opens the database anew.
    async fn reads(&mut self) -> HashMap<String, (i64, i64)> {
        self.store.close().await;
        self.until_no_session_is_left().await;
        let mut connection = PgConnection::connect(self.postgres_url()).await.unwrap();
        let reads = sqlx::query_as(
            "SELECT relname::text, seq_scan, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables \
             WHERE relname IN ('invitations', 'redemptions', 'redemption_request_ids', 'organization_profiles', 'events')",
        );
        let rows: Vec<(String, i64, i64)> = reads.fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        self.store = store::open(&self.url, options(), false).await.unwrap();
        let each = rows.into_iter();
        each.map(|(table, scans, rows)| (table, (scans, rows)))
            .collect()
    }
}

/// Returns a filled database. Its indexes are built at the end, which takes a fraction of the time.
async fn filled(rows: u32) -> Database {
    let database = Database::postgres().await;
    let indexes = "FROM pg_indexes WHERE schemaname = 'public' \
         AND tablename IN ('invitations', 'redemptions', 'redemption_request_ids') \
         AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)";
    let of_indexes = async |what: &str| {
        let query = format!("SELECT {what} {indexes}");
        database.select::<String>(&query).await.join("; ")
    };
    let drop = of_indexes("'DROP INDEX ' || indexname").await;
    let make = of_indexes("indexdef").await;
    let (rows, fewer) = (rows.to_string(), rows.min(FEWER_ROWS_MAX).to_string());
    let fill = FILL.replace("$ROWS", &rows).replace("$FEWER", &fewer);
    let settings = "SET maintenance_work_mem = '256MB'";
    let statements = format!("{settings}; {drop}; {fill}; {make}; ANALYZE");
    database.run(&statements).await;
    database
}

/// Redeems in every way that costs statements, and runs the workers.
async fn redeem(world: &World) {
    let code = "HAMILTON-ROUND";
    world
        .invitation(InvitationKind::EnrollmentCode, code, |row| {
            row.invitation.max_uses = Some(1_000);
        })
        .await;
    for number in 0..REDEMPTIONS {
        let name = format!("new-person-{number}");
        let request_id = Uuid::from_u128(u128::from(number) + 1).to_string();
        world.redeem(&name, code, &request_id).await.unwrap();
        world.redeem(&name, code, &request_id).await.unwrap();
        world.redeem(&name, code, "").await.unwrap();
        world.preview(&name, code).await.unwrap();
        world.recover().await;
        world.app.redemptions.sweep_once().await.unwrap();
        world.follow().await;
    }
    world.advance(TimeDelta::seconds(1));
}

#[tokio::test]
async fn a_redemption_looks_few_rows_up_though_it_could_read_all() {
    reads_few_rows(SOME_ROWS).await;
}

#[tokio::test]
async fn a_redemption_reads_as_few_rows_of_a_million_as_of_ten() {
    reads_few_rows(MANY_ROWS).await;
}

#[tokio::test]
async fn a_page_of_a_large_class_reads_as_many_redemptions_as_it_shows() {
    reads_what_it_shows(LARGE_CLASSES).await;
}

#[tokio::test]
async fn a_page_of_one_of_few_organizations_reads_no_other_ones_redemptions() {
    reads_what_it_shows(FEW_CLASSES).await;
}

async fn reads_what_it_shows(classes: u32) {
    // Given large classes, each with redemptions by one invitation and of one person, between those of all others.
    let mut database = filled(SOME_ROWS).await;
    let together = format!(
        "UPDATE redemptions SET organization_id = 'org-' || n, class_id = 'class-1', user_id = 'person-' || n,
        invitation_id = lpad(n::text, 32, '0')::uuid::text, state = 'COMMITTED'
        FROM (SELECT redemption_id AS id, right(redemption_id, 12)::bigint % {classes} + 1 AS n FROM redemptions)
        AS numbered WHERE redemption_id = id; ANALYZE redemptions"
    );
    database.run(&together).await;
    let rows_before = database.reads().await["redemptions"].1;

    // When the first and the middle page of each list are read.
    let organization = OrganizationId::parse("org-1").unwrap();
    let class = ClassId::parse("class-1").unwrap();
    let all = RedemptionFilter {
        place: Place::Organization(organization.clone()),
        invitation_id: None,
        user: None,
        state: None,
        from: None,
        till: None,
    };
    let class = Place::Class(ClassName {
        organization,
        class,
    });
    let filters = [
        RedemptionFilter {
            place: class,
            ..all.clone()
        },
        RedemptionFilter {
            invitation_id: Some(Uuid::from_u128(1)),
            ..all.clone()
        },
        RedemptionFilter {
            user: Some(user("person-1")),
            ..all.clone()
        },
        all,
    ];
    let middle = Uuid::parse_str(&format!("{:0>32}", SOME_ROWS / 2)).unwrap();
    let mut session = database.store.read().await.unwrap();
    let mut shown = 0;
    for filter in &filters {
        for before in [None, Some(middle)] {
            let page = session.list_redemptions(filter, before, PAGE_ROWS).await;
            shown += i64::try_from(page.unwrap().len()).unwrap();
        }
    }
    session.release();

    // Then only rows that a page shows were read.
    assert_eq!(shown, 8 * i64::from(PAGE_ROWS));
    let rows = database.reads().await["redemptions"].1 - rows_before;
    assert_eq!(rows, shown);
}

#[tokio::test]
async fn b4_a_new_code_is_looked_up_among_all_by_indexes() {
    let mut database = filled(FEW_ROWS).await;
    let before = database.reads().await["invitations"];
    let mut session = database.store.read().await.unwrap();
    let found = session.find_all_by_lookup_macs(&[[1; 32], [2; 32]]).await;
    assert!(found.unwrap().is_empty());
    session.release();
    assert_eq!(database.reads().await["invitations"], before);
}

async fn reads_few_rows(of: u32) {
    let mut database = filled(of).await;
    let before = database.reads().await;
    let world = World::over(database, unlimited()).await;
    redeem(&world).await;
    let mut database = world.database;
    for (table, (scans, rows)) in database.reads().await {
        let (scans_before, rows_before) = before[&table];
        let (scans, rows) = (scans - scans_before, rows - rows_before);
        assert_eq!(scans, 0, "{table} is read from end to end");
        assert!(
            rows <= i64::from(REDEMPTIONS) * ROWS_READ_PER_REDEMPTION_MAX,
            "{rows} rows of {table} are read"
        );
    }
}
