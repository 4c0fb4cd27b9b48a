//! Rows corrupted by hand, one kind at a time: the auditor names the invariant and the row.

use crate::databases::{Databases, Engine, In};

/// A corrupted row that breaks this invariant.
struct Corruption {
    sql: &'static str,
    which: In,
    /// The auditor's message.
    what: &'static str,
    /// The row that the auditor names.
    row: &'static str,
}

const fn membership(sql: &'static str, what: &'static str, row: &'static str) -> Corruption {
    Corruption {
        sql,
        which: In::Membership,
        what,
        row,
    }
}

const fn invitations(sql: &'static str, what: &'static str, row: &'static str) -> Corruption {
    Corruption {
        sql,
        which: In::Invitations,
        what,
        row,
    }
}

/// Applies each corruption by itself to a healthy school.
async fn each(engine: Engine, invariant: &str, corruptions: &[Corruption]) {
    for corruption in corruptions {
        let databases = Databases::school(engine).await;
        databases.run(corruption.which, corruption.sql).await;
        let audited = databases.audit(&["--json"]);
        let json = audited.json();
        let text = audited.text();
        assert_eq!(audited.status(), 1, "{}: {text}", corruption.sql);
        let named = json["invariants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|found| found["invariant"] == invariant && found["holds"] == false)
            .flat_map(|found| found["findings"].as_array().unwrap())
            .any(|finding| {
                let rows = finding["rows"].as_array().unwrap();
                let row = |row: &serde_json::Value| {
                    row["subject"].as_str().unwrap().ends_with(corruption.row)
                };
                finding["severity"] == "VIOLATION"
                    && finding["what"] == corruption.what
                    && finding["count"].as_u64().unwrap() > 0
                    && rows.iter().any(row)
            });
        assert!(named, "{invariant} {}: {text}", corruption.sql);
    }
}

#[rustfmt::skip]
const I1: &[Corruption] = &[
    membership("UPDATE organization_seats SET seats_used = 2", "seats_used is not the number of Students", "organizations/hamilton"),
    membership("UPDATE organization_seats SET requests_waiting = 0", "requests_waiting is not the number of PENDING requests", "organizations/hamilton"),
    membership("UPDATE organization_seats SET seat_limit = 2", "more seats are used than were licensed when a Student joined", "organizations/hamilton"),
    membership("UPDATE organizations SET revision = 2; UPDATE organization_seats SET seat_limit = 2", "more seats are used than were licensed when a Student joined", "organizations/hamilton"),
];

#[rustfmt::skip]
const I2: &[Corruption] = &[
    membership("INSERT INTO class_members SELECT organization_id, class_id, 'max', role, join_time, '', '', 'tim', 'ADDED', 1 FROM class_members WHERE user_id = 'eve'", "a class member is no member of the organization", "organizations/hamilton/classes/biology/members/max"),
    membership("UPDATE classes SET owner_user_id = 'ada'", "a class has not one OWNER, the one that it names", "organizations/hamilton/classes/biology"),
    membership("UPDATE class_members SET role = 'OWNER' WHERE user_id = 'eve'", "a class has not one OWNER, the one that it names", "organizations/hamilton/classes/biology"),
    membership("UPDATE classes SET delete_time = {now}", "a class has a member but does not exist", "/members/eve"),
];

#[rustfmt::skip]
const I3: &[Corruption] = &[
    invitations("UPDATE invitations SET uses_committed = 0 WHERE kind = 'join_url'", "the counts of uses are not those of the redemptions", "0000000000a2"),
    invitations("UPDATE invitations SET max_uses = 1 WHERE kind = 'join_url'", "more uses are held than were allowed when one was reserved", "0000000000a2"),
    invitations("UPDATE redemptions SET holds_use = false WHERE user_id = 'pat'", "let in or queued without a use of the person's", "000000000004"),
    invitations("UPDATE redemptions SET user_id = 'pat', holds_use = false WHERE user_id = 'kim'; UPDATE redemptions SET state = 'RELEASED' WHERE user_id = 'pat' AND holds_use", "let in or queued without a use of the person's", "000000000002"),
    invitations("DROP INDEX redemptions_living; UPDATE redemptions SET user_id = 'pat', state = 'QUEUED' WHERE user_id = 'dan'", "a person has two living redemptions of an invitation", "0000000000a2"),
];

#[rustfmt::skip]
const I4: &[Corruption] = &[
    invitations("UPDATE redemptions SET create_time = {past} WHERE state = 'RESERVED'", "stuck: RESERVED for too long", "000000000009"),
    invitations("UPDATE redemptions SET state = 'QUEUED' WHERE user_id = 'kim'", "stuck: QUEUED, though its join request has ended", "000000000002"),
    invitations("UPDATE redemptions SET settle_time = {now} WHERE state = 'RESERVED'", "a redemption's state and settle_time do not agree", "000000000009"),
];

#[rustfmt::skip]
const I5: &[Corruption] = &[
    membership("UPDATE admissions SET epoch = 1 WHERE user_id = 'fay'", "let in below a fence after it went up", "000000000008"),
    membership("UPDATE fences SET epoch = 1 WHERE epoch = 2", "a fence was confirmed that is not up", "classCode"),
    membership("UPDATE fences SET epoch = 3 WHERE epoch = 2", "a fence is above its invitation's epoch", "classCode"),
    membership("UPDATE admissions SET epoch = 2 WHERE outcome = 'STALE_EPOCH'", "answered STALE_EPOCH though no fence was above it", "000000000007"),
];

/// Found without a clock: rows are in the order of their commits.
#[rustfmt::skip]
const I5_ON_SQLITE: &[Corruption] = &[membership(
    "UPDATE admissions SET epoch = 1, create_time = {past} WHERE user_id = 'fay'",
    "let in after the same epoch had been answered STALE_EPOCH",
    "000000000008",
)];

#[rustfmt::skip]
const I6: &[Corruption] = &[
    membership("DELETE FROM join_requests WHERE user_id = 'dan'", "a QUEUED admission has no join request", "000000000003"),
    membership("DELETE FROM join_requests WHERE user_id = 'dan'", "an event tells of a join request that is not there", "0000000000f3"),
    membership("DELETE FROM admissions WHERE user_id = 'pat'", "a join request has no QUEUED admission", "0000000000f4"),
    membership("INSERT INTO events (event_id, event_type, organization_id, class_id, subject, actor, notify, data, create_time) SELECT 'twice', 'join_request.approved', organization_id, class_id, subject, actor, notify, data, create_time FROM events WHERE event_id = 'e6'", "a join request's events do not tell its life once", "0000000000f3"),
    membership("DELETE FROM events WHERE event_id = 'e3'", "a join request's events do not tell its life once", "0000000000f2"),
    membership("UPDATE events SET data = 'poison' WHERE event_id = 'e6'", "an event of a join request's end does not name its redemption", "0000000000f3"),
    membership("UPDATE join_requests SET decided_by = '' WHERE user_id = 'dan'", "a join request's state and decision do not agree", "0000000000f3"),
    membership("INSERT INTO organization_members (organization_id, user_id, display_name, email, external_id, role, join_time, invitation, redemption, approved_by, method, revision) SELECT organization_id, 'pat', '', '', '', 'TEACHER', join_time, '', '', 'ada', 'ADDED', 1 FROM organization_members WHERE user_id = 'tim'; INSERT INTO class_members SELECT organization_id, class_id, 'pat', 'CO_TEACHER', join_time, '', '', 'tim', 'ADDED', 1 FROM class_members WHERE user_id = 'tim'", "a person waits for what they are in", "0000000000f4"),
];

#[rustfmt::skip]
const I7: &[Corruption] = &[
    invitations("UPDATE redemptions SET state = 'RELEASED' WHERE user_id = 'fay'", "settled otherwise than membership answered", "000000000008"),
    invitations("UPDATE redemptions SET state = 'RELEASED', settle_time = {now} WHERE user_id = 'gus'", "settled without membership's word", "000000000009"),
    invitations("UPDATE redemptions SET state = 'RELEASED' WHERE user_id = 'kim'", "settled otherwise than its join request ended", "000000000002"),
    invitations("UPDATE redemptions SET state = 'COMMITTED' WHERE user_id = 'pat'", "settled otherwise than its join request ended", "000000000004"),
    invitations("UPDATE redemptions SET outcome = 'ADMITTED' WHERE user_id = 'zed'", "the caller's outcome is not what membership answered", "000000000005"),
    invitations("DELETE FROM redemptions WHERE user_id = 'zed'", "an admission has no redemption", "000000000005"),
    membership("DELETE FROM events WHERE event_id = 'e1'", "ADMITTED, but nobody joined", "000000000001"),
];

#[rustfmt::skip]
const I8: &[Corruption] = &[
    invitations("UPDATE redemptions SET organization_id = 'lincoln' WHERE user_id = 'zed'", "a redemption and its admission are not of the same place, person, invitation and epoch", "000000000005"),
    invitations("UPDATE redemptions SET class_id = 'chemistry' WHERE user_id = 'zed'", "a redemption is not of its invitation's organization, class, kind or epochs", "000000000005"),
    invitations("UPDATE redemptions SET invitation = 'organizations/lincoln/inviteToken' WHERE user_id = 'gus'", "a redemption names another organization's invitation, or another invitation", "000000000009"),
    membership("UPDATE admissions SET user_id = 'ned' WHERE user_id = 'fay'", "a member of a class came in by a redemption that says otherwise", "/members/fay"),
    membership("UPDATE organization_members SET invitation = 'organizations/lincoln/inviteToken' WHERE user_id = 'fay'", "a member of an organization came in by a redemption that says otherwise", "/members/fay"),
    invitations("UPDATE redemptions SET join_request = 'organizations/hamilton/joinRequests/00000000-0000-7000-8000-0000000000f3' WHERE user_id = 'pat'", "a redemption names another join request than its admission", "000000000004"),
    // An erasure that was done in one service only (R13).
    membership("UPDATE admissions SET user_id = 'erased-1' WHERE user_id = 'zed'", "a redemption and its admission are not of the same place, person, invitation and epoch", "000000000005"),
    invitations("INSERT INTO erasures (pseudonym, user_id, particulars, actor, create_time, done_time) VALUES ('erased-1', 'zed', '[]', '', 1, 2)", "an erasure is done and still tells of somebody", "erased-1"),
];

#[tokio::test]
async fn i5_people_let_in_below_a_fence_whatever_the_clock_said() {
    each(Engine::Sqlite, "I5", I5_ON_SQLITE).await;
}

on_both_engines! {
    i1_seats_that_are_not_the_students: I1,
    i2_memberships_that_do_not_fit: I2,
    i3_uses_that_are_not_the_redemptions: I3,
    i4_reservations_that_do_not_end: I4,
    i5_people_let_in_below_a_fence: I5,
    i6_requests_lost_or_decided_twice: I6,
    i7_answers_that_changed: I7,
    i8_rows_that_cross_organizations: I8,
}
