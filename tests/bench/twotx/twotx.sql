\set c random(1, :norg)
\set u random(1, 1000000000000000)
select id, org_id from inv.code where hash = sha256(int8send(:c)) and expires_at > now();
begin;
update mem.org set used = used + 1 where id = :c and used < licensed;
insert into mem.membership (org_id, user_id, role) values (:c, :u, 'student') on conflict do nothing;
insert into mem.outbox (topic, payload) values ('joined', jsonb_build_object('org', :c::int, 'user', :u::bigint));
commit;
begin;
insert into inv.redemption (code_id, user_id) values (:c, :u);
insert into inv.outbox (topic, payload) values ('redeemed', jsonb_build_object('code', :c::int, 'user', :u::bigint));
commit;
