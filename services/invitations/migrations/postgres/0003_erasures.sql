-- Times are microseconds since 1970-01-01 UTC.

-- An index of a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- Erasures begun and done (R13). Once one is done nothing here leads to a person.
CREATE TABLE erasures (
    pseudonym   TEXT PRIMARY KEY,
    -- Whom; empty once done.
    user_id     TEXT NOT NULL,
    -- JSON: by organization, the addresses and school ids by which tokens are assigned; empty list once done.
    particulars TEXT NOT NULL,
    -- Who asked for it; empty once done, when the event of it says so.
    actor       TEXT NOT NULL,
    create_time BIGINT NOT NULL,
    -- Absent while it is under way.
    done_time   BIGINT
);
CREATE INDEX erasures_under_way ON erasures (create_time) WHERE done_time IS NULL;
-- One at a time of a person.
CREATE UNIQUE INDEX erasures_of_person ON erasures (user_id) WHERE done_time IS NULL;

-- What is kept of a person, wherever it is.
CREATE INDEX redemptions_by_person ON redemptions (user_id, redemption_id);
CREATE INDEX redemption_request_ids_by_redemption ON redemption_request_ids (redemption_id);
