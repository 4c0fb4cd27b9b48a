#!/usr/bin/env bash
# betterproto2 writes negative durations with a fraction of a second as other
# durations: -0.25 s becomes 0.75 s.
#
# Guessed: a timedelta is written as the google.protobuf.Duration of the same
#   length, since there are negative ones on both sides. What google's own
#   library writes is read as written.
# Happens: the seconds are cut towards zero, and the fraction is taken as
#   Python's %, which is never negative. Nothing is raised: less than a second
#   becomes a positive duration, and more than one a mix of signs, which the
#   definition of Duration forbids and readers take for a second more. What
#   betterproto2 reads again is not what it was given. Whole seconds are right,
#   and so is reading.
# Versions: betterproto2 0.10.0 with betterproto2_compiler 0.10.1, grpcio-tools
#   1.85.1, protobuf 7.36.2.
# Matters: an offset, such as that of the clock of a student's device, changes
#   its sign on the way, while tests with whole seconds pass.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  betterproto2==0.10.0 betterproto2_compiler==0.10.1 grpcio-tools==1.85.1 protobuf==7.36.2 >&2

recorded='0.25 s: read 0.25; written (0, 250000000), to google 0.25, to betterproto2 0.25
-2 s: read -2.0; written (-2, 0), to google -2.0, to betterproto2 -2.0
-0.25 s: read -0.25; written (0, 750000000), to google 0.75, to betterproto2 0.75
-1.5 s: read -1.5; written (-1, 500000000), to google -0.5, to betterproto2 -0.5'

mkdir "$scratch/better"
cat >"$scratch/clock.proto" <<'PROTO'
syntax = "proto3";
package clock;
import "google/protobuf/duration.proto";
message Device { google.protobuf.Duration offset = 1; }
PROTO
(
  cd "$scratch"
  PATH="$scratch/venv/bin:$PATH" "$scratch/venv/bin/python" -m grpc_tools.protoc -I. \
    --python_out=. --python_betterproto2_out=better clock.proto >log 2>&1 || { cat log >&2; exit 1; }
)
cat >"$scratch/offset.py" <<'PY'
from datetime import timedelta

from better import clock
from clock_pb2 import Device

for seconds in (0.25, -2, -0.25, -1.5):
    offset = timedelta(seconds=seconds)
    google = Device()
    google.offset.FromTimedelta(offset)
    read = clock.Device.parse(google.SerializeToString()).offset.total_seconds()
    written = bytes(clock.Device(offset=offset))
    google = Device.FromString(written).offset
    to_google = google.ToTimedelta().total_seconds()
    to_itself = clock.Device.parse(written).offset.total_seconds()
    print(
        f"{seconds} s: read {read}; written {google.seconds, google.nanos},"
        f" to google {to_google}, to betterproto2 {to_itself}"
    )
PY

seen=$(timeout 60 "$scratch/venv/bin/python" "$scratch/offset.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
