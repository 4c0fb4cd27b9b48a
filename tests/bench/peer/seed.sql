-- Users, each with a session and an invitation that waits, into so many organizations.
-- Takes :run, which makes ids differ from those before, :users and :organizations.
truncate "user", "session", "account", "verification", "organization", "member", "invitation" cascade;
insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt")
  select :'run' || 'u' || g, 's', :'run' || 'u' || g || '@x.test', true, now(), now()
  from generate_series(0, :users) g;
insert into "session" (id, "expiresAt", token, "createdAt", "updatedAt", "userId")
  select :'run' || 's' || g, now() + interval '7 day', :'run' || 't' || g, now(), now(), :'run' || 'u' || g
  from generate_series(1, :users) g;
insert into "organization" (id, name, slug, "createdAt")
  select :'run' || 'o' || g, 'o', :'run' || 'o' || g, now() from generate_series(1, :organizations) g;
insert into "invitation" (id, "organizationId", email, role, status, "expiresAt", "createdAt", "inviterId")
  select :'run' || 'i' || g, :'run' || 'o' || (1 + g % :organizations), :'run' || 'u' || g || '@x.test', 'member',
         'pending', now() + interval '2 day', now(), :'run' || 'u0'
  from generate_series(1, :users) g;
