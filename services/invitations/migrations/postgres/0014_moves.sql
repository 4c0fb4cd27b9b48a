SET LOCAL statement_timeout = 0;

-- The account that another one becomes (R15); empty for an erasure, and once the move is done. The key of a move begins
-- with moved-, which the version before this one cannot carry out and leaves to this one.
ALTER TABLE erasures ADD COLUMN target TEXT NOT NULL DEFAULT '';
