-- redemptions_by_person finds the same rows: a person redeems in few organizations.
DROP INDEX redemptions_by_user;

-- A redemption of a person who was a member already is kept for as long as its request ids are known (R3), then deleted.
CREATE INDEX redemptions_to_forget ON redemptions (settle_time)
    WHERE state = 'RELEASED' AND outcome = 'ALREADY_MEMBER';
