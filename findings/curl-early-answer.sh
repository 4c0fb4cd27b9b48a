#!/usr/bin/env bash
# curl loses an HTTP/2 answer that comes before it has sent its whole body.
#
# Guessed: the answer is reported as over HTTP/1.1, since a server may answer
#   before it has read the request (RFC 9113, 8.1) and then resets the stream
#   with NO_ERROR; a client must not discard the answer for that.
# Happens: curl exits with 52 (empty reply) or 92 (stream error) and without a
#   status. Node's client has status and body, from the same server.
# Versions: curl 7.88.1 (Debian 12), Node 20 as the server and the other client.
# Matters: Envoy answers an unknown path or a limit so. A script that sends JSON
#   to it sees a broken connection in place of 404 or 429, depending on which
#   comes first, and retries. --http1.1 has the answer.
# Needs Debian 12 with its package lists (apt-get update), and Node.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(
  cd "$scratch"
  apt-get download -qq curl=7.88.1-10+deb12u15 libcurl4=7.88.1-10+deb12u15 libnghttp2-14 2>/dev/null
  for package in *.deb; do dpkg -x "$package" debian; done
)

recorded='node: 404 "No such class."
curl --http1.1: exit 0, status 404
curl --http2: exit 52 or 92, status 000'

cat >"$scratch/early.mjs" <<'JS'
import { spawn } from "node:child_process";
import http from "node:http";
import http2 from "node:http2";

const said = "No such class.";
const listen = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));

// Both answer by the request's head, and take no more of it.
const port = await listen(http2.createServer().on("stream", (stream) => {
  stream.on("error", () => {});
  stream.respond({ ":status": 404 });
  stream.end(said, () => setImmediate(() => stream.close(http2.constants.NGHTTP2_NO_ERROR)));
}));
const plain = await listen(http.createServer((_, answer) => answer.writeHead(404, { connection: "close" }).end(said)));

async function byNode() {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":method": "POST", ":path": "/join" });
  let status, body = "";
  stream.on("response", (headers) => { status = headers[":status"]; });
  stream.on("data", (data) => { body += data; });
  await new Promise((done) => stream.on("close", done));
  session.close();
  return `${status} ${JSON.stringify(body)}`;
}

function byCurl(version, port) {
  const words = ["-s", "-o", "/dev/null", "-w", "%{http_code}", version, "-X", "POST", "-T", "-", `http://127.0.0.1:${port}/join`];
  const curl = spawn(process.argv[2], words, { stdio: ["pipe", "pipe", "inherit"] });
  let status = "";
  curl.stdin.on("error", () => {});
  curl.stdout.on("data", (data) => { status += data; });
  // The body is ready after the answer has come.
  setTimeout(() => curl.stdin.end("{}"), 500);
  return new Promise((done) => curl.on("close", (code) => done(`exit ${[52, 92].includes(code) ? "52 or 92" : code}, status ${status}`)));
}

console.log("node:", await byNode());
console.log("curl --http1.1:", await byCurl("--http1.1", plain));
console.log("curl --http2:", await byCurl("--http2-prior-knowledge", port));
process.exit(0);
JS

seen=$(LD_LIBRARY_PATH=$(dirname "$(find "$scratch/debian" -name 'libcurl.so.4')") timeout 60 \
  node "$scratch/early.mjs" "$scratch/debian/usr/bin/curl") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
