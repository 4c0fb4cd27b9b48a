-- Times are microseconds since 1970-01-01 UTC. Every table leads with the organization.
-- Ids sort by their bytes, as on SQLite: pages follow their order.

CREATE TABLE organizations (
    organization_id TEXT COLLATE "C" PRIMARY KEY,
    display_name    TEXT NOT NULL,
    code_prefix     TEXT COLLATE "C" UNIQUE,
    labels          TEXT NOT NULL,
    revision        BIGINT NOT NULL,
    create_time     BIGINT NOT NULL,
    update_time     BIGINT NOT NULL,
    -- A deleted organization's row stays, so that its id is never given again.
    delete_time     BIGINT
);

-- The row that every change of an organization locks first (03 P6).
CREATE TABLE organization_seats (
    organization_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES organizations (organization_id),
    seat_limit       BIGINT NOT NULL CHECK (seat_limit >= 0),
    seats_used       BIGINT NOT NULL CHECK (seats_used >= 0),
    requests_waiting BIGINT NOT NULL CHECK (requests_waiting >= 0)
);

CREATE TABLE classes (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    class_id        TEXT COLLATE "C" NOT NULL,
    display_name    TEXT NOT NULL,
    owner_user_id   TEXT COLLATE "C" NOT NULL,
    state           TEXT NOT NULL,
    labels          TEXT NOT NULL,
    revision        BIGINT NOT NULL,
    create_time     BIGINT NOT NULL,
    update_time     BIGINT NOT NULL,
    delete_time     BIGINT,
    PRIMARY KEY (organization_id, class_id)
);
CREATE INDEX classes_by_owner ON classes (organization_id, owner_user_id, class_id);

CREATE TABLE organization_members (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    user_id         TEXT COLLATE "C" NOT NULL,
    display_name    TEXT NOT NULL,
    email           TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    role            TEXT NOT NULL,
    join_time       BIGINT NOT NULL,
    invitation      TEXT NOT NULL,
    redemption      TEXT NOT NULL,
    approved_by     TEXT NOT NULL,
    method          TEXT NOT NULL,
    revision        BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_members_by_user ON organization_members (user_id, organization_id);
CREATE INDEX organization_members_by_role ON organization_members (organization_id, role, user_id);
CREATE INDEX organization_members_by_email ON organization_members (organization_id, email, user_id);
CREATE INDEX organization_members_by_external_id ON organization_members (organization_id, external_id, user_id);

CREATE TABLE class_members (
    organization_id TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL,
    role            TEXT NOT NULL,
    join_time       BIGINT NOT NULL,
    invitation      TEXT NOT NULL,
    redemption      TEXT NOT NULL,
    approved_by     TEXT NOT NULL,
    method          TEXT NOT NULL,
    revision        BIGINT NOT NULL,
    PRIMARY KEY (organization_id, class_id, user_id),
    FOREIGN KEY (organization_id, class_id) REFERENCES classes (organization_id, class_id),
    -- A class member is an organization member (03 I2).
    FOREIGN KEY (organization_id, user_id) REFERENCES organization_members (organization_id, user_id)
);
CREATE INDEX class_members_by_user ON class_members (user_id, organization_id, class_id);
CREATE INDEX class_members_by_member ON class_members (organization_id, user_id, class_id);
CREATE INDEX class_members_by_role ON class_members (organization_id, class_id, role, user_id);

-- class_id is empty for organization-wide requests.
CREATE TABLE join_requests (
    organization_id TEXT COLLATE "C" NOT NULL REFERENCES organizations (organization_id),
    class_id        TEXT COLLATE "C" NOT NULL,
    request_id      TEXT NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL,
    display_name    TEXT NOT NULL,
    email           TEXT NOT NULL,
    external_id     TEXT NOT NULL,
    state           TEXT NOT NULL,
    cause           TEXT NOT NULL,
    invitation      TEXT NOT NULL,
    redemption      TEXT NOT NULL,
    method          TEXT NOT NULL,
    decide_note     TEXT NOT NULL,
    decided_by      TEXT NOT NULL,
    create_time     BIGINT NOT NULL,
    decide_time     BIGINT,
    expire_time     BIGINT NOT NULL,
    PRIMARY KEY (organization_id, class_id, request_id)
);
-- One open request per (class, user) (03 P2).
CREATE UNIQUE INDEX join_requests_open ON join_requests (organization_id, class_id, user_id) WHERE state = 'PENDING';
CREATE INDEX join_requests_by_state ON join_requests (organization_id, class_id, state, request_id);
CREATE INDEX join_requests_by_user ON join_requests (organization_id, user_id, state, class_id, request_id);
CREATE INDEX join_requests_to_expire ON join_requests (expire_time) WHERE state = 'PENDING';

-- What was answered for each redemption, for ever the same (03 P1): no foreign key, never deleted.
CREATE TABLE admissions (
    redemption_id   TEXT PRIMARY KEY,
    organization_id TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL,
    invitation      TEXT NOT NULL,
    epoch           BIGINT NOT NULL,
    outcome         TEXT NOT NULL,
    refuse_reason   TEXT NOT NULL,
    request_id      TEXT NOT NULL,
    create_time     BIGINT NOT NULL
);

-- Redemptions of an invitation below its epoch are stale (03 P7). Never lowered.
CREATE TABLE fences (
    invitation  TEXT PRIMARY KEY,
    epoch       BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Whom staff removed, and when (R8). class_id is empty for the organization.
CREATE TABLE removals (
    organization_id TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL,
    remove_time     BIGINT NOT NULL,
    PRIMARY KEY (organization_id, class_id, user_id)
);

CREATE TABLE events (
    sequence        BIGSERIAL PRIMARY KEY,
    position        BIGINT UNIQUE,
    event_id        TEXT NOT NULL UNIQUE,
    event_type      TEXT NOT NULL,
    organization_id TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C",
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
    body_mac    BYTEA NOT NULL,
    response    BYTEA,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (subject, acting_user, method, request_id)
);
CREATE INDEX request_ids_by_create_time ON request_ids (create_time);
