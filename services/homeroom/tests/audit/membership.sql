-- A school after: eve admitted by the class code; kim let in from the queue; dan denied; pat waiting;
-- zed refused; eve once more (already a member); old too late after the reset; fay admitted just now.
INSERT INTO organizations (organization_id, display_name, code_prefix, labels, revision, create_time, update_time, delete_time) VALUES ('hamilton', 'Hamilton', 'HAM', '{}', 1, {past}, {past}, NULL);
INSERT INTO organization_seats (organization_id, seat_limit, seats_used, requests_waiting) VALUES ('hamilton', 3, 3, 1);
INSERT INTO classes (organization_id, class_id, display_name, owner_user_id, state, labels, revision, create_time, update_time, delete_time) VALUES ('hamilton', 'biology', 'Biology', 'tim', 'ACTIVE', '{}', 1, {past}, {past}, NULL);
INSERT INTO organization_members (organization_id, user_id, display_name, email, external_id, role, join_time, invitation, redemption, approved_by, method, revision) VALUES
    ('hamilton', 'ada', 'Ada', '', '', 'ADMIN', {past}, '', '', 'platform', 'ADDED', 1),
    ('hamilton', 'tim', 'Tim', '', '', 'TEACHER', {past}, '', '', 'ada', 'ADDED', 1),
    ('hamilton', 'eve', 'Eve', '', '', 'STUDENT', {past}, 'organizations/hamilton/classes/biology/classCode', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000001', '', 'CLASS_CODE', 1),
    ('hamilton', 'kim', 'Kim', '', '', 'STUDENT', {past}, 'organizations/hamilton/classes/biology/joinUrl', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000002', 'tim', 'JOIN_URL', 1),
    ('hamilton', 'fay', 'Fay', '', '', 'STUDENT', {now}, 'organizations/hamilton/classes/biology/classCode', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000008', '', 'CLASS_CODE', 1);
INSERT INTO class_members (organization_id, class_id, user_id, role, join_time, invitation, redemption, approved_by, method, revision) VALUES
    ('hamilton', 'biology', 'tim', 'OWNER', {past}, '', '', 'tim', 'ADDED', 1),
    ('hamilton', 'biology', 'eve', 'STUDENT', {past}, 'organizations/hamilton/classes/biology/classCode', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000001', '', 'CLASS_CODE', 1),
    ('hamilton', 'biology', 'kim', 'STUDENT', {past}, 'organizations/hamilton/classes/biology/joinUrl', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000002', 'tim', 'JOIN_URL', 1),
    ('hamilton', 'biology', 'fay', 'STUDENT', {now}, 'organizations/hamilton/classes/biology/classCode', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000008', '', 'CLASS_CODE', 1);
INSERT INTO join_requests (organization_id, class_id, request_id, user_id, display_name, email, external_id, state, cause, invitation, redemption, method, decide_note, decided_by, create_time, decide_time, expire_time) VALUES
    ('hamilton', 'biology', '00000000-0000-7000-8000-0000000000f2', 'kim', '', '', '', 'APPROVED', 'JOIN_URL', 'organizations/hamilton/classes/biology/joinUrl', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000002', 'JOIN_URL', '', 'tim', {past}, {past}, {future}),
    ('hamilton', 'biology', '00000000-0000-7000-8000-0000000000f3', 'dan', '', '', '', 'DENIED', 'JOIN_URL', 'organizations/hamilton/classes/biology/joinUrl', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000003', 'JOIN_URL', '', 'tim', {past}, {past}, {future}),
    ('hamilton', 'biology', '00000000-0000-7000-8000-0000000000f4', 'pat', '', '', '', 'PENDING', 'JOIN_URL', 'organizations/hamilton/classes/biology/joinUrl', 'organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000004', 'JOIN_URL', '', '', {past}, NULL, {future});
INSERT INTO admissions (redemption_id, organization_id, class_id, user_id, invitation, epoch, outcome, refuse_reason, request_id, create_time) VALUES
    ('00000000-0000-7000-8000-000000000001', 'hamilton', 'biology', 'eve', 'organizations/hamilton/classes/biology/classCode', 1, 'ADMITTED', '', '', {past}),
    ('00000000-0000-7000-8000-000000000002', 'hamilton', 'biology', 'kim', 'organizations/hamilton/classes/biology/joinUrl', 1, 'QUEUED', '', '00000000-0000-7000-8000-0000000000f2', {past}),
    ('00000000-0000-7000-8000-000000000003', 'hamilton', 'biology', 'dan', 'organizations/hamilton/classes/biology/joinUrl', 1, 'QUEUED', '', '00000000-0000-7000-8000-0000000000f3', {past}),
    ('00000000-0000-7000-8000-000000000004', 'hamilton', 'biology', 'pat', 'organizations/hamilton/classes/biology/joinUrl', 1, 'QUEUED', '', '00000000-0000-7000-8000-0000000000f4', {past}),
    ('00000000-0000-7000-8000-000000000005', 'hamilton', 'biology', 'zed', 'organizations/hamilton/classes/biology/classCode', 1, 'REFUSED', 'NO_SEATS', '', {past}),
    ('00000000-0000-7000-8000-000000000006', 'hamilton', 'biology', 'eve', 'organizations/hamilton/classes/biology/classCode', 1, 'ALREADY_MEMBER', '', '', {past}),
    ('00000000-0000-7000-8000-000000000007', 'hamilton', 'biology', 'old', 'organizations/hamilton/classes/biology/classCode', 1, 'STALE_EPOCH', '', '', {now}),
    ('00000000-0000-7000-8000-000000000008', 'hamilton', 'biology', 'fay', 'organizations/hamilton/classes/biology/classCode', 2, 'ADMITTED', '', '', {now});
INSERT INTO fences (invitation, epoch, update_time) VALUES
    ('organizations/hamilton/classes/biology/classCode', 2, {later}),
    ('organizations/hamilton/classes/biology/joinUrl', 0, {past});
INSERT INTO events (position, event_id, event_type, organization_id, class_id, subject, actor, notify, data, create_time) VALUES
    (1, 'e1', 'member.joined', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/members/eve', 'eve', '[]', '{}', {past}),
    (2, 'e2', 'join_request.created', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/joinRequests/00000000-0000-7000-8000-0000000000f2', 'kim', '[]', '{"redemption":"organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000002"}', {past}),
    (3, 'e3', 'join_request.approved', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/joinRequests/00000000-0000-7000-8000-0000000000f2', 'tim', '[]', '{"redemption":"organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000002"}', {past}),
    (4, 'e4', 'member.joined', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/members/kim', 'tim', '[]', '{}', {past}),
    (5, 'e5', 'join_request.created', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/joinRequests/00000000-0000-7000-8000-0000000000f3', 'dan', '[]', '{"redemption":"organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000003"}', {past}),
    (6, 'e6', 'join_request.denied', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/joinRequests/00000000-0000-7000-8000-0000000000f3', 'tim', '[]', '{"redemption":"organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000003"}', {past}),
    (7, 'e7', 'join_request.created', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/joinRequests/00000000-0000-7000-8000-0000000000f4', 'pat', '[]', '{"redemption":"organizations/hamilton/redemptions/00000000-0000-7000-8000-000000000004"}', {past}),
    (8, 'e8', 'member.joined', 'hamilton', 'biology', 'organizations/hamilton/classes/biology/members/fay', 'fay', '[]', '{}', {now});
