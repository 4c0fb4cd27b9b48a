#!/usr/bin/env bash
# A retryPolicy stops retrying, without a word, once a request is large.
#
# Guessed: a call is retried because of its status, whatever its size, up to
#   the 4 MiB that a server accepts.
# Happens: to send a request again a client has to keep it. grpcio keeps up to
#   256 KiB for each call, grpc-js 1 MiB. A larger call is "committed" with its
#   first attempt: its UNAVAILABLE goes to the caller at once. Nothing in the
#   error tells that no retry was made.
# Versions: grpcio 1.85.3; @grpc/grpc-js 1.14.7 on Node 20.
# Matters: single enrollments survive the restart of a server, while the import
#   of a school fails, the very call that is dear to repeat by hand. Raise
#   grpc.per_rpc_retry_buffer_size, or import in smaller parts.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.3 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund @grpc/grpc-js@1.14.7 >&2

recorded='grpcio: 200 KiB retried
grpcio: 300 KiB UNAVAILABLE
grpcio: 1100 KiB UNAVAILABLE
grpcio with a buffer of 4 MiB: 1100 KiB retried
grpc-js: 200 KiB retried
grpc-js: 300 KiB retried
grpc-js: 1100 KiB UNAVAILABLE
grpc-js with a buffer of 4 MiB: 1100 KiB retried'

cat >"$scratch/client.mjs" <<'JS'
import * as grpc from "@grpc/grpc-js";

const [address, config] = process.argv.slice(2);
for (const [name, options, sizes] of [
  ["grpc-js", {}, [200, 300, 1100]],
  ["grpc-js with a buffer of 4 MiB", { "grpc.per_rpc_retry_buffer_size": 4 << 20 }, [1100]],
]) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(),
    { "grpc.service_config": config, ...options });
  for (const size of sizes) {
    await new Promise((done) => client.makeUnaryRequest(`/school.Classes/${name.replaceAll(" ", "")}`,
      (x) => x, (x) => x, Buffer.alloc(size * 1024), { deadline: Date.now() + 20_000 }, (error) => {
        console.log(`${name}: ${size} KiB ${error ? grpc.status[error.code] : "retried"}`);
        done();
      }));
  }
}
process.exit(0);
JS
cat >"$scratch/retry.py" <<'PY'
"""A server that refuses the first attempt of each call, and clients that may make four."""
import json
import subprocess
import sys
from concurrent import futures

import grpc

CONFIG = json.dumps({
    "methodConfig": [{
        "name": [{}],
        "retryPolicy": {
            "maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s",
            "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }],
})


class Classes(grpc.GenericRpcHandler):
    met = set()

    def service(self, details):
        def answer(request, context):
            call = (details.method, len(request))
            if call not in self.met:
                self.met.add(call)
                context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Classes(),))
address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
for name, options, sizes in (
    ("grpcio", [], (200, 300, 1100)),
    ("grpcio with a buffer of 4 MiB", [("grpc.per_rpc_retry_buffer_size", 4 << 20)], (1100,)),
):
    with grpc.insecure_channel(address, [("grpc.service_config", CONFIG), *options]) as channel:
        call = channel.unary_unary("/school.Classes/" + name.replace(" ", ""))
        for size in sizes:
            try:
                call(bytes(size * 1024), timeout=20)
                outcome = "retried"
            except grpc.RpcError as error:
                outcome = error.code().name
            print(f"{name}: {size} KiB {outcome}", flush=True)
subprocess.run(["node", sys.argv[1], address, CONFIG], check=True, timeout=60)
server.stop(None)
PY

seen=$(timeout 90 "$scratch/venv/bin/python" "$scratch/retry.py" "$scratch/client.mjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
