-- A lock on a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- The class's id in the school's own system; empty: none.
ALTER TABLE classes ADD COLUMN external_id TEXT NOT NULL DEFAULT '';
