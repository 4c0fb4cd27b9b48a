begin;
with joins as (select id(:t::bigint, :u::bigint + g) as id, :u::bigint + g as u from generate_series(1, :batch::int) as g),
redeemed as (
  insert into inv.redemptions (redemption_id, invitation_id, invitation, kind, epoch, organization_id, class_id, user_id,
    display_name, email, external_id, route, queue_cause, refuse_if_unknown, issue_time, allow_rejoin, holds_use, state,
    outcome, refuse_reason, join_request, tries, next_try_time, create_time)
  select id, :invitation_id, :invitation, 'class_code', :epoch, :o, 'biology', user_id(u), '', '', '', 'ADMIT_AT_ONCE', '',
    '', :issue_time, false, true, 'RESERVED', '', '', '', 0, 1000 * :t::bigint, 1000 * :t::bigint from joins
),
asked as (
  insert into inv.redemption_request_ids (subject, acting_user, method, request_id, body_mac, redemption_id, create_time)
  select 'bench', user_id(u), '/homeroom.invitations.v1.RedemptionService/Redeem', md5(u::text)::uuid::text,
    sha256(int8send(u)), id, 1000 * :t::bigint from joins
)
update inv.invitations set uses_reserved = uses_reserved + :batch::int where invitation_id = :invitation_id;
commit;
