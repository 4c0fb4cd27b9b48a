-- One that waits is not in the way of the one that took its use over (P2).
DROP INDEX redemptions_living;
CREATE UNIQUE INDEX redemptions_living ON redemptions (invitation_id, epoch, user_id)
    WHERE state = 'RESERVED' OR (state = 'QUEUED' AND holds_use);

-- What stands of a person by an invitation: who was let in by it before spends nothing more (P4).
CREATE INDEX redemptions_standing ON redemptions (invitation_id, user_id)
    WHERE state IN ('RESERVED', 'QUEUED', 'COMMITTED');
