"""The footprint of the idle services: memory, the time to start, the size of their binaries."""

import subprocess
import time

from . import builds, machine, processes
from .lines import Line
from .processes import Failure

STABLE_READS = 6
READ_PAUSE_SECONDS = 0.25
STABLE_SHARE_MAX = 0.01
STABLE_SECONDS_MAX = 30
STARTS = 10
SERVICES = ("membership", "invitations")


def _stable_megabytes(homeroom):
    """Returns the memory of each process once it has not changed over several reads."""
    reads = []

    def stable():
        reads.append({name: machine.resident_megabytes(pid) for name, pid in homeroom.components().items()})
        last = reads[-STABLE_READS:]
        spreads = [max(values) / min(values) - 1 for values in zip(*(read.values() for read in last))]
        return len(last) == STABLE_READS and max(spreads) <= STABLE_SHARE_MAX

    processes.wait_until("memory is stable", stable, seconds=STABLE_SECONDS_MAX, every=READ_PAUSE_SECONDS)
    return reads[-1]


def memory(homeroom):
    with homeroom.serving():
        codes = homeroom.codes("spread")
    with homeroom.serving():
        idle = _stable_megabytes(homeroom)
        before = homeroom.counts()
        figures = homeroom.load(codes, 32)
        homeroom.check_counts(before, figures)
        loaded = {name: machine.resident_megabytes(pid) for name, pid in homeroom.components().items()}
    lines = []
    for title, read, goal in (("idle", idle, ("<=", 14, 8)), ("after load, spread, 32 clients", loaded, ("<=", 40, 25))):
        lines += [Line("memory", f"{name}, {title}", "MB", [read[name]], goal) for name in SERVICES]
    return lines, {"idle": idle, "loaded": loaded}


def start(world, homeroom):
    """Starts each service on its migrated database repeatedly, until it reports that it is ready."""
    found = {name: [] for name in SERVICES}
    with homeroom.serving():
        pass  # The work of the first start is done now.
    for _ in range(STARTS):
        for name in SERVICES:
            found[name].append(_start_milliseconds(world, homeroom, name))
        homeroom.stop()
    goal = ("<=", 60, 30)
    return [Line("start to serving", name, "ms", values, goal) for name, values in found.items()], found


def _start_milliseconds(world, homeroom, name):
    command = [world.binaries / "homeroom-bench", "serving", "--address", homeroom.address(name)]
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as looking:
        looking.stdout.readline()
        began = time.monotonic()
        homeroom.start_one(name)
        if looking.stdout.readline():
            return 1000 * (time.monotonic() - began)
    raise Failure(f"{homeroom.name}'s {name} did not start: {homeroom.running[name].log}")


def size():
    folder = builds.build_dist()
    found = {name: (folder / name).stat().st_size / 1e6 for name in SERVICES}
    goal = ("<=", 15, 8)
    return [Line("packaged binary, stripped", name, "MB", [value], goal) for name, value in found.items()], found
