-- Times and durations are microseconds; times count from 1970-01-01 UTC.

-- All ways in, one row for each invitation. class_id is empty for the organization's own.
CREATE TABLE invitations (
    invitation_id   TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    class_id        TEXT NOT NULL,
    -- Raised by reset, revoke, switch-off, delete and a changed code (03 P7).
    epoch           BIGINT NOT NULL,
    -- Up to where membership has confirmed the fence; below epoch: pending.
    fence_epoch     BIGINT NOT NULL,
    -- Uses are counted from this epoch on: a reset begins the count again.
    uses_since_epoch BIGINT NOT NULL,
    -- Keyed look-up and sealed display value; absent once destroyed.
    lookup_mac      BLOB UNIQUE,
    sealed          BLOB,
    key_version     BIGINT NOT NULL,
    enabled         BOOLEAN NOT NULL,
    revoke_time     BIGINT,
    delete_time     BIGINT,
    valid_from_time BIGINT,
    valid_till_time BIGINT,
    -- Absent: any number.
    max_uses        BIGINT,
    uses_committed  BIGINT NOT NULL CHECK (uses_committed >= 0),
    uses_reserved   BIGINT NOT NULL CHECK (uses_reserved >= 0),
    uses_queued     BIGINT NOT NULL CHECK (uses_queued >= 0),
    assigned_email  TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    email_domains   TEXT NOT NULL,
    allow_rejoin    BOOLEAN NOT NULL,
    strength_bits   BIGINT NOT NULL,
    words           BIGINT NOT NULL,
    -- Absent: never locks by itself.
    lock_period     BIGINT,
    -- From when the lock period runs: made, reset or unlocked.
    unlock_time     BIGINT NOT NULL,
    -- When staff locked it; absent while unlocked.
    manual_lock_time BIGINT,
    -- When it was made or last reset (R8).
    issue_time      BIGINT NOT NULL,
    revision        BIGINT NOT NULL,
    create_time     BIGINT NOT NULL,
    update_time     BIGINT NOT NULL
);
CREATE UNIQUE INDEX invitations_singleton ON invitations (organization_id, class_id, kind)
    WHERE kind IN ('organization_token', 'class_code', 'join_url');
CREATE INDEX invitations_by_place ON invitations (organization_id, class_id, kind, invitation_id);
CREATE INDEX invitations_fence_pending ON invitations (invitation_id) WHERE fence_epoch < epoch;

-- What membership has said of an organization, kept so that a bare code finds its prefix (B4),
-- and the row that every change of an organization's invitations locks first.
CREATE TABLE organization_profiles (
    organization_id TEXT PRIMARY KEY,
    code_prefix     TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    seat_limit      BIGINT NOT NULL,
    update_time     BIGINT NOT NULL
);
CREATE INDEX organization_profiles_by_prefix ON organization_profiles (code_prefix);

CREATE TABLE redemptions (
    redemption_id   TEXT PRIMARY KEY,
    invitation_id   TEXT NOT NULL REFERENCES invitations (invitation_id),
    invitation      TEXT NOT NULL,
    kind            TEXT NOT NULL,
    epoch           BIGINT NOT NULL,
    organization_id TEXT NOT NULL,
    class_id        TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    email           TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    -- What was decided: ADMIT_AT_ONCE or QUEUE with its cause; and the refusal that stands unless the person is known (03 P3).
    route           TEXT NOT NULL,
    queue_cause     TEXT NOT NULL,
    refuse_if_unknown TEXT NOT NULL,
    issue_time      BIGINT NOT NULL,
    allow_rejoin    BOOLEAN NOT NULL,
    holds_use       BOOLEAN NOT NULL,
    state           TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    refuse_reason   TEXT NOT NULL,
    join_request    TEXT NOT NULL,
    -- Recovery (03 P13).
    tries           BIGINT NOT NULL,
    next_try_time   BIGINT NOT NULL,
    create_time     BIGINT NOT NULL,
    settle_time     BIGINT
);
-- One living redemption per (invitation, epoch, user) (03 P2).
CREATE UNIQUE INDEX redemptions_living ON redemptions (invitation_id, epoch, user_id)
    WHERE state IN ('RESERVED', 'QUEUED');
CREATE INDEX redemptions_by_organization ON redemptions (organization_id, redemption_id);
CREATE INDEX redemptions_by_class ON redemptions (organization_id, class_id, redemption_id);
CREATE INDEX redemptions_by_invitation ON redemptions (invitation_id, redemption_id);
CREATE INDEX redemptions_by_user ON redemptions (organization_id, user_id, redemption_id);
CREATE INDEX redemptions_to_try ON redemptions (state, next_try_time) WHERE state IN ('RESERVED', 'QUEUED');

-- Which redemption answers a request id (03 P9).
CREATE TABLE redemption_request_ids (
    subject       TEXT NOT NULL,
    acting_user   TEXT NOT NULL,
    method        TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    body_mac      BLOB NOT NULL,
    redemption_id TEXT NOT NULL,
    create_time   BIGINT NOT NULL,
    PRIMARY KEY (subject, acting_user, method, request_id)
);
CREATE INDEX redemption_request_ids_by_create_time ON redemption_request_ids (create_time);

-- How far the other service's feed has been followed (03 P5).
CREATE TABLE feed_positions (
    feed        TEXT PRIMARY KEY,
    page_token  TEXT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Events of that feed that could not be followed: nothing is passed over without a trace.
CREATE TABLE skipped_events (
    feed        TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    subject     TEXT NOT NULL,
    cause       TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (feed, event_id)
);

CREATE TABLE events (
    sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
    position        BIGINT UNIQUE,
    event_id        TEXT NOT NULL UNIQUE,
    event_type      TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    class_id        TEXT,
    subject         TEXT NOT NULL,
    actor           TEXT NOT NULL,
    notify          TEXT NOT NULL,
    data            TEXT NOT NULL,
    create_time     BIGINT NOT NULL
);
CREATE INDEX events_by_organization ON events (organization_id, position);
CREATE INDEX events_by_class ON events (organization_id, class_id, position);
CREATE INDEX events_to_place ON events (sequence) WHERE position IS NULL;

CREATE TABLE request_ids (
    subject     TEXT NOT NULL,
    acting_user TEXT NOT NULL,
    method      TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    body_mac    BLOB NOT NULL,
    response    BLOB,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (subject, acting_user, method, request_id)
);
CREATE INDEX request_ids_by_create_time ON request_ids (create_time);
