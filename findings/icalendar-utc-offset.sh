#!/usr/bin/env bash
# icalendar writes a datetime with a UTC offset as a local time that no reader
# can place.
#
# Guessed: 2026-09-01T09:00:00+02:00 names a moment, so icalendar writes it in UTC
#   (20260901T070000Z), or refuses it, since iCalendar has no offsets.
# Happens: it writes the local time with TZID="UTC+02:00". No VTIMEZONE explains
#   this name, and add_missing_timezones() adds none and does not complain.
#   icalendar itself reads a datetime without a zone back, and ical.js the local
#   time of whoever reads. UNTIL of a rule loses its zone, too, though RFC 5545
#   demands UTC there. After astimezone(UTC) everybody reads the moment.
# Versions: icalendar 7.3.2, ical.js 2.2.1 on Node 20.
# Matters: fromisoformat() and most JSON parsers make such datetimes of RFC 3339
#   text. A class of 09:00 in Berlin is shown at 09:00 in New York, six hours late.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check icalendar==7.3.2 tzdata==2026.6 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund ical.js@2.2.1 >&2

recorded='with the offset +02:00
  DTSTART;TZID="UTC+02:00":20260901T090000
  RRULE:FREQ=WEEKLY;UNTIL=20260915T090000
  time zones in the file: 0
  icalendar: 2026-09-01T09:00:00 without a zone
  ical.js in New York: 2026-09-01T13:00:00.000Z
  ical.js in Tokyo: 2026-09-01T00:00:00.000Z
after astimezone(UTC)
  DTSTART:20260901T070000Z
  RRULE:FREQ=WEEKLY;UNTIL=20260915T070000Z
  time zones in the file: 0
  icalendar: 2026-09-01T07:00:00+00:00
  ical.js in New York: 2026-09-01T07:00:00.000Z
  ical.js in Tokyo: 2026-09-01T07:00:00.000Z'

cat >"$scratch/write.py" <<'PY'
import sys
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event

start = datetime.fromisoformat("2026-09-01T09:00:00+02:00")
if sys.argv[1] == "utc":
    start = start.astimezone(UTC)
event = Event()
event.add("uid", "lesson@school.example")
event.add("dtstamp", datetime(2026, 8, 1, tzinfo=UTC))
event.add("dtstart", start)
event.add("rrule", {"freq": "weekly", "until": start + timedelta(weeks=2)})
calendar = Calendar()
calendar.add("prodid", "-//school//EN")
calendar.add("version", "2.0")
calendar.add_component(event)
calendar.add_missing_timezones()
text = calendar.to_ical()
with open(sys.argv[2], "wb") as file:
    file.write(text)
for line in event.to_ical().decode().split("\r\n"):
    if line.startswith(("DTSTART", "RRULE")):
        print(f"  {line}")
print("  time zones in the file:", text.count(b"BEGIN:VTIMEZONE"))
back = Calendar.from_ical(text).walk("VEVENT")[0]["dtstart"].dt
print("  icalendar:", back.isoformat() + ("" if back.tzinfo else " without a zone"))
PY
cat >"$scratch/read.mjs" <<'JS'
import { readFileSync } from "node:fs";
import ICAL from "ical.js";

const calendar = new ICAL.Component(ICAL.parse(readFileSync(process.argv[2], "utf8")));
const event = new ICAL.Event(calendar.getFirstSubcomponent("vevent"));
const city = process.env.TZ.split("/")[1].replace("_", " ");
console.log(`  ical.js in ${city}: ${event.startDate.toJSDate().toISOString()}`);
JS

show() {
  echo "$2"
  timeout 60 "$scratch/venv/bin/python" "$scratch/write.py" "$1" "$scratch/$1.ics"
  TZ=America/New_York timeout 60 node "$scratch/read.mjs" "$scratch/$1.ics"
  TZ=Asia/Tokyo timeout 60 node "$scratch/read.mjs" "$scratch/$1.ics"
}
seen=$(
  show offset 'with the offset +02:00' || true
  show utc 'after astimezone(UTC)' || true
)
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
