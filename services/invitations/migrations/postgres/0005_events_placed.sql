-- An index of a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- Whoever waits for one lock at a time cannot stand in the way of the stronger one that is taken below.
LOCK TABLE events IN ACCESS EXCLUSIVE MODE;

-- An event enters these once, when it is placed, and not when it is written.
CREATE UNIQUE INDEX events_placed ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_placed_by_organization ON events (organization_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_placed_by_class ON events (organization_id, class_id, position)
    WHERE position IS NOT NULL AND class_id IS NOT NULL;

DROP INDEX events_by_organization;
DROP INDEX events_by_class;
ALTER TABLE events DROP CONSTRAINT events_position_key;
-- No statement finds an event by its id, which is random.
ALTER TABLE events DROP CONSTRAINT events_event_id_key;
