#!/usr/bin/env bash
# ical.js uses only the first of the changes that a time zone lists in one RDATE.
#
# Guessed: an event with the TZID of a VTIMEZONE in the same file is placed by it,
#   whether the changes are a rule or a list of dates. RDATE may hold a list.
# Happens: ical.js takes the first date of each RDATE property of a VTIMEZONE.
#   icalendar, which lists all changes from 1970 to 2038 in one RDATE each, puts
#   them after 1980, so ical.js knows of no daylight saving time since 1981. With
#   one RDATE property for each date, which means the same, it is right.
# Versions: ical.js 2.2.1 on Node 20, icalendar 7.3.2.
# Matters: calendar.add_missing_timezones() is icalendar's way to make a file
#   complete for its readers. A program on ical.js that trusts the file shows every lesson
#   in summer an hour late, and in winter at the right time. Programs that look up
#   the TZID in a table of their own are not concerned.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check icalendar==7.3.2 tzdata==2026.6 >&2
npm install --prefix "$scratch" --silent --no-audit --no-fund ical.js@2.2.1 >&2

recorded='the moments of the lessons
  Berlin, January 15, 09:00: 2026-01-15T08:00:00.000Z
  Berlin, September 1, 09:00: 2026-09-01T07:00:00.000Z
  New York, September 1, 09:00: 2026-09-01T13:00:00.000Z
ical.js, RDATE with a list
  Berlin, January 15, 09:00: 2026-01-15T08:00:00.000Z
  Berlin, September 1, 09:00: 2026-09-01T08:00:00.000Z
  New York, September 1, 09:00: 2026-09-01T14:00:00.000Z
ical.js, an RDATE for each date
  Berlin, January 15, 09:00: 2026-01-15T08:00:00.000Z
  Berlin, September 1, 09:00: 2026-09-01T07:00:00.000Z
  New York, September 1, 09:00: 2026-09-01T13:00:00.000Z'

cat >"$scratch/write.py" <<'PY'
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

calendar = Calendar()
calendar.add("prodid", "-//school//EN")
calendar.add("version", "2.0")
berlin, new_york = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
print("the moments of the lessons")
for title, start in [
    ("Berlin, January 15, 09:00", datetime(2026, 1, 15, 9, tzinfo=berlin)),
    ("Berlin, September 1, 09:00", datetime(2026, 9, 1, 9, tzinfo=berlin)),
    ("New York, September 1, 09:00", datetime(2026, 9, 1, 9, tzinfo=new_york)),
]:
    event = Event()
    event.add("uid", f"{start.timestamp():.0f}@school.example")
    event.add("dtstamp", datetime(2025, 12, 1, tzinfo=UTC))
    event.add("summary", title)
    event.add("dtstart", start)
    calendar.add_component(event)
    print(f"  {title}: {start.astimezone(UTC):%Y-%m-%dT%H:%M:%S.000Z}")
calendar.add_missing_timezones()
with open(sys.argv[1], "wb") as file:
    file.write(calendar.to_ical())
PY
cat >"$scratch/read.mjs" <<'JS'
import { readFileSync } from "node:fs";
import ICAL from "ical.js";

const list = readFileSync(process.argv[2], "utf8").replaceAll("\r\n ", "");
const each = list.replaceAll(/^RDATE:(.*)\r$/gm, (_, dates) => dates.split(",").map((d) => `RDATE:${d}\r`).join("\n"));

for (const [what, text] of [["RDATE with a list", list], ["an RDATE for each date", each]]) {
  console.log(`ical.js, ${what}`);
  ICAL.TimezoneService.reset();
  const calendar = new ICAL.Component(ICAL.parse(text));
  for (const zone of calendar.getAllSubcomponents("vtimezone")) ICAL.TimezoneService.register(zone);
  for (const component of calendar.getAllSubcomponents("vevent")) {
    const { summary, startDate } = new ICAL.Event(component);
    console.log(`  ${summary}: ${startDate.toJSDate().toISOString()}`);
  }
}
JS

seen=$(
  timeout 60 "$scratch/venv/bin/python" "$scratch/write.py" "$scratch/lessons.ics" || true
  timeout 60 node "$scratch/read.mjs" "$scratch/lessons.ics" || true
)
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
