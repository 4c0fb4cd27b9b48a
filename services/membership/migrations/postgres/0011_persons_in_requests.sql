-- A lock on a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- The ended requests that still say who asked: retention finds the oldest of them.
CREATE INDEX join_requests_of_persons ON join_requests (decide_time)
    WHERE decide_time IS NOT NULL AND (display_name <> '' OR email <> '' OR external_id <> '' OR decide_note <> '');
