-- Placing the events of a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- Nobody writes or places events until this is done.
LOCK TABLE events IN EXCLUSIVE MODE;
UPDATE events SET position = placed.position FROM (
    SELECT sequence,
        (SELECT coalesce(max(position), 0) FROM events) + row_number() OVER (ORDER BY sequence) AS position
    FROM events WHERE position IS NULL
) AS placed WHERE events.sequence = placed.sequence;

-- One transaction at a time adds to the feed, until it has committed. The version before this one places events
-- under the same lock. Each statement of a function sees what was committed before it began, so that the last
-- position is read after the lock was granted.
CREATE FUNCTION last_event_position() RETURNS BIGINT LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7525353784838418285);
    RETURN (SELECT coalesce(max(position), 0) FROM events);
END
$$;

-- A function, so that one message adds events and commits, and the statement in it stays prepared.
CREATE FUNCTION append_events(added JSONB, added_time BIGINT) RETURNS VOID LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $$
DECLARE
    last BIGINT := last_event_position();
BEGIN
    INSERT INTO events (position, event_id, event_type, organization_id, class_id, subject, actor, notify, data,
            create_time)
        SELECT last + input.key, input.value->>'id', input.value->>'type', input.value->>'organization',
            input.value->>'class', input.value->>'subject', input.value->>'actor', input.value->>'notify',
            input.value->>'data', added_time
        FROM jsonb_array_elements(added) WITH ORDINALITY AS input (value, key) ORDER BY input.key;
END
$$;

-- The version before this one writes events without a position. The trigger goes when that version is gone.
CREATE FUNCTION place_event() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.position := last_event_position() + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER place_event BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.position IS NULL)
    EXECUTE FUNCTION place_event();
