begin;
select seat_limit, seats_used from mem.organization_seats where organization_id = :o for update;
with joins as (select id(:t::bigint, :u::bigint + g) as id, :u::bigint + g as u from generate_series(1, :batch::int) as g),
admitted as (
  insert into mem.admissions (redemption_id, organization_id, class_id, user_id, invitation, epoch, outcome, refuse_reason,
    request_id, create_time)
  select id, :o, 'biology', user_id(u), :invitation, :epoch, 'ADMITTED', '', '', 1000 * :t::bigint from joins
),
joined as (
  insert into mem.organization_members (organization_id, user_id, display_name, email, external_id, role, join_time,
    invitation, redemption, approved_by, method, revision)
  select :o, user_id(u), '', '', '', 'STUDENT', 1000 * :t::bigint, :invitation, redemption(:organization, id), '',
    'CLASS_CODE', 1 from joins on conflict do nothing
)
update mem.organization_seats set seats_used = seats_used + :batch::int where organization_id = :o;
insert into mem.class_members (organization_id, class_id, user_id, role, join_time, invitation, redemption, approved_by,
  method, revision)
select :o, 'biology', user_id(:u::bigint + g), 'STUDENT', 1000 * :t::bigint, :invitation,
  redemption(:organization, id(:t::bigint, :u::bigint + g)), '', 'CLASS_CODE', 1
from generate_series(1, :batch::int) as g on conflict do nothing;
with joins as (select id(:t::bigint, :u::bigint + g) as id, :u::bigint + g as u from generate_series(1, :batch::int) as g)
select mem.append_events(jsonb_agg(jsonb_build_object('id', gen_random_uuid(), 'type', 'member.joined',
  'organization', :o::text, 'class', class_id,
  'subject', :organization || coalesce('/classes/' || class_id, '') || '/members/' || user_id(u), 'actor', user_id(u),
  'notify', '[]', 'data', json_build_object('invitation', :invitation::text, 'method', 'CLASS_CODE',
    'redemption', redemption(:organization, id), 'role', 'STUDENT', 'user', user_id(u))::text)), 1000 * :t::bigint)
from joins cross join (values (null), ('biology')) as places (class_id);
commit;
