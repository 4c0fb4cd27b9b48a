#!/usr/bin/env bash
# With sentry-sdk's GRPCIntegration a gRPC call by future() blocks until its
# answer is there.
#
# Guessed: an integration that reports errors watches calls and leaves their
#   behavior alone; future() returns at once, as grpcio documents.
# Happens: the interceptor asks each unary call for its status code before it
#   hands it over, and code() waits for the end of the call. Calls that were
#   meant to run at the same time run one after the other. This happens with and
#   without tracing. grpc.aio is not concerned.
# Versions: sentry-sdk 2.75.0, grpcio 1.85.3.
# Matters: a page that redeems or reads five things at once takes five times as
#   long in production, where Sentry is on, and not in tests, where it is off.
#   A cancel() or a wait for the first of several answers comes too late.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  sentry-sdk==2.75.0 grpcio==1.85.3 protobuf==7.36.2 >&2

recorded='without sentry-sdk
  future(): 5 of 5 returned before the answer; the server had at most 5 at a time
  grpc.aio: the server had at most 5 at a time
GRPCIntegration with tracing
  future(): 0 of 5 returned before the answer; the server had at most 1 at a time
  grpc.aio: the server had at most 5 at a time
GRPCIntegration without tracing
  future(): 0 of 5 returned before the answer; the server had at most 1 at a time
  grpc.aio: the server had at most 5 at a time'

cat >"$scratch/redeem.py" <<'PY'
import asyncio
import sys
import threading
import time
from concurrent import futures

import grpc

METHOD = "/school.Redemptions/Redeem"
print(sys.argv[1])
if sys.argv[1] != "without sentry-sdk":
    import sentry_sdk
    from sentry_sdk.integrations.grpc import GRPCIntegration

    class Nowhere(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope):
            pass

    sentry_sdk.init(
        dsn="http://key@127.0.0.1/1",
        transport=Nowhere,
        integrations=[GRPCIntegration()],
        traces_sample_rate=1.0 if sys.argv[1].endswith("with tracing") else None,
    )

lock = threading.Lock()
now = most = 0


def redeem(request, _):
    global now, most
    with lock:
        now += 1
        most = max(most, now)
    time.sleep(1)
    with lock:
        now -= 1
    return request


handler = grpc.method_handlers_generic_handler(
    "school.Redemptions", {"Redeem": grpc.unary_unary_rpc_method_handler(redeem)}
)
server = grpc.server(futures.ThreadPoolExecutor(10), handlers=[handler])
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()

with grpc.insecure_channel(address) as channel:
    call = channel.unary_unary(METHOD)
    early = 0
    calls = []
    for _ in range(5):
        calls.append(call.future(b"", timeout=30))
        early += not calls[-1].done()
    for one in calls:
        one.result()
print(f"  future(): {early} of 5 returned before the answer; the server had at most {most} at a time")

most = 0


async def by_aio():
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        await asyncio.gather(*(call(b"", timeout=30) for _ in range(5)))


asyncio.run(by_aio())
print(f"  grpc.aio: the server had at most {most} at a time")
server.stop(0).wait()
PY

seen=$(
  for how in "without sentry-sdk" "GRPCIntegration with tracing" "GRPCIntegration without tracing"; do
    timeout 60 "$scratch/venv/bin/python" "$scratch/redeem.py" "$how" || true
  done
)
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
