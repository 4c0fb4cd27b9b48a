"""Reads /proc: the load of the machine, and the use of a process."""

import datetime
import os
import pathlib
import platform
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
BUSY_PERCENT_MAX = 12


def _ticks():
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def busy_percent(seconds=0.5):
    """Returns the load of all processors over this many seconds."""
    busy, total = _ticks()
    time.sleep(seconds)
    busy_after, total_after = _ticks()
    return 100 * (busy_after - busy) / max(1, total_after - total)


def wait_idle(seconds_max):
    """Waits until the machine is idle, at most this long, and returns its last load."""
    deadline = time.monotonic() + seconds_max
    while True:
        busy = busy_percent()
        if busy < BUSY_PERCENT_MAX or time.monotonic() >= deadline:
            return round(busy)


def _stat(pid):
    # The name, in parentheses, may contain spaces.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return {"parent": int(fields[1]), "own": int(fields[11]) + int(fields[12]), "ended": int(fields[13]) + int(fields[14])}


def cpu_seconds(pid):
    """Returns the processor time of a process, its living children and those that it has waited for."""
    own = _stat(pid)
    ticks = own["own"] + own["ended"]
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = _stat(entry.name)
            except OSError:
                continue  # The process has ended.
            if stat["parent"] == pid:
                ticks += stat["own"] + stat["ended"]
    return ticks / TICKS_PER_SECOND


def resident_megabytes(pid):
    """Returns the resident set of a process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def file_system(folder):
    """Returns the type of a folder's file system."""
    found = ("", "unknown")
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        inside = f"{folder}/".startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]


def about():
    """Describes the machine."""
    models = [
        line.split(":", 1)[1].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processors": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
