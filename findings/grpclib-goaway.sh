#!/usr/bin/env bash
# grpclib gives up the calls in progress when a server takes leave in order.
#
# Guessed: GOAWAY ends a connection for new calls only, as HTTP/2 says; those
#   that the server has accepted get their answers during its grace period.
# Happens: on GOAWAY grpclib closes the connection at once. Every call on it
#   raises StreamTerminatedError, which is no GRPCError and has no status; the
#   server carries the call out nevertheless.
# Versions: grpclib 0.4.9 (also the transport of betterproto), grpcio 1.85.3 as
#   the server and for comparison.
# Matters: servers send GOAWAY at each rolling restart, and whenever a connection
#   reaches its greatest age, with nothing wrong. An enrollment then "fails"
#   that was stored: catch StreamTerminatedError like UNAVAILABLE, and repeat
#   the call with the same request id.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  grpcio==1.85.3 grpclib==0.4.9 protobuf==7.36.2 >&2

recorded='a server that stops with 20 seconds of grace
  grpcio: answered; carried out 1 time
  grpclib: StreamTerminatedError, GRPCError: False; carried out 1 time
a connection that reaches its age with 20 seconds of grace
  grpcio: answered; carried out 1 time
  grpclib: StreamTerminatedError, GRPCError: False; carried out 1 time'

cat >"$scratch/leave.py" <<'PY'
import asyncio
import threading
import time
from concurrent import futures

import grpc
from google.protobuf.empty_pb2 import Empty
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError

METHOD = "/school.Classes/Enroll"


class Server(grpc.GenericRpcHandler):
    def __init__(self, *options):
        self.begun, self.done = threading.Event(), []
        self.server = grpc.server(futures.ThreadPoolExecutor(2), options=options)
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def enroll(self, request, context):
        self.begun.set()
        time.sleep(3)
        self.done.append(request)
        return b""

    def service(self, _):
        return grpc.unary_unary_rpc_method_handler(self.enroll)


def by_grpcio(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        channel.unary_unary(METHOD)(b"", timeout=20)
    return "answered"


def by_grpclib(server):
    async def call():
        async with Channel("127.0.0.1", server.port) as channel:
            try:
                await UnaryUnaryMethod(channel, METHOD, Empty, Empty)(Empty(), timeout=20)
                return "answered"
            except Exception as error:
                return f"{type(error).__name__}, GRPCError: {isinstance(error, GRPCError)}"

    return asyncio.run(call())


for title, options, stops in (
    ("a server that stops with 20 seconds of grace", (), True),
    (
        "a connection that reaches its age with 20 seconds of grace",
        (("grpc.max_connection_age_ms", 1000), ("grpc.max_connection_age_grace_ms", 20000)),
        False,
    ),
):
    print(title)
    for name, client in (("grpcio", by_grpcio), ("grpclib", by_grpclib)):
        server = Server(*options)
        with futures.ThreadPoolExecutor(1) as thread:
            outcome = thread.submit(client, server)
            server.begun.wait(10)
            if stops:
                server.server.stop(20)
            outcome = outcome.result()
        for _ in range(100):
            if server.done:
                break
            time.sleep(0.1)
        print(f"  {name}: {outcome}; carried out {len(server.done)} time")
        server.server.stop(0)
PY

seen=$(timeout 90 "$scratch/venv/bin/python" "$scratch/leave.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
