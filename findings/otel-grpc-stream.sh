#!/usr/bin/env bash
# With OpenTelemetry's gRPC instrumentation for Python a call that answers with
# a stream is not sent until somebody reads from it.
#
# Guessed: tracing a call changes nothing about it: grpcio sends the request of
#   a server stream when the method is called, and counts its deadline from
#   there.
# Happens: the interceptor is a generator. The call does nothing but make it; the
#   request goes out at the first next(), and the deadline begins there. What
#   the caller holds has no cancel(), code() or initial_metadata() either.
#   grpc.aio sends at once.
# Versions: opentelemetry-instrumentation-grpc 0.66b2, opentelemetry-sdk 1.45.2,
#   grpcio 1.85.3.
# Matters: "open the watch, then act, then read what the watch says" misses what
#   it waits for, without an error, as soon as tracing is switched on. Begin a
#   watch from a position that was read before, or read in a thread of its own.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  opentelemetry-instrumentation-grpc==0.66b2 opentelemetry-sdk==1.45.2 grpcio==1.85.3 >&2

recorded='without instrumentation
  a second after the call: the server has 1 watch; cancel() is there
  events: ada joined, bob joined
  grpc.aio, a second after the call: the server has 1 watch
with instrumentation
  a second after the call: the server has 0 watches; cancel() is missing
  events: bob joined
  grpc.aio, a second after the call: the server has 1 watch'

cat >"$scratch/watch.py" <<'PY'
import asyncio
import queue
import sys
import threading
import time
from concurrent import futures

import grpc

print(sys.argv[1])
if sys.argv[1] == "with instrumentation":
    from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient, GrpcInstrumentorClient
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    GrpcInstrumentorClient().instrument(tracer_provider=provider)
    GrpcAioInstrumentorClient().instrument(tracer_provider=provider)

watches = []


def watch(_, context):
    """Passes on what happens from now on, up to bob."""
    mine = queue.Queue()
    watches.append(mine)
    context.add_callback(lambda: mine.put(b""))
    while event := mine.get():
        yield event
        if event == b"bob joined":
            return


def say(event):
    for one in watches:
        one.put(event)


def count():
    time.sleep(1)
    return f"the server has {len(watches)} watch{'' if len(watches) == 1 else 'es'}"


handler = grpc.method_handlers_generic_handler(
    "school.Events", {"Watch": grpc.unary_stream_rpc_method_handler(watch)}
)
server = grpc.server(futures.ThreadPoolExecutor(10), handlers=[handler])
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()

with grpc.insecure_channel(address) as channel:
    stream = channel.unary_stream("/school.Events/Watch")(b"", timeout=30)
    there = "there" if hasattr(stream, "cancel") else "missing"
    print(f"  a second after the call: {count()}; cancel() is {there}")
    say(b"ada joined")
    threading.Timer(2, say, [b"bob joined"]).start()
    print("  events:", ", ".join(event.decode() for event in stream))

watches.clear()


async def by_aio():
    async with grpc.aio.insecure_channel(address) as channel:
        stream = channel.unary_stream("/school.Events/Watch")(b"", timeout=30)
        print("  grpc.aio, a second after the call:", await asyncio.to_thread(count))
        stream.cancel()


asyncio.run(by_aio())
server.stop(0).wait()
PY

seen=$(
  for how in "without instrumentation" "with instrumentation"; do
    timeout 60 "$scratch/venv/bin/python" "$scratch/watch.py" "$how" || true
  done
)
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
