//! Checks of membership's database by itself: I1, I2, I5, I6, I7 and I8.

use super::check::{Check, Count, Weight, checks};
use super::report::Invariant;

checks! {
    counts {
        I1 "organizations": "organization_seats";
        I1 "Students": "organization_members WHERE role = 'STUDENT'";
        I1 "requests waiting": "join_requests WHERE state = 'PENDING'";
        I2 "organization members": "organization_members";
        I2 "class members": "class_members";
        I2 "classes": "classes WHERE delete_time IS NULL";
        I5 "fences raised": "fences WHERE epoch > 1";
        I5 "admissions below a fence":
            "admissions a JOIN fences f ON f.invitation = a.invitation WHERE a.epoch < f.epoch \
             AND a.outcome IN ('ADMITTED', 'QUEUED')";
        I6 "join requests": "join_requests";
        I6 "decided or ended": "join_requests WHERE state <> 'PENDING'";
        I6 "QUEUED admissions": "admissions WHERE outcome = 'QUEUED'";
    }
    I1 "seats_used is not the number of Students":
        "SELECT 'organizations/' || s.organization_id AS subject, 'seats_used is ' || s.seats_used || ', \
         Students are ' || coalesce(m.students, 0) AS detail FROM organization_seats s \
         LEFT JOIN (SELECT organization_id, count(*) AS students FROM organization_members \
         WHERE role = 'STUDENT' GROUP BY organization_id) m ON m.organization_id = s.organization_id \
         WHERE s.seats_used <> coalesce(m.students, 0)";
    I1 "requests_waiting is not the number of PENDING requests":
        "SELECT 'organizations/' || s.organization_id AS subject, 'requests_waiting is ' || s.requests_waiting \
         || ', PENDING are ' || coalesce(j.pending, 0) AS detail FROM organization_seats s \
         LEFT JOIN (SELECT organization_id, count(*) AS pending FROM join_requests \
         WHERE state = 'PENDING' GROUP BY organization_id) j ON j.organization_id = s.organization_id \
         WHERE s.requests_waiting <> coalesce(j.pending, 0)";
    I1 "an organization has no count of seats":
        "SELECT 'organizations/' || o.organization_id AS subject, 'no row of organization_seats' AS detail \
         FROM organizations o LEFT JOIN organization_seats s ON s.organization_id = o.organization_id \
         WHERE s.organization_id IS NULL";
    I1 "more seats are used than were licensed when a Student joined":
        "{over_the_limit}AND (o.revision = 1 OR m.last_join > o.update_time + {tolerance})";
    I1 Note "more seats are used than the license has now; it was lowered":
        "{over_the_limit}AND o.revision > 1 AND m.last_join <= o.update_time + {tolerance}";
    I2 "more than one membership of an organization":
        "SELECT 'organizations/' || organization_id || '/members/' || user_id AS subject, count(*) || ' rows' AS \
         detail FROM organization_members GROUP BY organization_id, user_id HAVING count(*) > 1";
    I2 "more than one membership of a class":
        "SELECT 'organizations/' || organization_id || '/classes/' || class_id || '/members/' || user_id AS \
         subject, count(*) || ' rows' AS detail FROM class_members \
         GROUP BY organization_id, class_id, user_id HAVING count(*) > 1";
    I2 "a class member is no member of the organization":
        "SELECT {place:c} || '/members/' || c.user_id AS subject, 'role ' || c.role AS detail \
         FROM class_members c LEFT JOIN organization_members m ON m.organization_id = c.organization_id \
         AND m.user_id = c.user_id WHERE m.user_id IS NULL";
    I2 "a class has a member but does not exist":
        "SELECT {place:m} || '/members/' || m.user_id AS subject, 'role ' || m.role AS detail \
         FROM class_members m LEFT JOIN classes c ON c.organization_id = m.organization_id \
         AND c.class_id = m.class_id WHERE c.class_id IS NULL OR c.delete_time IS NOT NULL";
    I2 "an organization has a member but does not exist":
        "SELECT 'organizations/' || m.organization_id || '/members/' || m.user_id AS subject, 'role ' || m.role \
         AS detail FROM organization_members m LEFT JOIN organizations o \
         ON o.organization_id = m.organization_id WHERE o.organization_id IS NULL OR o.delete_time IS NOT NULL";
    I2 "a class has not one OWNER, the one that it names":
        "SELECT {place:c} AS subject, 'it names ' || c.owner_user_id || '; OWNERs are ' || coalesce(m.owners, 0) \
         || ' ' || coalesce(m.owner, '') AS detail FROM classes c \
         LEFT JOIN (SELECT organization_id, class_id, count(*) AS owners, max(user_id) AS owner \
         FROM class_members WHERE role = 'OWNER' GROUP BY organization_id, class_id) m \
         ON m.organization_id = c.organization_id AND m.class_id = c.class_id WHERE c.delete_time IS NULL \
         AND (coalesce(m.owners, 0) <> 1 OR m.owner <> c.owner_user_id)";
    I5 "let in below a fence after it went up":
        "{below_fence}AND ({after_fence})";
    I5 Note "let in below a fence, so close to it that the clocks cannot tell which was first":
        "{below_fence}AND NOT ({after_fence}) AND a.create_time > f.update_time";
    // Rows are never deleted, so their numbers show the order of their commits.
    I5 ViolationOnSqlite "let in after the same epoch had been answered STALE_EPOCH":
        "SELECT 'redemption ' || a.redemption_id AS subject, a.outcome || ' in epoch ' || a.epoch || ' of ' || \
         a.invitation AS detail FROM admissions a JOIN (SELECT invitation, epoch, min(rowid) AS first \
         FROM admissions WHERE outcome = 'STALE_EPOCH' GROUP BY invitation, epoch) s \
         ON s.invitation = a.invitation AND a.epoch <= s.epoch AND a.rowid > s.first \
         WHERE a.outcome IN ('ADMITTED', 'QUEUED')";
    I5 "answered STALE_EPOCH though no fence was above it":
        "SELECT 'redemption ' || a.redemption_id AS subject, 'epoch ' || a.epoch || ', fence ' || \
         coalesce(f.epoch, 0) || ' of ' || a.invitation AS detail FROM admissions a LEFT JOIN fences f \
         ON f.invitation = a.invitation WHERE a.outcome = 'STALE_EPOCH' AND a.epoch >= coalesce(f.epoch, 0)";
    I7 "more than one admission of a redemption":
        "SELECT 'redemption ' || redemption_id AS subject, count(*) || ' rows' AS detail \
         FROM admissions GROUP BY redemption_id HAVING count(*) > 1";
    I7 "ADMITTED, but nobody joined":
        "SELECT 'redemption ' || a.redemption_id AS subject, 'no member.joined of ' || {place:a} || '/members/' \
         || a.user_id AS detail FROM admissions a LEFT JOIN (SELECT DISTINCT subject, create_time \
         FROM events WHERE event_type = 'member.joined') e ON e.subject = {place:a} || '/members/' || a.user_id \
         AND e.create_time = a.create_time WHERE a.outcome = 'ADMITTED' AND e.subject IS NULL \
         AND a.create_time > {pruned}";
    I8 "a member of an organization came in by a redemption that says otherwise":
        "SELECT 'organizations/' || m.organization_id || '/members/' || m.user_id AS subject, {provenance} AS \
         detail FROM organization_members m LEFT JOIN admissions a \
         ON a.redemption_id = substr(m.redemption, length(m.redemption) - 35) WHERE m.redemption <> '' \
         AND {provenance_differs}";
    I8 "a member of a class came in by a redemption that says otherwise":
        "SELECT {place:m} || '/members/' || m.user_id AS subject, {provenance} AS detail \
         FROM class_members m LEFT JOIN admissions a ON a.redemption_id = substr(m.redemption, \
         length(m.redemption) - 35) WHERE m.redemption <> '' AND (a.class_id <> m.class_id \
         OR {provenance_differs})";
    I8 "an admission's invitation is another organization's":
        "SELECT 'redemption ' || a.redemption_id AS subject, a.organization_id || ', but ' || a.invitation AS \
         detail FROM admissions a WHERE substr(a.invitation, 1, length(a.organization_id) + 15) <> \
         'organizations/' || a.organization_id || '/'";
    I6 "a QUEUED admission has no join request":
        "SELECT 'redemption ' || a.redemption_id AS subject, 'no ' || {request:a} AS detail \
         FROM admissions a LEFT JOIN join_requests j ON j.organization_id = a.organization_id \
         AND j.class_id = a.class_id AND j.request_id = a.request_id WHERE j.request_id IS NULL \
         AND (a.outcome = 'QUEUED' OR (a.outcome = 'ALREADY_PENDING' AND a.request_id <> ''))";
    I6 "a join request is not its admission's":
        "SELECT {request:j} AS subject, a.outcome || ' of ' || a.user_id || ' by ' || a.invitation || '; the \
         request: ' || j.user_id || ' by ' || j.invitation || ', ' || j.redemption AS detail \
         FROM admissions a JOIN join_requests j ON j.organization_id = a.organization_id \
         AND j.class_id = a.class_id AND j.request_id = a.request_id \
         WHERE (a.outcome IN ('QUEUED', 'ALREADY_PENDING') AND j.user_id <> a.user_id) \
         OR (a.outcome = 'QUEUED' AND (j.invitation <> a.invitation \
         OR j.redemption <> 'organizations/' || a.organization_id || '/redemptions/' || a.redemption_id))";
    I6 "a join request has no QUEUED admission":
        "SELECT {request:j} AS subject, j.redemption AS detail FROM join_requests j LEFT JOIN admissions a \
         ON a.redemption_id = substr(j.redemption, length(j.redemption) - 35) \
         AND a.request_id = j.request_id AND a.outcome = 'QUEUED' WHERE a.redemption_id IS NULL";
    I6 "a person waits twice for the same place":
        "SELECT {place:j} AS subject, j.user_id || ' waits ' || count(*) || ' times' AS detail \
         FROM join_requests j WHERE j.state = 'PENDING' GROUP BY j.organization_id, j.class_id, j.user_id HAVING \
         count(*) > 1";
    I6 "a person waits for what they are in":
        "SELECT {request:j} AS subject, j.user_id || ' is a member' AS detail FROM join_requests j \
         LEFT JOIN class_members c ON c.organization_id = j.organization_id AND c.class_id = j.class_id \
         AND c.user_id = j.user_id LEFT JOIN organization_members m ON m.organization_id = j.organization_id \
         AND m.user_id = j.user_id WHERE j.state = 'PENDING' AND (c.user_id IS NOT NULL OR (j.class_id = '' \
         AND m.user_id IS NOT NULL))";
    I6 "a join request's state and decision do not agree":
        "SELECT {request:j} AS subject, j.state || ' by ' || CASE WHEN j.decided_by = '' THEN 'nobody' ELSE \
         j.decided_by END || CASE WHEN j.decide_time IS NULL THEN ', at no time' ELSE ', at a time' END AS \
         detail FROM join_requests j WHERE (j.state = 'PENDING' AND (j.decided_by <> '' \
         OR j.decide_time IS NOT NULL)) OR (j.state <> 'PENDING' AND (j.decided_by = '' \
         OR j.decide_time IS NULL)) OR j.state NOT IN ('PENDING', 'APPROVED', 'DENIED', 'WITHDRAWN', 'EXPIRED', \
         'CLOSED')";
    I6 "a join request's events do not tell its life once":
        "SELECT subject, max(state) || ', but ' || sum(created) || ' events of its filing and ' || sum(ended) || \
         ' of its end ' || max(ending) AS detail FROM {lives} GROUP BY subject HAVING max(state) <> '' \
         AND (sum(created) > 1 OR (sum(created) = 0 AND max(filed_time) > {pruned}) \
         OR sum(ended) > CASE WHEN max(state) = 'PENDING' THEN 0 ELSE 1 END \
         OR (max(state) <> 'PENDING' AND CASE WHEN sum(ended) = 0 THEN max(ended_time) > {pruned} \
         ELSE max(ending) <> 'join_request.' || lower(max(state)) END))";
    I6 "an event of a join request's end does not name its redemption":
        "SELECT {request:j} AS subject, 'event ' || e.event_id || ' does not name ' || j.redemption AS detail \
         FROM join_requests j JOIN events e ON e.subject = {request:j} WHERE e.event_type IN {ends} \
         AND e.data NOT LIKE '%\"redemption\":\"' || j.redemption || '\"%'";
    I6 "an event tells of a join request that is not there":
        "SELECT subject, sum(created) || ' events of its filing and ' || sum(ended) || ' of its end ' || \
         max(ending) AS detail FROM {lives} GROUP BY subject HAVING max(state) = ''";
}
