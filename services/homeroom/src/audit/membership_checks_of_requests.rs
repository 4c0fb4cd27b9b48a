//! Checks of join requests in membership's database by itself: I6.

use super::{
    check::{Check, Count},
    membership_checks::place,
    report::Invariant,
};

const fn violation(what: &'static str, sql: &'static str) -> Check {
    Check::violation(Invariant::I6, what, sql)
}

/// Selects the resource name of a join request.
macro_rules! request {
    ($row:literal) => {
        concat!(
            place!($row),
            " || '/joinRequests/' || ",
            $row,
            ".request_id"
        )
    };
}
pub(crate) use request;

/// Lists the types of the events that end a request.
macro_rules! ends {
    () => {
        "('join_request.approved', 'join_request.denied', 'join_request.withdrawn', \
         'join_request.expired', 'join_request.closed')"
    };
}
pub(crate) use ends;

/// Selects join requests and their events under one name, for grouping. A join could take as long
/// as the product of both if an engine estimates badly.
macro_rules! lives {
    () => {
        concat!(
            "(SELECT ",
            request!("j"),
            " AS subject, j.state AS state, 0 AS created, 0 AS ended, '' AS ending \
             FROM join_requests j UNION ALL SELECT e.subject, '', \
             CASE WHEN e.event_type = 'join_request.created' THEN 1 ELSE 0 END, \
             CASE WHEN e.event_type IN ",
            ends!(),
            " THEN 1 ELSE 0 END, CASE WHEN e.event_type IN ",
            ends!(),
            " THEN e.event_type ELSE '' END FROM events e \
             WHERE e.event_type = 'join_request.created' OR e.event_type IN ",
            ends!(),
            ") lives"
        )
    };
}

pub(crate) const COUNTS: &[Count] = &[
    (Invariant::I6, "join requests", "join_requests"),
    (
        Invariant::I6,
        "decided or ended",
        "join_requests WHERE state <> 'PENDING'",
    ),
    (
        Invariant::I6,
        "QUEUED admissions",
        "admissions WHERE outcome = 'QUEUED'",
    ),
];

pub(crate) const CHECKS: &[Check] = &[
    violation(
        "a QUEUED admission has no join request",
        concat!(
            "SELECT 'redemption ' || a.redemption_id AS subject, 'no ' || ",
            request!("a"),
            " AS detail FROM admissions a LEFT JOIN join_requests j \
             ON j.organization_id = a.organization_id AND j.class_id = a.class_id \
             AND j.request_id = a.request_id WHERE j.request_id IS NULL \
             AND (a.outcome = 'QUEUED' OR (a.outcome = 'ALREADY_PENDING' AND a.request_id <> ''))"
        ),
    ),
    violation(
        "a join request is not its admission's",
        concat!(
            "SELECT ",
            request!("j"),
            " AS subject, a.outcome || ' of ' || a.user_id || ' by ' || a.invitation || '; the request: ' \
             || j.user_id || ' by ' || j.invitation || ', ' || j.redemption AS detail \
             FROM admissions a JOIN join_requests j \
             ON j.organization_id = a.organization_id AND j.class_id = a.class_id \
             AND j.request_id = a.request_id \
             WHERE (a.outcome IN ('QUEUED', 'ALREADY_PENDING') AND j.user_id <> a.user_id) \
             OR (a.outcome = 'QUEUED' AND (j.invitation <> a.invitation \
             OR j.redemption <> 'organizations/' || a.organization_id || '/redemptions/' || a.redemption_id))"
        ),
    ),
    violation(
        "a join request has no QUEUED admission",
        concat!(
            "SELECT ",
            request!("j"),
            " AS subject, j.redemption AS detail FROM join_requests j LEFT JOIN admissions a \
             ON a.redemption_id = substr(j.redemption, length(j.redemption) - 35) \
             AND a.request_id = j.request_id AND a.outcome = 'QUEUED' WHERE a.redemption_id IS NULL"
        ),
    ),
    violation(
        "a person waits twice for the same place",
        concat!(
            "SELECT ",
            place!("j"),
            " AS subject, j.user_id || ' waits ' || count(*) || ' times' AS detail FROM join_requests j \
             WHERE j.state = 'PENDING' GROUP BY j.organization_id, j.class_id, j.user_id HAVING count(*) > 1"
        ),
    ),
    violation(
        "a person waits for what they are in",
        concat!(
            "SELECT ",
            request!("j"),
            " AS subject, j.user_id || ' is a member' AS detail FROM join_requests j \
             LEFT JOIN class_members c ON c.organization_id = j.organization_id \
             AND c.class_id = j.class_id AND c.user_id = j.user_id \
             LEFT JOIN organization_members m ON m.organization_id = j.organization_id \
             AND m.user_id = j.user_id WHERE j.state = 'PENDING' \
             AND (c.user_id IS NOT NULL OR (j.class_id = '' AND m.user_id IS NOT NULL))"
        ),
    ),
    violation(
        "a join request's state and decision do not agree",
        concat!(
            "SELECT ",
            request!("j"),
            " AS subject, j.state || ' by ' || CASE WHEN j.decided_by = '' THEN 'nobody' ELSE j.decided_by END \
             || CASE WHEN j.decide_time IS NULL THEN ', at no time' ELSE ', at a time' END AS detail \
             FROM join_requests j \
             WHERE (j.state = 'PENDING' AND (j.decided_by <> '' OR j.decide_time IS NOT NULL)) \
             OR (j.state <> 'PENDING' AND (j.decided_by = '' OR j.decide_time IS NULL)) \
             OR j.state NOT IN ('PENDING', 'APPROVED', 'DENIED', 'WITHDRAWN', 'EXPIRED', 'CLOSED')"
        ),
    ),
    violation(
        "a join request's events do not tell its life once",
        concat!(
            "SELECT subject, max(state) || ', but ' || sum(created) || ' events of its filing and ' \
             || sum(ended) || ' of its end ' || max(ending) AS detail FROM ",
            lives!(),
            " GROUP BY subject HAVING max(state) <> '' AND (sum(created) <> 1 \
             OR sum(ended) <> CASE WHEN max(state) = 'PENDING' THEN 0 ELSE 1 END \
             OR (max(state) <> 'PENDING' AND max(ending) <> 'join_request.' || lower(max(state))))"
        ),
    ),
    violation(
        "an event of a join request's end does not name its redemption",
        concat!(
            "SELECT ",
            request!("j"),
            " AS subject, 'event ' || e.event_id || ' does not name ' || j.redemption AS detail \
             FROM join_requests j JOIN events e ON e.subject = ",
            request!("j"),
            " WHERE e.event_type IN ",
            ends!(),
            " AND e.data NOT LIKE '%\"redemption\":\"' || j.redemption || '\"%'"
        ),
    ),
    violation(
        "an event tells of a join request that is not there",
        concat!(
            "SELECT subject, sum(created) || ' events of its filing and ' || sum(ended) \
             || ' of its end ' || max(ending) AS detail FROM ",
            lives!(),
            " GROUP BY subject HAVING max(state) = ''"
        ),
    ),
];
