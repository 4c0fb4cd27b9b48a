//! Checks of membership's database by itself: I1, I2, I5, I7 and I8.

use homeroom_kit::database::Engine;

use super::{
    check::{Check, Count, Weight},
    report::Invariant,
};

/// Selects the resource name of a row's organization or class.
macro_rules! place {
    ($row:literal) => {
        concat!(
            "'organizations/' || ",
            $row,
            ".organization_id || CASE WHEN ",
            $row,
            ".class_id = '' THEN '' ELSE '/classes/' || ",
            $row,
            ".class_id END"
        )
    };
}
pub(crate) use place;

macro_rules! over_the_limit {
    () => {
        "SELECT 'organizations/' || s.organization_id AS subject, 'licensed ' || s.seat_limit || ', Students ' \
         || m.students AS detail FROM organization_seats s \
         JOIN organizations o ON o.organization_id = s.organization_id \
         JOIN (SELECT organization_id, count(*) AS students, max(join_time) AS last_join \
         FROM organization_members WHERE role = 'STUDENT' GROUP BY organization_id) m \
         ON m.organization_id = s.organization_id \
         WHERE s.seat_limit > 0 AND m.students > s.seat_limit "
    };
}

macro_rules! below_fence {
    () => {
        "SELECT 'redemption ' || a.redemption_id AS subject, a.outcome || ' in epoch ' || a.epoch \
         || ', fence ' || f.epoch || ' of ' || a.invitation AS detail FROM admissions a \
         JOIN fences f ON f.invitation = a.invitation \
         WHERE a.outcome IN ('ADMITTED', 'QUEUED') AND a.epoch < f.epoch "
    };
}

macro_rules! provenance {
    () => {
        "m.redemption || ' by ' || m.invitation || '; the admission: ' || coalesce(a.outcome || ' ' \
         || a.user_id || ' to ' || a.organization_id || '/' || a.class_id || ' by ' || a.invitation, 'none')"
    };
}

macro_rules! provenance_differs {
    () => {
        "(a.redemption_id IS NULL OR a.organization_id <> m.organization_id OR a.user_id <> m.user_id \
         OR a.invitation <> m.invitation \
         OR m.redemption <> 'organizations/' || a.organization_id || '/redemptions/' || a.redemption_id \
         OR a.outcome <> CASE WHEN m.approved_by = '' THEN 'ADMITTED' ELSE 'QUEUED' END)"
    };
}

pub(crate) const COUNTS: &[Count] = &[
    (Invariant::I1, "organizations", "organization_seats"),
    (
        Invariant::I1,
        "Students",
        "organization_members WHERE role = 'STUDENT'",
    ),
    (
        Invariant::I1,
        "requests waiting",
        "join_requests WHERE state = 'PENDING'",
    ),
    (
        Invariant::I2,
        "organization members",
        "organization_members",
    ),
    (Invariant::I2, "class members", "class_members"),
    (
        Invariant::I2,
        "classes",
        "classes WHERE delete_time IS NULL",
    ),
    (Invariant::I5, "fences raised", "fences WHERE epoch > 1"),
    (
        Invariant::I5,
        "admissions below a fence",
        "admissions a JOIN fences f ON f.invitation = a.invitation \
               WHERE a.epoch < f.epoch AND a.outcome IN ('ADMITTED', 'QUEUED')",
    ),
];

pub(crate) const CHECKS: &[Check] = &[
    Check::violation(
        Invariant::I1,
        "seats_used is not the number of Students",
        "SELECT 'organizations/' || s.organization_id AS subject, \
         'seats_used is ' || s.seats_used || ', Students are ' || coalesce(m.students, 0) AS detail \
         FROM organization_seats s LEFT JOIN (SELECT organization_id, count(*) AS students \
         FROM organization_members WHERE role = 'STUDENT' GROUP BY organization_id) m \
         ON m.organization_id = s.organization_id WHERE s.seats_used <> coalesce(m.students, 0)",
    ),
    Check::violation(
        Invariant::I1,
        "requests_waiting is not the number of PENDING requests",
        "SELECT 'organizations/' || s.organization_id AS subject, \
         'requests_waiting is ' || s.requests_waiting || ', PENDING are ' || coalesce(j.pending, 0) AS detail \
         FROM organization_seats s LEFT JOIN (SELECT organization_id, count(*) AS pending \
         FROM join_requests WHERE state = 'PENDING' GROUP BY organization_id) j \
         ON j.organization_id = s.organization_id WHERE s.requests_waiting <> coalesce(j.pending, 0)",
    ),
    Check::violation(
        Invariant::I1,
        "an organization has no count of seats",
        "SELECT 'organizations/' || o.organization_id AS subject, 'no row of organization_seats' AS detail \
         FROM organizations o LEFT JOIN organization_seats s ON s.organization_id = o.organization_id \
         WHERE s.organization_id IS NULL",
    ),
    Check::violation(
        Invariant::I1,
        "more seats are used than were licensed when a Student joined",
        concat!(
            over_the_limit!(),
            "AND (o.revision = 1 OR m.last_join > o.update_time + {tolerance})"
        ),
    ),
    Check::new(
        Invariant::I1,
        Weight::Note,
        "more seats are used than the license has now; it was lowered",
        concat!(
            over_the_limit!(),
            "AND o.revision > 1 AND m.last_join <= o.update_time + {tolerance}"
        ),
    ),
    Check::violation(
        Invariant::I2,
        "more than one membership of an organization",
        "SELECT 'organizations/' || organization_id || '/members/' || user_id AS subject, \
         count(*) || ' rows' AS detail FROM organization_members \
         GROUP BY organization_id, user_id HAVING count(*) > 1",
    ),
    Check::violation(
        Invariant::I2,
        "more than one membership of a class",
        "SELECT 'organizations/' || organization_id || '/classes/' || class_id || '/members/' || user_id AS subject, \
         count(*) || ' rows' AS detail FROM class_members \
         GROUP BY organization_id, class_id, user_id HAVING count(*) > 1",
    ),
    Check::violation(
        Invariant::I2,
        "a class member is no member of the organization",
        concat!(
            "SELECT ",
            place!("c"),
            " || '/members/' || c.user_id AS subject, 'role ' || c.role AS detail FROM class_members c \
             LEFT JOIN organization_members m ON m.organization_id = c.organization_id \
             AND m.user_id = c.user_id WHERE m.user_id IS NULL"
        ),
    ),
    Check::violation(
        Invariant::I2,
        "a class has a member but does not exist",
        concat!(
            "SELECT ",
            place!("m"),
            " || '/members/' || m.user_id AS subject, 'role ' || m.role AS detail FROM class_members m \
             LEFT JOIN classes c ON c.organization_id = m.organization_id AND c.class_id = m.class_id \
             WHERE c.class_id IS NULL OR c.delete_time IS NOT NULL"
        ),
    ),
    Check::violation(
        Invariant::I2,
        "an organization has a member but does not exist",
        "SELECT 'organizations/' || m.organization_id || '/members/' || m.user_id AS subject, \
         'role ' || m.role AS detail FROM organization_members m \
         LEFT JOIN organizations o ON o.organization_id = m.organization_id \
         WHERE o.organization_id IS NULL OR o.delete_time IS NOT NULL",
    ),
    Check::violation(
        Invariant::I2,
        "a class has not one OWNER, the one that it names",
        concat!(
            "SELECT ",
            place!("c"),
            " AS subject, 'it names ' || c.owner_user_id || '; OWNERs are ' || coalesce(m.owners, 0) \
             || ' ' || coalesce(m.owner, '') AS detail FROM classes c LEFT JOIN (\
             SELECT organization_id, class_id, count(*) AS owners, max(user_id) AS owner \
             FROM class_members WHERE role = 'OWNER' GROUP BY organization_id, class_id) m \
             ON m.organization_id = c.organization_id AND m.class_id = c.class_id \
             WHERE c.delete_time IS NULL AND (coalesce(m.owners, 0) <> 1 OR m.owner <> c.owner_user_id)"
        ),
    ),
    Check::violation(
        Invariant::I5,
        "let in below a fence after it went up",
        concat!(below_fence!(), "AND ({after_fence})"),
    ),
    Check::new(
        Invariant::I5,
        Weight::Note,
        "let in below a fence, so close to it that the clocks cannot tell which was first",
        concat!(
            below_fence!(),
            "AND NOT ({after_fence}) AND a.create_time > f.update_time"
        ),
    ),
    Check {
        invariant: Invariant::I5,
        weight: Weight::Violation,
        what: "let in after the same epoch had been answered STALE_EPOCH",
        // Rows are never deleted, so their numbers show the order of their commits.
        engine: Some(Engine::Sqlite),
        sql: "SELECT 'redemption ' || a.redemption_id AS subject, \
              a.outcome || ' in epoch ' || a.epoch || ' of ' || a.invitation AS detail \
              FROM admissions a JOIN (SELECT invitation, epoch, min(rowid) AS first FROM admissions \
              WHERE outcome = 'STALE_EPOCH' GROUP BY invitation, epoch) s \
              ON s.invitation = a.invitation AND a.epoch <= s.epoch AND a.rowid > s.first \
              WHERE a.outcome IN ('ADMITTED', 'QUEUED')",
    },
    Check::violation(
        Invariant::I5,
        "answered STALE_EPOCH though no fence was above it",
        "SELECT 'redemption ' || a.redemption_id AS subject, 'epoch ' || a.epoch || ', fence ' \
         || coalesce(f.epoch, 0) || ' of ' || a.invitation AS detail FROM admissions a \
         LEFT JOIN fences f ON f.invitation = a.invitation \
         WHERE a.outcome = 'STALE_EPOCH' AND a.epoch >= coalesce(f.epoch, 0)",
    ),
    Check::violation(
        Invariant::I7,
        "more than one admission of a redemption",
        "SELECT 'redemption ' || redemption_id AS subject, count(*) || ' rows' AS detail \
         FROM admissions GROUP BY redemption_id HAVING count(*) > 1",
    ),
    Check::violation(
        Invariant::I7,
        "ADMITTED, but nobody joined",
        concat!(
            "SELECT 'redemption ' || a.redemption_id AS subject, 'no member.joined of ' || ",
            place!("a"),
            " || '/members/' || a.user_id AS detail FROM admissions a LEFT JOIN (\
             SELECT DISTINCT subject, create_time FROM events WHERE event_type = 'member.joined') e \
             ON e.subject = ",
            place!("a"),
            " || '/members/' || a.user_id AND e.create_time = a.create_time \
             WHERE a.outcome = 'ADMITTED' AND e.subject IS NULL"
        ),
    ),
    Check::violation(
        Invariant::I8,
        "a member of an organization came in by a redemption that says otherwise",
        concat!(
            "SELECT 'organizations/' || m.organization_id || '/members/' || m.user_id AS subject, ",
            provenance!(),
            " AS detail FROM organization_members m LEFT JOIN admissions a \
             ON a.redemption_id = substr(m.redemption, length(m.redemption) - 35) \
             WHERE m.redemption <> '' AND ",
            provenance_differs!()
        ),
    ),
    Check::violation(
        Invariant::I8,
        "a member of a class came in by a redemption that says otherwise",
        concat!(
            "SELECT ",
            place!("m"),
            " || '/members/' || m.user_id AS subject, ",
            provenance!(),
            " AS detail FROM class_members m LEFT JOIN admissions a \
             ON a.redemption_id = substr(m.redemption, length(m.redemption) - 35) \
             WHERE m.redemption <> '' AND (a.class_id <> m.class_id OR ",
            provenance_differs!(),
            ")"
        ),
    ),
    Check::violation(
        Invariant::I8,
        "an admission's invitation is another organization's",
        "SELECT 'redemption ' || a.redemption_id AS subject, \
         a.organization_id || ', but ' || a.invitation AS detail FROM admissions a \
         WHERE substr(a.invitation, 1, length(a.organization_id) + 15) \
         <> 'organizations/' || a.organization_id || '/'",
    ),
];
