-- A lock on a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- What later redemptions replace: name (1), address (2) and external id (4) but those that staff set by hand, by what was
-- told after this time, in microseconds since 1970-01-01 UTC.
ALTER TABLE organization_members ADD COLUMN told_time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE organization_members ADD COLUMN set_by_hand BIGINT NOT NULL DEFAULT 0;
-- Whomever the version before this one adds meanwhile may have been typed by staff.
ALTER TABLE organization_members ALTER COLUMN set_by_hand SET DEFAULT 7;
