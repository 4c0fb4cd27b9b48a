-- Reading a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- Whom staff added or changed before it was noted what they set: whatever is known of them stays.
UPDATE organization_members SET set_by_hand = CASE WHEN display_name = '' THEN 0 ELSE 1 END
    + CASE WHEN email = '' THEN 0 ELSE 2 END + CASE WHEN external_id = '' THEN 0 ELSE 4 END
    WHERE method = 'ADDED' OR revision > 1;

-- An external id is kept without the blanks at its ends.
UPDATE organization_members SET external_id = trim(external_id) WHERE external_id <> trim(external_id);
