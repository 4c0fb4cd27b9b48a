"""Makes the lines of the table: a name, its values, and its target."""

import dataclasses
import statistics

from . import intervals
from .rounds import load_name


@dataclasses.dataclass
class Line:
    group: str
    name: str
    unit: str
    values: list
    # (">=" or "<=", target, stretch); None if the figure has no target.
    goal: tuple = None
    # The 95% interval; by default that of a ratio over the rounds.
    interval: tuple = None

    def __post_init__(self):
        if self.interval is None and self.unit == "×":
            self.interval = intervals.of_rounds(self.values)

    def median(self):
        return statistics.median(self.values)

    def met(self):
        """Returns "stretch", "target" or "missed", or None without a goal."""
        if self.goal is None:
            return None
        sign, target, stretch = self.goal
        reaches = (lambda bound: self.median() >= bound) if sign == ">=" else (lambda bound: self.median() <= bound)
        return "stretch" if reaches(stretch) else "target" if reaches(target) else "missed"

    def as_json(self):
        goal = None if self.goal is None else dict(zip(("sign", "target", "stretch"), self.goal))
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "median": self.median(),
            "min": min(self.values),
            "max": max(self.values),
            "values": self.values,
            "interval_95": self.interval,
            "goal": goal,
            "met": self.met(),
        }


# Goals by (dividend, divisor, figure) and load.
RATIO_GOALS = {
    ("ours", "twotx", "per_second"): {("hot", 32): (">=", 4, 8), ("spread", 32): (">=", 1.0, 1.5)},
    ("ours", "baseline", "per_second"): {("hot", 32): (">=", 10, 20), ("spread", 32): (">=", 10, 16)},
    ("ours", "peer", "per_second"): {
        ("hot", 1): (">=", 3, 5),
        ("spread", 1): (">=", 3, 5),
        ("hot", 32): (">=", 15, 40),
        ("spread", 32): (">=", 15, 40),
    },
    ("embedded", "twotx", "per_second"): {("spread", 32): (">=", 0.6, 1.0)},
    ("ours", "twotx", "p50_ms"): {("hot", 1): ("<=", 2.0, 1.2), ("spread", 1): ("<=", 2.0, 1.2)},
    ("ours", "twotx", "p99_ms"): {("hot", 32): ("<=", 0.3, 0.15)},
}
FIGURES = {"per_second": ("joins/s", "/s"), "p50_ms": ("p50", "ms"), "p99_ms": ("p99", "ms")}
CONTENDERS = ("twotx", "ours", "embedded", "baseline", "peer")


def _mean(samples, figure):
    return statistics.fmean(sample[figure] for sample in samples)


def of_rounds(measured, baseline_has_goals=True):
    """Returns the lines of all loads: figures of each contender, ratios, and the processor time of a join."""
    lines = []
    for load, rounds in sorted(measured.items()):
        group = load_name(*load)
        contenders = [name for name in CONTENDERS if name in rounds[0]]
        for figure, (title, unit) in FIGURES.items():
            for name in contenders:
                values = [_mean(figures[name], figure) for figures in rounds]
                lines.append(Line(group, f"{title} {name}", unit, values))
        for (dividend, divisor, figure), goals in RATIO_GOALS.items():
            goals = goals if divisor != "baseline" or baseline_has_goals else {}
            # A ratio of latencies without a goal adds nothing to that of the throughputs.
            if {dividend, divisor} <= set(contenders) and (load in goals or figure == "per_second"):
                values = [_mean(figures[dividend], figure) / _mean(figures[divisor], figure) for figures in rounds]
                lines.append(Line(group, f"{FIGURES[figure][0]} {dividend} ÷ {divisor}", "×", values, goals.get(load)))
        for component in rounds[0]["ours"][0]["cpu_micros"]:
            values = [figures["ours"][0]["cpu_micros"][component] for figures in rounds]
            lines.append(Line(group, f"processor time a join, {component}", "µs", values))
    return lines


def of_statements(name, figures):
    """Returns the lines of the statement counter."""
    group = f"one redemption, {name}"
    goal = lambda *bounds: bounds if name == "ours" else None
    after, statements = figures["after"], figures["statements"]
    # One value for each counted redemption.
    before = lambda kind: [counts[kind] for counts in figures["before"]]
    all_told = lambda kind: [statistics.fmean(before(kind)) + after[kind]]
    lines = [
        ("round trips before the answer", before("round_trips"), goal("<=", 14, 8)),
        ("pings among them", before("pings"), None),
        ("round trips after it", [after["round_trips"]], None),
        ("statements before the answer, BEGIN and COMMIT too", before("commands"), None),
        ("statements after it", [after["commands"]], None),
        ("commits before the answer", before("commits"), None),
        ("commits all told", all_told("commits"), goal("<=", 3, 2)),
        ("statements all told, by pg_stat_statements", [sum(each["calls_each"] for each in statements)], None),
        ("rows that they read or wrote", [sum(each["rows_each"] for each in statements)], None),
    ]
    return [Line(group, title, "", values, bounds) for title, values, bounds in lines]
