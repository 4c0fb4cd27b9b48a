-- What later redemptions replace: name (1), address (2) and external id (4) but those that staff set by hand, by what was
-- told after this time, in microseconds since 1970-01-01 UTC.
ALTER TABLE organization_members ADD COLUMN told_time BIGINT NOT NULL DEFAULT 0;
ALTER TABLE organization_members ADD COLUMN set_by_hand BIGINT NOT NULL DEFAULT 0;
