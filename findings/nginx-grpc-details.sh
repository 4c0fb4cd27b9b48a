#!/usr/bin/env bash
# nginx turns a gRPC error with more than 4 KiB of details into UNAVAILABLE.
#
# Guessed: an error travels in trailers, which have their own limits, if any:
#   grpc_buffer_size is said to be for reading the response, which is passed on
#   as it comes.
# Happens: a call that fails without a message has its status in the first
#   HEADERS frame ("Trailers-Only"), so it is a response header to nginx, which
#   must fit into grpc_buffer_size (a memory page, 4 KiB). A larger one becomes
#   502, which is UNAVAILABLE to grpcio. The same details after a message
#   pass.
# Versions: nginx 1.22.1 (Debian 12), grpcio and grpcio-status 1.85.3.
# Matters: a batch with a few mistakes is refused with its mistakes; one with
#   many "failed because the service is down", and the caller sends it again and
#   again. grpc_buffer_size 16k avoids it.
# Needs Debian 12 with its package lists (apt-get update).
set -euo pipefail

scratch=$(mktemp -d)
started=()
stop() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap stop EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  grpcio==1.85.3 grpcio-status==1.85.3 googleapis-common-protos==1.76.0 protobuf==7.36.2 >&2
(
  cd "$scratch"
  apt-get download -qq nginx=1.22.1-9+deb12u11 2>/dev/null
  dpkg -x nginx_*.deb debian
)

recorded='directly
  10 mistakes: INVALID_ARGUMENT with 10 violations
  100 mistakes: INVALID_ARGUMENT with 100 violations
  100 mistakes after a message: INVALID_ARGUMENT with 100 violations
through nginx
  10 mistakes: INVALID_ARGUMENT with 10 violations
  100 mistakes: UNAVAILABLE, Received http2 header with status: 502
  100 mistakes after a message: INVALID_ARGUMENT with 100 violations
through nginx with grpc_buffer_size 16k
  10 mistakes: INVALID_ARGUMENT with 10 violations
  100 mistakes: INVALID_ARGUMENT with 100 violations
  100 mistakes after a message: INVALID_ARGUMENT with 100 violations'

cat >"$scratch/server.py" <<'PY'
import os
import sys
from concurrent import futures

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


def refuse(request, context):
    mistakes = error_details_pb2.BadRequest()
    for row in range(int(request)):
        mistakes.field_violations.add(field=f"requests[{row}].user.email", description="is not an address")
    detail = any_pb2.Any()
    detail.Pack(mistakes)
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=3, message="There are mistakes.", details=[detail]))
    )


def refuse_late(request, context):
    yield b"begun"
    refuse(request, context)


handler = grpc.method_handlers_generic_handler(
    "school.Redemptions",
    {
        "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        "RefuseLate": grpc.unary_stream_rpc_method_handler(refuse_late),
    },
)
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[handler])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.wait_for_termination()
PY
cat >"$scratch/client.py" <<'PY'
import socket
import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

name, port = sys.argv[1], int(sys.argv[2])
for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.1)
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
refuse = channel.unary_unary("/school.Redemptions/Refuse")
late = channel.unary_stream("/school.Redemptions/RefuseLate")


def show(what, call):
    try:
        call()
    except grpc.RpcError as error:
        answer = f"{error.code().name}, {error.details()}"
        if status := rpc_status.from_call(error):
            mistakes = error_details_pb2.BadRequest()
            status.details[0].Unpack(mistakes)
            answer = f"{error.code().name} with {len(mistakes.field_violations)} violations"
    print(f"  {what}: {answer}")


print(name)
show("10 mistakes", lambda: refuse(b"10", timeout=20))
show("100 mistakes", lambda: refuse(b"100", timeout=20))
show("100 mistakes after a message", lambda: list(late(b"100", timeout=20)))
PY

"$scratch/venv/bin/python" "$scratch/server.py" "$scratch/port" >&2 &
started+=($!)
for _ in $(seq 100); do [ -e "$scratch/port" ] || sleep 0.1; done
server=$(cat "$scratch/port")

# Starts nginx with a directive, and names its port in $port.
serve() {
  port=$("$scratch/venv/bin/python" -c \
    'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  mkdir "$scratch/$port"
  cat >"$scratch/$port/nginx.conf" <<CONF
daemon off;
master_process off;
pid pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  $1
  server {
    listen 127.0.0.1:$port http2;
    location / { grpc_pass grpc://127.0.0.1:$server; }
  }
}
CONF
  "$scratch/debian/usr/sbin/nginx" -p "$scratch/$port" -c "$scratch/$port/nginx.conf" -e "$scratch/$port/log" &
  started+=($!)
}

ask() { timeout 60 "$scratch/venv/bin/python" "$scratch/client.py" "$1" "$2" || true; }
serve ''
plain=$port
serve 'grpc_buffer_size 16k;'
seen=$(
  ask "directly" "$server"
  ask "through nginx" "$plain"
  ask "through nginx with grpc_buffer_size 16k" "$port"
)
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
