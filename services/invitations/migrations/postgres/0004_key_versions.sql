-- An index of a large table takes longer than a call may.
SET LOCAL statement_timeout = 0;

-- What each version of the key ring makes of a fixed text: another key under the same version shows at start.
CREATE TABLE key_checks (
    key_version BIGINT PRIMARY KEY,
    check_mac   BYTEA NOT NULL,
    -- When a service first started with this version.
    create_time BIGINT NOT NULL
);

-- The living secrets by the version of their key, for rotation.
CREATE INDEX invitations_by_key_version ON invitations (key_version, invitation_id) WHERE sealed IS NOT NULL;
