-- The class's id in the school's own system; empty: none.
ALTER TABLE classes ADD COLUMN external_id TEXT NOT NULL DEFAULT '';
