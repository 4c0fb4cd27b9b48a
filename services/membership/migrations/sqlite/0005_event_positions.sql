UPDATE events SET position = placed.position FROM (
    SELECT sequence,
        (SELECT coalesce(max(position), 0) FROM events) + row_number() OVER (ORDER BY sequence) AS position
    FROM events WHERE position IS NULL
) AS placed WHERE events.sequence = placed.sequence;

-- The version before this one writes events without a position while any of them has none. The trigger goes when
-- that version is gone.
CREATE TRIGGER place_event AFTER INSERT ON events FOR EACH ROW WHEN NEW.position IS NULL
BEGIN
    UPDATE events SET position = (SELECT coalesce(max(position), 0) + 1 FROM events) WHERE sequence = NEW.sequence;
END;
