\set c random(1, :norg) - 1
\set u random(1, 100000000000000)
select invitation_id, kind, epoch, enabled, max_uses, uses_committed, uses_reserved, uses_queued, lock_period, unlock_time,
  issue_time, organization_id as o, 'organizations/' || organization_id as organization,
  'organizations/' || organization_id || '/classes/biology/classCode' as invitation,
  (extract(epoch from clock_timestamp()) * 1000)::bigint as t
from inv.invitations where lookup_mac = sha256(int8send(:c::bigint)) \gset
