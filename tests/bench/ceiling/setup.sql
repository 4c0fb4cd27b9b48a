-- Makes what the services wrote reachable for pgbench, which knows numbers alone.
update inv.invitations set lookup_mac = sha256(int8send(substr(organization_id, 5)::bigint)) where kind = 'class_code';
-- A UUID of version 7.
create function id(millis bigint, number bigint) returns text language sql immutable as $$
  select overlay(lpad(to_hex(millis), 12, '0') placing '-' from 9 for 0) || '-7000-8000-' || lpad(to_hex(number), 12, '0')
$$;
create function user_id(number bigint) returns text language sql immutable as $$
  select 'user-' || lpad(to_hex(number), 16, '0')
$$;
create function redemption(organization text, id text) returns text language sql immutable as $$
  select organization || '/redemptions/' || id
$$;
