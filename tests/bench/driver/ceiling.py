"""The ceiling of Homeroom's own tables: T1, T2 and T3 by pgbench, in batches and one at a time."""

import pathlib

from . import processes
from .homeroom import Homeroom
from .lines import Line
from .processes import Failure
from .twotx import pgbench
from .world import ORGANIZATIONS

# One file for each transaction, which writes the same columns as this build's services.
SQL = pathlib.Path(__file__).resolve().parent.parent / "ceiling"
SCHEMAS = {"membership": "mem", "invitations": "inv"}
BATCH = 32
BATCH_CONNECTIONS = 4
ROUNDS_MAX = 3


class Tables(Homeroom):
    """Both services' tables in one database, each in its own schema, so that one connection reaches both."""

    def _migrate(self):
        self.databases = {service: self.name for service in self.databases}
        self.world.postgres.create(self.name)
        for service, schema in SCHEMAS.items():
            self.world.postgres.psql(self.name, f"create schema {schema}")
            processes.run([self.binaries / service, "migrate"], env=self._environment(service))

    def _environment(self, service, postgres_port=None):
        environment = super()._environment(service, postgres_port)
        environment["DATABASE_URL"] += f"&options=-c%20search_path%3D{SCHEMAS[service]}"
        return environment


def measure(world, binaries, twotx, say):
    tables = Tables(world, "ceiling", binaries, 6)
    with tables.serving():
        tables.seed(max(ORGANIZATIONS.values()), "org")
    world.postgres.psql(tables.name, file=SQL / "setup.sql")
    script = world.folder / "ceiling.sql"
    script.write_text("".join(path.read_text() for path in sorted(SQL.glob("[0-9]_*.sql"))))
    measured = {shape: [] for shape in ORGANIZATIONS}
    for _ in range(min(world.options.rounds, ROUNDS_MAX)):
        for shape, organizations in ORGANIZATIONS.items():

            def sample(batch, connections):
                world.postgres.settle(tables.name)
                variables = {"norg": organizations, "batch": batch}
                return world.sample({}, lambda: pgbench(world, tables.name, script, connections, **variables))

            figures = {
                "twotx": twotx.sample(shape, 32),
                "batches": sample(BATCH, BATCH_CONNECTIONS),
                "one at a time": sample(1, 32),
            }
            rates = [round(sample["per_second"]) for sample in figures.values()]
            if not world.options.quick:
                figures |= {"one, 1 client": sample(1, 1), "twotx, 1 client": twotx.sample(shape, 1)}
            measured[shape].append(figures)
            say(f"ceiling, {shape}: twotx {rates[0]}, in batches {BATCH * rates[1]}, one at a time {rates[2]} joins/s")
    _check(world, tables, measured)
    return [line for shape, rounds in measured.items() for line in _lines(shape, rounds)], measured


def _check(world, tables, measured):
    """Fails unless pgbench wrote the same as the services would have: the four counts, and nothing reserved."""
    joins = sum(
        sample["acknowledged"] * (BATCH if name == "batches" else 1)
        for rounds in measured.values() for figures in rounds
        for name, sample in figures.items() if not name.startswith("twotx")
    )
    counts = world.postgres.psql(
        tables.name,
        """
        select (select count(*) from inv.redemptions where state = 'COMMITTED'), (select count(*) from inv.redemptions),
               (select count(*) from mem.admissions), (select count(*) from mem.class_members where role = 'STUDENT'),
               (select count(*) from mem.organization_members where role = 'STUDENT'),
               (select sum(seats_used) from mem.organization_seats)
        """,
    )[0]
    if {int(count) for count in counts} != {joins}:
        raise Failure(f"the ceiling's {joins} joins left other counts: {', '.join(counts)}")


def _lines(shape, rounds):
    rate = lambda name, factor=1: [factor * figures[name]["per_second"] for figures in rounds]
    ratio = lambda above, below: [one / other for one, other in zip(above, below)]
    p50 = lambda name: [figures[name]["p50_ms"] for figures in rounds]
    batches, one, twotx = rate("batches", BATCH), rate("one at a time"), rate("twotx")
    title = f"in batches of {BATCH} on {BATCH_CONNECTIONS} connections"
    lines = [
        (f"joins/s {title}", "/s", batches),
        ("joins/s one at a time on 32 connections", "/s", one),
        (f"{title} ÷ twotx", "×", ratio(batches, twotx)),
        ("one at a time on 32 connections ÷ twotx", "×", ratio(one, twotx)),
    ]
    if "one, 1 client" in rounds[0]:
        p50s = ratio(p50("one, 1 client"), p50("twotx, 1 client"))
        lines.append(("p50 one at a time on 1 connection ÷ twotx", "×", p50s))
    return [Line(f"ceiling of the tables, {shape}", name, unit, values) for name, unit, values in lines]
