-- How an enrolment code reads (O as 0, I and L as 1), under the key of its look-up. It counts while folded_lookup_mac is
-- lookup_mac: the version before this one changes, destroys and rotates codes without it.
ALTER TABLE invitations ADD COLUMN folded_mac BLOB;
ALTER TABLE invitations ADD COLUMN folded_lookup_mac BLOB;
CREATE INDEX invitations_by_folded_mac ON invitations (folded_mac, enabled) WHERE folded_mac IS NOT NULL;
-- Codes of the version before this one, to be folded.
CREATE INDEX invitations_unfolded ON invitations (organization_id, invitation_id)
    WHERE kind = 'enrollment_code' AND lookup_mac IS NOT NULL AND folded_lookup_mac IS DISTINCT FROM lookup_mac;

-- A prefix is found as it reads. organization_profiles_by_prefix goes when the version before this one is gone.
CREATE INDEX organization_profiles_by_folded_prefix
    ON organization_profiles (replace(replace(replace(code_prefix, 'O', '0'), 'I', '1'), 'L', '1'));
