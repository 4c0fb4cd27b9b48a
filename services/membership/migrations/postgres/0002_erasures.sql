-- Times are microseconds since 1970-01-01 UTC.

-- An index of a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- Erasures done (R13): the pseudonym is the key, so that none is done twice. Nothing here leads to a person.
CREATE TABLE erasures (
    pseudonym   TEXT PRIMARY KEY,
    create_time BIGINT NOT NULL
);

-- What is kept of a person, wherever it is.
CREATE INDEX admissions_by_user ON admissions (user_id);
CREATE INDEX join_requests_by_person ON join_requests (user_id);
CREATE INDEX removals_by_user ON removals (user_id);
