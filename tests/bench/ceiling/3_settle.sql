begin;
with joins as (select id(:t::bigint, :u::bigint + g) as id, :u::bigint + g as u from generate_series(1, :batch::int) as g),
settled as (
  update inv.redemptions set state = 'COMMITTED', outcome = 'ADMITTED', settle_time = 1000 * :t::bigint
  where redemption_id = any (array(select id from joins)) and state = 'RESERVED'
)
update inv.invitations set uses_reserved = uses_reserved - :batch::int, uses_committed = uses_committed + :batch::int
where invitation_id = :invitation_id;
with joins as (select id(:t::bigint, :u::bigint + g) as id, :u::bigint + g as u from generate_series(1, :batch::int) as g)
select inv.append_events(jsonb_agg(jsonb_build_object('id', gen_random_uuid(), 'type', 'redemption.committed',
  'organization', :o::text, 'class', 'biology', 'subject', redemption(:organization, id), 'actor', user_id(u),
  'notify', '[]', 'data', json_build_object('invitation', :invitation::text, 'user', user_id(u))::text)),
  1000 * :t::bigint) from joins;
commit;
