#!/usr/bin/env bash
# grpc-js takes a proxy's sign-in page for a huge message: RESOURCE_EXHAUSTED.
#
# Guessed: an answer whose content-type is not application/grpc gets UNKNOWN,
#   with a message that names the type, as in connect-node; gRPC tells clients to
#   expect such answers.
# Happens: grpc-js looks at the HTTP status only. With 200 it reads the page as
#   a message: "<" is the compression flag and the next four letters are the
#   length, half a gigabyte and more. Other HTTP statuses are mapped well.
# Versions: @grpc/grpc-js 1.14.7, for comparison @connectrpc/connect-node 2.2.0,
#   Node 20.
# Matters: a sign-in or maintenance page in front of the service looks like a
#   budget that is used up ("come back later"), or like a message limit to be
#   raised. A JSON page does the same, short text gives INTERNAL. Take
#   RESOURCE_EXHAUSTED for the service's own word only if it has details.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm install --prefix "$scratch" --silent --no-audit --no-fund \
  @connectrpc/connect@2.2.0 @connectrpc/connect-node@2.2.0 @bufbuild/protobuf@2.17.0 \
  @grpc/grpc-js@1.14.7 >&2

recorded='200 text/html
  grpc-js: RESOURCE_EXHAUSTED Received message larger than max (560230243 vs 4194304)
  connect-node: Unknown unsupported content type text/html
200 application/json
  grpc-js: RESOURCE_EXHAUSTED Received message larger than max (577073778 vs 4194304)
  connect-node: Unknown unsupported content type application/json
200 text/plain
  grpc-js: INTERNAL Received RST_STREAM with code 0 (Call ended without gRPC status)
  connect-node: Unknown unsupported content type text/plain
503 text/html
  grpc-js: UNAVAILABLE Received HTTP status code 503
  connect-node: Unavailable HTTP 503'

cat >"$scratch/page.mjs" <<'JS'
import http2 from "node:http2";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";

const page = "<!doctype html>\n<title>School</title>\n<p>Sign in to go on.</p>\n";
const pages = {
  SignIn: [200, "text/html", page],
  Login: [200, "application/json", '{"error":"sign in first"}'],
  Text: [200, "text/plain", "OK\n"],
  Maintenance: [503, "text/html", page],
};
const proxy = http2.createServer((request, response) => {
  const [status, type, body] = pages[request.url.split("/").pop()];
  response.writeHead(status, { "content-type": type });
  response.end(body);
});
await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
const address = `127.0.0.1:${proxy.address().port}`;
const client = new grpc.Client(address, grpc.credentials.createInsecure());
const transport = createGrpcTransport({ baseUrl: `http://${address}` });

for (const [name, [status, type]] of Object.entries(pages)) {
  console.log(status, type);
  await new Promise((done) => client.makeUnaryRequest(`/school.Classes/${name}`, (x) => x, (x) => x,
    Buffer.alloc(0), { deadline: Date.now() + 10_000 }, (error) =>
      done(console.log("  grpc-js:", error ? `${grpc.status[error.code]} ${error.details}` : "an answer"))));
  const method = {
    kind: "rpc", methodKind: "unary", name, localName: name, parent: { typeName: "school.Classes" },
    input: EmptySchema, output: EmptySchema,
  };
  await transport.unary(method, undefined, 10_000, {}, {}).then(
    () => console.log("  connect-node: an answer"),
    (error) => console.log("  connect-node:", Code[error.code], error.rawMessage));
}
process.exit(0);
JS

seen=$(timeout 60 node "$scratch/page.mjs") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
