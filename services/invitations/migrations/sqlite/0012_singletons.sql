-- Every kind of which a place has many is named here, and a new kind of which it has one is not. The index
-- invitations_singleton, which names those of which it has one, goes in the next release.
CREATE UNIQUE INDEX invitations_one_of_a_kind ON invitations (organization_id, class_id, kind)
    WHERE kind NOT IN ('class_token', 'enrollment_code');
