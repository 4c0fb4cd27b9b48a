-- A lock on a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- When what a redemption says of its person was vouched for, in microseconds since 1970-01-01 UTC.
ALTER TABLE redemptions ADD COLUMN vouch_time BIGINT;
