"""Prints lines as one table, in color if the terminal supports it."""

import os
import sys

HEADS = ("", "median", "min", "max", "", "95% interval", "target", "stretch")
COLORS = {"stretch": "\033[1;32m", "target": "\033[32m", "missed": "\033[31m"}


def _number(value):
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def _row(line):
    spread = (min(line.values), max(line.values)) if len(line.values) > 1 else ("", "")
    goal = ("", "")
    if line.goal is not None:
        sign, target, stretch = line.goal
        goal = (f"{'≥' if sign == '>=' else '≤'} {target:g}", f"{stretch:g}")
    numbers = [_number(line.median()), *(value if value == "" else _number(value) for value in spread)]
    interval = "" if line.interval is None else " to ".join(map(_number, line.interval))
    return [f"  {line.name}", *numbers, line.unit, interval, *goal]


def _cells(row, widths):
    aligned = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
    return "  ".join(aligned).rstrip()


def print_table(lines):
    color = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
    rows = [_row(line) for line in lines]
    widths = [max(map(len, column)) for column in zip(HEADS, *rows)]
    print(_cells(HEADS, widths))
    group = None
    for line, row in zip(lines, rows):
        if line.group != group:
            group = line.group
            print(f"\033[1m{group}\033[0m" if color else group)
        mark = COLORS.get(line.met(), "") if color else ""
        text = _cells(row, widths)
        # Without color a word tells the result.
        told = "" if color or line.met() is None else f"  {line.met()}"
        print(f"{mark}{text}\033[0m" if mark else f"{text}{told}")
