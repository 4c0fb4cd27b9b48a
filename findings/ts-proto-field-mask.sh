#!/usr/bin/env bash
# ts-proto leaves the paths of a FieldMask as they are in JSON.
#
# Guessed: JSON has the paths in lowerCamelCase, "displayName", for the field
#   display_name, as the specification of FieldMask says; reading turns them back.
# Happens: ts-proto joins the paths by commas and splits at them, and does not
#   convert them, although it writes the fields themselves in lowerCamelCase. What
#   it writes is refused by protobuf of Python and by protobuf-es. What they
#   write, it reads as the path "displayName", which names no field.
# Versions: ts-proto 2.18.0, @bufbuild/protobuf 2.17.0 on Node 20, protobuf 7.36.2
#   (Python), buf 1.75.0.
# Matters: a server that looks for "display_name" in the mask of a REST request
#   finds nothing to update and answers OK. A mask of one-word paths works, so
#   tests may not notice. The binary form is right.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check protobuf==7.36.2 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund ts-proto@2.18.0 \
  @bufbuild/protobuf@2.17.0 @bufbuild/buf@1.75.0 esbuild@0.25.12 >&2

recorded='the mask display_name,seats in JSON
  ts-proto: "display_name,seats"
  protobuf-es: "displayName,seats"
  protobuf (Python): "displayName,seats"
read from "displayName,seats"
  ts-proto: display_name is not in it, seats is in it
  protobuf-es: display_name is in it, seats is in it
  protobuf (Python): display_name is in it, seats is in it
read from "display_name,seats"
  ts-proto: display_name is in it, seats is in it
  protobuf-es: refused
  protobuf (Python): refused'

mkdir "$scratch/proto"
cat >"$scratch/proto/school.proto" <<'PROTO'
syntax = "proto3";
package school;
import "google/protobuf/field_mask.proto";
message UpdateClassRequest {
  google.protobuf.FieldMask update_mask = 1;
}
PROTO
cat >"$scratch/buf.gen.yaml" <<'YAML'
version: v2
plugins:
  - local: node_modules/.bin/protoc-gen-ts_proto
    out: gen
YAML
(
  cd "$scratch"
  node_modules/.bin/buf generate proto >&2
  node_modules/.bin/esbuild gen/school.ts --bundle --platform=node --outfile=school.cjs --log-level=error
)

cat >"$scratch/masks.cjs" <<'JS'
const { create, fromJson, toJson } = require("@bufbuild/protobuf");
const { FieldMaskSchema } = require("@bufbuild/protobuf/wkt");
const { UpdateClassRequest } = require("./school.cjs");

const paths = ["display_name", "seats"];
console.log(`ts-proto: ${JSON.stringify(UpdateClassRequest.toJSON({ updateMask: paths }).updateMask)}`);
console.log(`protobuf-es: ${JSON.stringify(toJson(FieldMaskSchema, create(FieldMaskSchema, { paths })))}`);
for (const text of ["displayName,seats", "display_name,seats"]) {
  const show = (name, read) => {
    try {
      const mask = read();
      const has = paths.map((path) => `${path} is ${mask.includes(path) ? "" : "not "}in it`);
      console.log(`${name}: ${has.join(", ")}`);
    } catch {
      console.log(`${name}: refused`);
    }
  };
  show("ts-proto", () => UpdateClassRequest.fromJSON({ updateMask: text }).updateMask);
  show("protobuf-es", () => fromJson(FieldMaskSchema, text).paths);
}
JS
cat >"$scratch/masks.py" <<'PY'
import json

from google.protobuf import field_mask_pb2, json_format

paths = ["display_name", "seats"]
print("protobuf (Python):", json_format.MessageToJson(field_mask_pb2.FieldMask(paths=paths)))
for text in "displayName,seats", "display_name,seats":
    try:
        mask = json_format.Parse(json.dumps(text), field_mask_pb2.FieldMask()).paths
        has = (f"{path} is {'' if path in mask else 'not '}in it" for path in paths)
        print("protobuf (Python):", ", ".join(has))
    except json_format.ParseError:
        print("protobuf (Python): refused")
PY

js=$(timeout 60 node "$scratch/masks.cjs") || true
py=$(timeout 60 "$scratch/venv/bin/python" "$scratch/masks.py") || true
part() { sed -n "$1p" <<<"$js" | sed 's/^/  /'; sed -n "$2p" <<<"$py" | sed 's/^/  /'; }
seen=$(
  echo 'the mask display_name,seats in JSON'; part 1,2 1
  echo 'read from "displayName,seats"'; part 3,4 2
  echo 'read from "display_name,seats"'; part 5,6 3
)
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
