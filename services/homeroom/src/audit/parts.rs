//! Parts of the auditor's statements, by the names that stand for them in braces.

use homeroom_api::names::InvitationKind;

/// Each name with its text, in which `$` stands for the name of a row, and later names may occur.
const PARTS: &[(&str, &str)] = &[
    (
        "over_max_uses",
        "SELECT i.kind || ' ' || i.invitation_id AS subject, 'max_uses ' || i.max_uses || ', held ' || h.held AS \
         detail FROM invitations i JOIN {held} h ON h.invitation_id = i.invitation_id WHERE h.held > i.max_uses ",
    ),
    // Each invitation's redemptions that hold a use, from the first counted epoch on.
    (
        "held",
        "(SELECT r.invitation_id, sum(CASE WHEN r.state = 'RESERVED' THEN 1 ELSE 0 END) AS reserved, sum(CASE \
         WHEN r.state = 'QUEUED' THEN 1 ELSE 0 END) AS queued, sum(CASE WHEN r.state = 'COMMITTED' THEN 1 ELSE 0 \
         END) AS committed, count(*) AS held, max(r.create_time) AS last_time FROM redemptions r \
         JOIN invitations n ON n.invitation_id = r.invitation_id WHERE r.holds_use \
         AND r.epoch >= n.uses_since_epoch AND r.state IN ('RESERVED', 'QUEUED', 'COMMITTED') \
         GROUP BY r.invitation_id)",
    ),
    // Join requests and their events under one name, for grouping. A join could take as long
    // as the product of both if an engine estimates badly.
    (
        "lives",
        "(SELECT {request:j} AS subject, j.state AS state, j.create_time AS filed_time, coalesce(j.decide_time, 0) \
         AS ended_time, 0 AS created, 0 AS ended, '' AS ending \
         FROM join_requests j UNION ALL SELECT e.subject, '', 0, 0, CASE WHEN e.event_type = 'join_request.created' \
         THEN 1 ELSE 0 END, CASE WHEN e.event_type IN {ends} THEN 1 ELSE 0 END, CASE WHEN e.event_type IN {ends} \
         THEN e.event_type ELSE '' END FROM events e WHERE e.event_type = 'join_request.created' \
         OR e.event_type IN {ends}) lives",
    ),
    // The time up to which events may have been pruned.
    (
        "pruned",
        "(SELECT coalesce(max(create_time), -1) FROM pruned_events)",
    ),
    // The types of the events that end a request.
    (
        "ends",
        "('join_request.approved', 'join_request.denied', 'join_request.withdrawn', 'join_request.expired', \
         'join_request.closed')",
    ),
    // The resource name of an invitation, the key of its fence.
    (
        "invitation",
        "{place_of_row} || CASE kind {names}ELSE '/' || kind END",
    ),
    (
        "place_of_row",
        "'organizations/' || organization_id || CASE WHEN class_id = '' THEN '' ELSE '/classes/' || class_id END",
    ),
    // The resource name of a join request.
    ("request", "{place:$} || '/joinRequests/' || $.request_id"),
    (
        "provenance_differs",
        "(a.redemption_id IS NULL OR a.organization_id <> m.organization_id OR a.user_id <> m.user_id \
         OR a.invitation <> m.invitation OR m.redemption <> 'organizations/' || a.organization_id || \
         '/redemptions/' || a.redemption_id OR a.outcome <> CASE WHEN m.approved_by = '' THEN 'ADMITTED' ELSE \
         'QUEUED' END)",
    ),
    (
        "provenance",
        "m.redemption || ' by ' || m.invitation || '; the admission: ' || coalesce(a.outcome || ' ' || a.user_id \
         || ' to ' || a.organization_id || '/' || a.class_id || ' by ' || a.invitation, 'none')",
    ),
    (
        "below_fence",
        "SELECT 'redemption ' || a.redemption_id AS subject, a.outcome || ' in epoch ' || a.epoch || ', fence ' \
         || f.epoch || ' of ' || a.invitation AS detail FROM admissions a JOIN fences f \
         ON f.invitation = a.invitation WHERE a.outcome IN ('ADMITTED', 'QUEUED') AND a.epoch < f.epoch ",
    ),
    (
        "over_the_limit",
        "SELECT 'organizations/' || s.organization_id AS subject, 'licensed ' || s.seat_limit || ', Students ' \
         || m.students AS detail FROM organization_seats s JOIN organizations o \
         ON o.organization_id = s.organization_id JOIN (SELECT organization_id, count(*) AS students, \
         max(join_time) AS last_join FROM organization_members WHERE role = 'STUDENT' \
         GROUP BY organization_id) m ON m.organization_id = s.organization_id WHERE s.seat_limit > 0 \
         AND m.students > s.seat_limit ",
    ),
    // The resource name of a row's organization or class.
    (
        "place",
        "'organizations/' || $.organization_id || CASE WHEN $.class_id = '' THEN '' ELSE '/classes/' || \
         $.class_id END",
    ),
];

/// The names of rows that a part may stand for.
const ROWS: &[&str] = &["a", "c", "j", "m"];

/// Returns for each kind of invitation the end of its resource name.
fn names() -> String {
    let name = |kind: InvitationKind| {
        let (tag, segment) = (kind.tag(), kind.segment());
        let id = if kind.is_singleton() {
            "'"
        } else {
            "/' || invitation_id"
        };
        format!("WHEN '{tag}' THEN '{segment}{id} ")
    };
    InvitationKind::ALL.map(name).concat()
}

/// Returns the statement with the parts in place of their names: `{place:m}` is the part `place` of the row `m`.
pub(crate) fn expand(sql: &str) -> String {
    let mut sql = sql.to_owned();
    for (name, text) in PARTS {
        sql = sql.replace(&format!("{{{name}}}"), text);
        for row in ROWS {
            sql = sql.replace(&format!("{{{name}:{row}}}"), &text.replace('$', row));
        }
    }
    sql.replace("{names}", &names())
}
