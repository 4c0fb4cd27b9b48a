"""Calls made in turn by one client, and the ratios of their medians."""

import json
import statistics

from . import intervals, machine
from .lines import Line

WARM_UP = 20


def make(world, calls, repetitions):
    """Makes each call this often, in turn; returns the latencies in milliseconds by the calls' names."""
    path = world.folder / f"{world.new_name()}.calls"
    path.write_text(json.dumps(calls, default=str))
    machine.wait_idle(world.options.idle_seconds_max)
    words = ["--calls", path, "--repetitions", repetitions, "--warm-up", WARM_UP, "--run", world.new_run()]
    return world.client("calls", *words)["latencies_ms"]


def ratio(group, name, latencies, dividend, divisor, goal):
    """Returns the line of the ratio of two medians."""
    dividends, divisors = latencies[dividend], latencies[divisor]
    median = statistics.median(dividends) / statistics.median(divisors)
    return Line(group, name, "×", [median], goal, intervals.of_medians(dividends, divisors))


def median(group, name, latencies):
    return Line(group, f"{name}, p50", "ms", [statistics.median(latencies[name])])
