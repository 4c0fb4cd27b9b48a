begin;
with joins as (select id(:t::bigint, :u::bigint + g) as id, :u::bigint + g as u from generate_series(1, :batch::int) as g),
settled as (
  update inv.redemptions set state = 'COMMITTED', outcome = 'ADMITTED', settle_time = 1000 * :t::bigint
  where redemption_id = any (array(select id from joins)) and state = 'RESERVED'
),
told as (
  insert into inv.events (event_id, event_type, organization_id, class_id, subject, actor, notify, data, create_time)
  select gen_random_uuid()::text, 'redemption.committed', :o, 'biology', redemption(:organization, id), user_id(u), '[]',
    json_build_object('invitation', :invitation::text, 'user', user_id(u))::text, 1000 * :t::bigint from joins
)
update inv.invitations set uses_reserved = uses_reserved - :batch::int, uses_committed = uses_committed + :batch::int
where invitation_id = :invitation_id;
commit;
