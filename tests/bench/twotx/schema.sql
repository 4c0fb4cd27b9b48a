-- Nothing but what one redemption touches, in the two databases' tables: inv is the one's, mem the other's.
create schema inv;
create schema mem;
create table mem.org (
  id int primary key, licensed bigint not null, used bigint not null default 0
) with (fillfactor = 50);
create table mem.membership (
  org_id int not null, user_id bigint not null, role text not null, created_at timestamptz not null default now(),
  primary key (org_id, user_id)
);
create table mem.outbox (
  id bigint generated always as identity primary key,
  topic text not null, payload jsonb not null, created_at timestamptz not null default now()
);
create table inv.code (
  id int primary key, hash bytea not null unique, org_id int not null,
  expires_at timestamptz not null, max_uses bigint not null
);
create table inv.redemption (
  id bigint generated always as identity primary key, code_id int not null, user_id bigint not null,
  created_at timestamptz not null default now(), unique (code_id, user_id)
);
create table inv.outbox (
  id bigint generated always as identity primary key,
  topic text not null, payload jsonb not null, created_at timestamptz not null default now()
);
insert into mem.org select g, 1000000000 from generate_series(1, 1000) g;
insert into inv.code select g, sha256(int8send(g)), g, now() + interval '1 year', 1000000000
  from generate_series(1, 1000) g;
