-- An index of a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- Those who joined an organization by one invitation, such as a code that has leaked, are found without reading its
-- other members.
CREATE INDEX organization_members_by_invitation
    ON organization_members (organization_id, invitation, user_id, join_time) WHERE invitation <> '';
