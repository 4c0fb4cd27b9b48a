#!/usr/bin/env bash
# A gRPC client's retryPolicy never retries an error of a connect-node server.
#
# Guessed: UNAVAILABLE is retried whichever library the server is written with.
# Happens: connect-node answers an error with a HEADERS frame and the status in
#   a second one, although there is no message between them; grpc-js puts both
#   into one ("Trailers-Only"). A client takes the first HEADERS frame for the
#   beginning of an answer, and an answer that began is never retried.
# Versions: @connectrpc/connect-node 2.2.0 as the server, @grpc/grpc-js 1.14.7
#   as the client and as the server that it is compared with. Python's grpcio
#   1.85.1 as the client counts the same attempts.
# Matters: a platform in front of this service, or a test double of it, that
#   is written with connect-node makes clients see each short outage, though
#   their service config says four attempts.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm install --prefix "$scratch" --silent --no-audit --no-fund \
  @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0 @bufbuild/protobuf@2.17.0 \
  @grpc/grpc-js@1.14.7 >&2

recorded='grpc-js server: UNAVAILABLE after 4 attempts, status in the first HEADERS frame
connect-node server: UNAVAILABLE after 1 attempt, status in the second HEADERS frame'

cat >"$scratch/retry.mjs" <<'JS'
import http2 from "node:http2";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";

const path = "/school.Classes/Join";
const text = ".google.protobuf.StringValue";
const Classes = createFileRegistry(create(FileDescriptorSetSchema, { file: [
  file_google_protobuf_wrappers.proto,
  {
    name: "school.proto", package: "school", syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [{ name: "Classes", method: [{ name: "Join", inputType: text, outputType: text }] }],
  },
] })).getService("school.Classes");
const bytes = (value) => value;

let attempts = 0;
const connect = http2.createServer(connectNodeAdapter({ routes: (router) => router.service(Classes, {
  join() {
    attempts++;
    throw new ConnectError("Try again.", Code.Unavailable);
  },
}) }));
await new Promise((done) => connect.listen(0, "127.0.0.1", done));

const plain = new grpc.Server();
plain.addService({ join: {
  path, requestStream: false, responseStream: false, requestSerialize: bytes,
  requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes,
} }, {
  join(_, answer) {
    attempts++;
    answer({ code: grpc.status.UNAVAILABLE, details: "Try again." });
  },
});
const plainPort = await new Promise((done, failed) =>
  plain.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => error ? failed(error) : done(port)));

const config = { methodConfig: [{ name: [{}], retryPolicy: {
  maxAttempts: 4, initialBackoff: "0.01s", maxBackoff: "0.1s", backoffMultiplier: 1,
  retryableStatusCodes: ["UNAVAILABLE"],
} }] };

async function frames(port) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers",
  });
  let where = "nowhere";
  stream.on("response", (headers) => { if ("grpc-status" in headers) where = "first"; });
  stream.on("trailers", (headers) => { if ("grpc-status" in headers) where = "second"; });
  stream.end(Buffer.alloc(5));
  stream.resume();
  await new Promise((done) => stream.on("close", done));
  session.close();
  return where;
}

for (const [name, port] of [["grpc-js", plainPort], ["connect-node", connect.address().port]]) {
  attempts = 0;
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(),
    { "grpc.service_config": JSON.stringify(config) });
  const error = await new Promise((done) =>
    client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), done));
  const made = `${attempts} attempt${attempts === 1 ? "" : "s"}`;
  console.log(`${name} server: ${grpc.status[error.code]} after ${made}, status in the ${await frames(port)} HEADERS frame`);
}
process.exit(0);
JS

seen=$(timeout 60 node "$scratch/retry.mjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
