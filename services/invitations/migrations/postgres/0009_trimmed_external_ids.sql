-- Reading a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- An external id is compared without the blanks at its ends.
UPDATE invitations SET external_id = trim(external_id) WHERE external_id <> trim(external_id);
