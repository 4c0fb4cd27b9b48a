SET LOCAL statement_timeout = 0;

-- Every kind of which a place has many is named here, and a new kind of which it has one is not.
DROP INDEX invitations_singleton;
CREATE UNIQUE INDEX invitations_singleton ON invitations (organization_id, class_id, kind)
    WHERE kind NOT IN ('class_token', 'enrollment_code');
