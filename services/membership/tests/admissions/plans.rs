//! The rows that PostgreSQL reads for admissions in a database of a million rows, by its own counters, whatever the
//! statements are, with plans made for the values and with generic plans.

use std::collections::BTreeMap;

use homeroom_membership::admission::admit::AdmitRequest;
use sqlx::{Connection as _, PgConnection};

use crate::{
    harness::{School, organization},
    support::Database,
};

/// A large school beside the one of the tests, and schools of every size, a million rows in all.
const SEED: &str = "
INSERT INTO organizations (organization_id, display_name, code_prefix, labels, revision, create_time, update_time,
  delete_time)
  SELECT 'org-' || i, 'School', NULL, '{}', 1, 0, 0, NULL
  FROM generate_series(1, 20000) i;
INSERT INTO organization_seats (organization_id, seat_limit, seats_used, requests_waiting)
  SELECT 'org-' || i, 0, 0, 0 FROM generate_series(1, 20000) i;
INSERT INTO classes (organization_id, class_id, display_name, owner_user_id, state, labels, revision,
  create_time, update_time, delete_time)
  SELECT 'org-' || i, 'bio', 'Biology', 'tom', 'ACTIVE', '{}', 1, 0, 0, NULL
  FROM generate_series(1, 20000) i;
INSERT INTO organization_members (organization_id, user_id, display_name, email, external_id, role, join_time,
  invitation, redemption, approved_by, method, revision)
  SELECT CASE WHEN i <= 50000 THEN 'hamilton' ELSE 'org-' || i % 20000 + 1 END,
  'user-' || i, 'U', 'user-' || i || '@x.example', '', 'STUDENT', 0, '', '', '', 'CLASS_CODE', 1
  FROM generate_series(1, 220000) i;
INSERT INTO class_members (organization_id, class_id, user_id, role, join_time, invitation, redemption,
  approved_by, method, revision)
  SELECT organization_id,
  CASE organization_id WHEN 'hamilton' THEN 'bio-101' ELSE 'bio' END, user_id, 'STUDENT', 0, '', '', '',
  'CLASS_CODE', 1 FROM organization_members WHERE user_id LIKE 'user-%';
INSERT INTO admissions (redemption_id, organization_id, class_id, user_id, invitation, epoch, outcome,
  refuse_reason, request_id, create_time)
  SELECT md5(user_id)::uuid::text, organization_id, 'bio', user_id, '', 0, 'ADMITTED',
  '', '', 0 FROM organization_members WHERE user_id LIKE 'user-%';
INSERT INTO join_requests (organization_id, class_id, request_id, user_id, display_name, email, external_id,
  state, cause, invitation, redemption, method, decide_note, decided_by, create_time,
  decide_time, expire_time)
  SELECT CASE WHEN i <= 50000 THEN 'hamilton' ELSE 'org-' || i % 20000 + 1 END,
  CASE WHEN i <= 50000 THEN 'bio-101' ELSE 'bio' END, md5(i::text)::uuid::text, 'asker-' || i, '', '', '',
  CASE WHEN i % 2 = 0 THEN 'PENDING' ELSE 'DENIED' END, 'JOIN_URL', '', '', 'JOIN_URL', '', '', 0, 0,
  9000000000000000 FROM generate_series(1, 120000) i;
INSERT INTO fences (invitation, epoch, update_time)
  SELECT 'organizations/org-' || i % 20000 + 1 || '/inviteToken/' || i, 0, 0
  FROM generate_series(1, 120000) i;
INSERT INTO removals (organization_id, class_id, user_id, remove_time)
  SELECT 'org-' || i % 20000 + 1, 'bio', 'gone-' || i, 0
  FROM generate_series(1, 60000) i;
ANALYZE";

/// The tables that grow.
const GROWING: &[&str] = &[
    "organizations",
    "organization_seats",
    "classes",
    "organization_members",
    "class_members",
    "join_requests",
    "admissions",
    "fences",
    "removals",
];

/// Maximum number of rows of one table that one redemption may read: each is looked up by its key a few times, by the
/// locks, the facts and the checks of foreign keys.
const ROWS_PER_REDEMPTION_MAX: i64 = 8;

/// The number of redemptions in one batch.
const BATCH: usize = 60;
/// More batches than a connection plans for their values before it may make a generic plan.
const BATCHES: usize = 8;

#[tokio::test]
async fn admissions_read_what_they_are_asked_for_of_a_million_rows() {
    let database = Database::postgres().await;
    let school = School::on(&database).await;
    database.run(SEED).await;
    school.app.store.close().await;
    let before = reads(&database).await;
    let school = School::open(&database, 0).await;
    // When people are admitted, queued and refused, one by one and together, and answered again
    for number in 0..BATCHES {
        let mut batch: Vec<_> = (0..BATCH)
            .map(|row| redemption(&school, &format!("{number}-{row}"), row))
            .collect();
        batch.extend(batch.clone());
        let alone = redemption(&school, &format!("{number}"), number);
        for row in school.admit_all(&batch).await {
            row.unwrap();
        }
        school.admit(&alone).await;
        school.admit(&alone).await;
    }
    school.app.store.close().await;
    let count = 2 * BATCHES * (BATCH + 1);
    // Then every table was read by its keys, in proportion to the number of redemptions.
    let after = reads(&database).await;
    for table in GROWING {
        let scans = after[*table].scans - before[*table].scans;
        assert_eq!(scans, 0, "{table} was read from end to end");
        let rows = after[*table].rows - before[*table].rows;
        let most = i64::try_from(count).unwrap() * ROWS_PER_REDEMPTION_MAX;
        assert!(
            rows <= most,
            "{rows} rows of {table} for {count} redemptions"
        );
    }
}

/// Returns one redemption of each kind in turn: into the queue, to the organization, of a member, to the class.
fn redemption(school: &School, user: &str, number: usize) -> AdmitRequest {
    match number % 4 {
        0 => school.joining(user),
        1 => school.redemption_at(&organization(), user),
        2 => school.redemption(&format!("user-{number}")),
        _ => school.redemption(user),
    }
}

#[derive(Clone, Copy)]
struct Reads {
    scans: i64,
    rows: i64,
}

/// Returns how the tables were read so far, once every session has reported its counters.
async fn reads(database: &Database) -> BTreeMap<String, Reads> {
    database.until_no_session_is_left().await;
    let mut connection = PgConnection::connect(database.postgres_url())
        .await
        .unwrap();
    let reads = sqlx::query_as(
        "SELECT t.relname::text, t.seq_scan, (t.seq_tup_read + sum(i.idx_tup_read))::bigint \
         FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid) \
         GROUP BY t.relid, t.relname, t.seq_scan, t.seq_tup_read",
    );
    let rows: Vec<(String, i64, i64)> = reads.fetch_all(&mut connection).await.unwrap();
    let read = |(table, scans, rows)| (table, Reads { scans, rows });
    rows.into_iter().map(read).collect()
}
