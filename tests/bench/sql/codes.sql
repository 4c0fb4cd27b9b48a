-- Adds :codes class codes, each of a class of its own, like one that the service made.
select format(
  'insert into invitations (%s) select %s from (select * from invitations where kind = ''class_code'' limit 1) as t
   cross join generate_series(1, %s) as g',
  string_agg(quote_ident(attname), ', ' order by attnum),
  string_agg(coalesce(expression, 't.' || quote_ident(attname)), ', ' order by attnum),
  :codes)
from pg_attribute left join (values
  ('invitation_id', $$overlay(lpad(to_hex(1700000000000 + g), 12, '0') placing '-' from 9 for 0)
    || '-7' || left(md5(g::text), 3) || '-8' || substr(md5(g::text), 4, 3) || '-' || substr(md5(g::text), 7, 12)$$),
  ('organization_id', $$'org-of-codes-' || g % 10000$$),
  ('class_id', $$'class-' || g$$),
  ('lookup_mac', $$decode(md5(random()::text) || md5(random()::text), 'hex')$$)
) as other (name, expression) on name = attname
where attrelid = 'invitations'::regclass and attnum > 0 and not attisdropped
\gexec
