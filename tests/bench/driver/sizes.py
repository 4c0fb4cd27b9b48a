"""Ratios of a join with much stored data to one with little: a large class, many codes."""

import contextlib

from . import calls
from .growth import grow
from .homeroom import Homeroom
from .servers import SQL

GROUP = "sizes, 1 client"
GOAL = ("<=", 1.15, 1.05)
MEMBERS = (30, 100_000)
MEMBERS_QUICK = (30, 10_000)
CODES = (10, 10_000_000)
CODES_QUICK = (10, 100_000)


def measure(world, binaries, say):
    quick = world.options.quick
    repetitions = 100 if quick else 500
    lines, figures = [], {}
    for what, measured in (
        ("members", _members(world, binaries, MEMBERS_QUICK if quick else MEMBERS, repetitions, say)),
        ("codes", _codes(world, binaries, CODES_QUICK if quick else CODES, repetitions, say)),
    ):
        (small, large), latencies = measured
        names = [_name(number, what) for number in (small, large)]
        lines += [calls.median(GROUP, name, latencies) for name in names]
        title = f"p50 of a join with {large:,} {what} ÷ with {small:,}"
        lines.append(calls.ratio(GROUP, title, latencies, names[1], names[0], GOAL))
        figures[what] = latencies
    return lines, figures


def _name(number, what):
    return f"a join with {number:,} {what}"


def _join(homeroom, name, code):
    address = homeroom.address("invitations")
    return {"name": name, "address": address, "token_file": homeroom.token, "call": "join", "credential": code}


def _members(world, binaries, sizes, repetitions, say):
    homeroom = Homeroom(world, "classes", binaries, 2)
    with homeroom.serving():
        codes = homeroom.seed(len(sizes), "org").read_text().split()
        joins = []
        for number, (size, code) in enumerate(zip(sizes, codes)):
            say(f"sizes: a class of {size:,}")
            grow(homeroom, f"org-{number}", code, size)
            joins.append(_join(homeroom, _name(size, "members"), code))
        homeroom.settle()
        before = homeroom.counts()
        latencies = calls.make(world, joins, repetitions)
        made = len(joins) * (repetitions + calls.WARM_UP)
        homeroom.check_counts(before, {"acknowledged": made, "refusals": {}})
        homeroom.audit()
    return sizes, latencies


def _codes(world, binaries, sizes, repetitions, say):
    joins = []
    with contextlib.ExitStack() as stack:
        homerooms = []
        for number, size in enumerate(sizes):
            homeroom = Homeroom(world, f"codes{size}", binaries, 3 + number)
            homerooms.append(homeroom)
            with homeroom.serving():
                # The number of classes is the same; only the number of codes differs.
                codes = homeroom.seed(min(sizes)).read_text().split()
            say(f"sizes: {size:,} codes")
            if more := size - len(codes):
                database = homeroom.databases["invitations"]
                world.postgres.psql(database, variables={"codes": more}, file=SQL / "codes.sql")
            homeroom.settle()
            stack.enter_context(homeroom.serving())
            joins.append(_join(homeroom, _name(size, "codes"), codes[0]))
        before = [homeroom.counts() for homeroom in homerooms]
        latencies = calls.make(world, joins, repetitions)
        for homeroom, counts in zip(homerooms, before):
            homeroom.check_counts(counts, {"acknowledged": repetitions + calls.WARM_UP, "refusals": {}})
        for homeroom in homerooms:
            stored = homeroom.query("invitations", "select count(*) from invitations where lookup_mac is not null")
            say(f"  {homeroom.name} holds {stored[0]:,} credentials")
    return sizes, latencies
