-- Times are microseconds from 1970-01-01 UTC. Ids are UUIDv7 of the same times: what is listed and pruned by time goes by them.

-- Attempts that were refused and left no redemption. No credential and no address stand in here.
CREATE TABLE refused_attempts (
    attempt_id       TEXT PRIMARY KEY,
    -- That the attempt names, or that its living credential belongs to; else empty.
    organization_id  TEXT NOT NULL,
    class_id         TEXT NOT NULL,
    -- Resource name; empty of what opens nothing (R5).
    invitation       TEXT NOT NULL,
    user_id          TEXT NOT NULL,
    calling_service  TEXT NOT NULL,
    preview          BOOLEAN NOT NULL,
    reason           TEXT NOT NULL,
    limiter_decision TEXT NOT NULL,
    create_time      BIGINT NOT NULL
);
CREATE INDEX refused_attempts_by_organization ON refused_attempts (organization_id, attempt_id);
CREATE INDEX refused_attempts_by_user ON refused_attempts (user_id, attempt_id);

-- Who read or changed which invitation (R12). No secret stands in here.
CREATE TABLE audit_entries (
    entry_id        TEXT PRIMARY KEY,
    -- Empty of what concerns no single organization.
    organization_id TEXT NOT NULL,
    class_id        TEXT NOT NULL,
    actor           TEXT NOT NULL,
    calling_service TEXT NOT NULL,
    method          TEXT NOT NULL,
    -- Resource name.
    subject         TEXT NOT NULL,
    -- The call's x-request-id.
    request_id      TEXT NOT NULL,
    create_time     BIGINT NOT NULL
);
CREATE INDEX audit_entries_by_place ON audit_entries (organization_id, class_id, entry_id);
CREATE INDEX audit_entries_by_organization ON audit_entries (organization_id, entry_id);
CREATE INDEX audit_entries_by_actor ON audit_entries (actor, entry_id);
CREATE INDEX audit_entries_by_subject ON audit_entries (subject, entry_id);
