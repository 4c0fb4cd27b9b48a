#!/usr/bin/env bash
# grpc-js shows the messages of a connect-node server with their punctuation
# percent-encoded.
#
# Guessed: a status message arrives as it was sent; both libraries are in wide
#   use, and gRPC says how grpc-message is encoded.
# Happens: connect-node encodes commas, colons and the like, which gRPC lets it
#   do without asking for it. grpc-js does not decode %XX where it stands for one
#   of ; / ? : @ & = + $ , # although gRPC has every %XX decoded. connect-node's
#   own client shows the text.
# Versions: @connectrpc/connect-node 2.2.0, @grpc/grpc-js 1.14.7, Node 20.
# Matters: sentences for people. Any server that encodes more than it must is
#   shown so; a message that holds none of these characters is safe everywhere.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm install --prefix "$scratch" --silent --no-audit --no-fund \
  @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0 @bufbuild/protobuf@2.17.0 \
  @grpc/grpc-js@1.14.7 >&2

recorded='sent by connect-node: Class 3/4 is full: wait, or ask "A & B"?
shown by connect-node: Class 3/4 is full: wait, or ask "A & B"?
shown by grpc-js: Class 3%2F4 is full%3A wait%2C or ask "A %26 B"%3F'

cat >"$scratch/message.mjs" <<'JS'
import http2 from "node:http2";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";

const sentence = 'Class 3/4 is full: wait, or ask "A & B"?';
const text = ".google.protobuf.StringValue";
const Classes = createFileRegistry(create(FileDescriptorSetSchema, { file: [
  file_google_protobuf_wrappers.proto,
  {
    name: "school.proto", package: "school", syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [{ name: "Classes", method: [{ name: "Join", inputType: text, outputType: text }] }],
  },
] })).getService("school.Classes");
const server = http2.createServer(connectNodeAdapter({ routes: (router) => router.service(Classes, {
  join() { throw new ConnectError(sentence, Code.FailedPrecondition); },
}) }));
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const address = `127.0.0.1:${server.address().port}`;

console.log("sent by connect-node:", sentence);
const own = createClient(Classes, createGrpcTransport({ baseUrl: `http://${address}` }));
await own.join({}).catch((error) => console.log("shown by connect-node:", error.rawMessage));
const other = new grpc.Client(address, grpc.credentials.createInsecure());
await new Promise((done) => other.makeUnaryRequest("/school.Classes/Join", (x) => x, (x) => x, Buffer.alloc(0),
  (error) => done(console.log("shown by grpc-js:", error.details))));
process.exit(0);
JS

seen=$(timeout 60 node "$scratch/message.mjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
