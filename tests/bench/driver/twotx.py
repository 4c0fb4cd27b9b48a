"""The naive limit: pgbench with the least SQL of one redemption, as two transactions."""

import pathlib
import re

from . import processes
from .world import ORGANIZATIONS

SQL = pathlib.Path(__file__).resolve().parent.parent / "twotx"


class Twotx:
    name = "twotx"

    def __init__(self, world):
        self.world = world
        world.postgres.create("twotx")
        world.postgres.psql("twotx", file=SQL / "schema.sql")

    def sample(self, shape, clients):
        self.world.postgres.settle("twotx")
        variables = {"norg": ORGANIZATIONS[shape]}
        return self.world.sample({}, lambda: pgbench(self.world, "twotx", SQL / "twotx.sql", clients, **variables))


def pgbench(world, database, script, clients, **variables):
    """Runs a script of pgbench; an operation is the whole script."""
    postgres, log = world.postgres, world.folder / world.new_name()
    log.mkdir()
    command = [postgres.programs / "pgbench", "-n", "-M", "prepared", "-c", clients, "-j", min(2, clients)]
    command += ["-T", max(1, round(world.options.seconds)), "-l", "-f", script]
    command += [word for name, value in variables.items() for word in ("-D", f"{name}={value}")]
    printed = processes.run([*command, database], env=postgres.environment, cwd=log)
    micros = sorted(int(line.split(" ", 3)[2]) for file in log.iterdir() for line in file.read_text().splitlines())
    at = lambda share: micros[min(len(micros) - 1, int(len(micros) * share))] / 1000
    return {
        "acknowledged": len(micros),
        "refusals": {},
        "per_second": float(re.search(r"^tps = ([0-9.]+)", printed, re.M)[1]),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
    }
