-- Clones what one person left in a database, so often as :copies says: each copy is a row that the service wrote,
-- with ids of its own. :ids are the person's id and the UUIDs that belong to it; the nth copy of an id is the same
-- in both databases. :tables are the tables in the order in which they are written. :base makes the copies' places
-- in the feed, which lie before all that a follower still reads, differ from those of other runs.
create function pg_temp.copy_of(id text, g bigint) returns text language sql immutable as $$
  select case
    when id like 'user-%' then 'user-' || left(md5(id || g), 16)
    -- A UUID of version 7, g milliseconds older.
    else left(time, 8) || '-' || right(time, 4) || '-7' || left(random, 3) || '-8' || substr(random, 4, 3) || '-'
      || substr(random, 7, 12)
  end
  from (select lpad(to_hex(('x' || lpad(replace(left(id, 13), '-', ''), 16, '0'))::bit(64)::bigint - g), 12, '0') as time,
               md5(id || g) as random) as parts
$$;
create function pg_temp.renamed(line text, ids text[], g bigint) returns jsonb language plpgsql immutable as $$
declare
  id text;
begin
  foreach id in array ids loop
    line := replace(line, id, pg_temp.copy_of(id, g));
  end loop;
  return line::jsonb;
end $$;

select format(
  $q$
  insert into %1$I
  select made.* from (
    select pg_temp.renamed(line, %2$L, g) || jsonb_build_object(
      'event_id', gen_random_uuid(), 'sequence', place, 'position', place) as line
    from (
      select line, g, - %4$s - row_number() over () as place
      from (select to_jsonb(t)::text as line from %1$I as t) as rows cross join generate_series(1, %3$s) as g
      where exists (select from unnest(%2$L::text[]) as id where position(id in line) > 0)
    ) as placed
  ) as copies cross join lateral jsonb_populate_record(null::%1$I, copies.line) as made
  $q$,
  name, :'ids', :copies, :base)
from unnest(:'tables'::text[]) with ordinality as tables (name, number) order by number
\gexec
