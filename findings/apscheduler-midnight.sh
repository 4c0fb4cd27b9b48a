#!/usr/bin/env bash
# APScheduler skips the first midnight after the clocks went forward.
#
# Guessed: a job at 00:00 is safe from a change at 02:00 or 03:00. Only jobs in
#   the hour that is left out or repeated could run late, twice or not at all.
# Happens: CronTrigger goes from one midnight to the next by adding 24 hours of
#   elapsed time. On the day with 23 hours it lands on 01:00 of the next day,
#   finds that the hour is not 0, and goes on to the day (or week) after. A daily
#   job skips Monday; a job of Monday at 00:00 skips the week. With no run before
#   it, the trigger skips as well if it is asked on that Sunday before the change.
#   Jobs from 01:00 on are not concerned in these zones, nor is the change back.
# Versions: APScheduler 3.11.3, compared with croniter 7.0.0.
# Matters: rosters are not read and invitations do not expire that night, once a
#   year, without a missed-run event, since the run was never planned. A
#   scheduler in UTC, or a job at 01:00 or later, avoids it.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  APScheduler==3.11.3 croniter==7.0.0 tzdata==2026.6 >&2

recorded='Europe/Berlin, clocks go forward on Sunday 2026-03-29
  every day at 00:00
    APScheduler: Sat 28, Sun 29, Tue 31, Wed 01
    croniter: Sat 28, Sun 29, Mon 30, Tue 31
  every day at 00:30
    APScheduler: Sat 28, Sun 29, Tue 31, Wed 01
    croniter: Sat 28, Sun 29, Mon 30, Tue 31
  every day at 01:00
    APScheduler: Sat 28, Sun 29, Mon 30, Tue 31
    croniter: Sat 28, Sun 29, Mon 30, Tue 31
America/New_York, clocks go forward on Sunday 2026-03-08
  every Monday at 00:00
    APScheduler: Mon 02, Mon 16, Mon 23, Mon 30
    croniter: Mon 02, Mon 09, Mon 16, Mon 23
America/New_York, clocks go back on Sunday 2026-11-01
  every day at 00:00
    APScheduler: Sat 31, Sun 01, Mon 02, Tue 03
    croniter: Sat 31, Sun 01, Mon 02, Tue 03'

cat >"$scratch/nights.py" <<'PY'
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter


def by_apscheduler(crontab, start):
    """Asks as a scheduler does: with the run before, one second after it."""
    trigger = CronTrigger.from_crontab(crontab, timezone=start.tzinfo)
    run, now = None, start
    for _ in range(4):
        run = trigger.get_next_fire_time(run, now)
        yield run
        now = (run.astimezone(UTC) + timedelta(seconds=1)).astimezone(start.tzinfo)


def by_croniter(crontab, start):
    runs = croniter(crontab, start)
    for _ in range(4):
        yield runs.get_next(datetime)


def show(what, crontab, start):
    print(f"  every {what}")
    for name, runs in [("APScheduler", by_apscheduler), ("croniter", by_croniter)]:
        print(f"    {name}: {', '.join(f'{run:%a %d}' for run in runs(crontab, start))}")


print("Europe/Berlin, clocks go forward on Sunday 2026-03-29")
friday = datetime(2026, 3, 27, 12, tzinfo=ZoneInfo("Europe/Berlin"))
show("day at 00:00", "0 0 * * *", friday)
show("day at 00:30", "30 0 * * *", friday)
show("day at 01:00", "0 1 * * *", friday)
print("America/New_York, clocks go forward on Sunday 2026-03-08")
zone = ZoneInfo("America/New_York")
show("Monday at 00:00", "0 0 * * mon", datetime(2026, 2, 27, 12, tzinfo=zone))
print("America/New_York, clocks go back on Sunday 2026-11-01")
show("day at 00:00", "0 0 * * *", datetime(2026, 10, 30, 12, tzinfo=zone))
PY

seen=$(timeout 60 "$scratch/venv/bin/python" "$scratch/nights.py") || true
printf '%s\n' "$seen"
[ "$seen" = "$recorded" ] || { printf 'changed; recorded was:\n%s\n' "$recorded"; exit 1; }
echo "as recorded"
