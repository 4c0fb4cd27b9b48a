"""The common parts of every measurement: the servers, the folder, the client, and the procedure of a sample."""

import json
import os
import resource

from . import machine, processes


class World:
    def __init__(self, options, folder, postgres, redis, binaries):
        self.options = options
        self.folder = folder
        self.postgres = postgres
        self.redis = redis
        # `membership`, `invitations`, `homeroom` and `homeroom-bench` of this checkout.
        self.binaries = binaries
        self._names = 0

    def new_name(self):
        """Returns a name that no other sample has."""
        self._names += 1
        return f"s{self._names}"

    def new_run(self):
        """Returns a number that makes users and request ids differ from those of all other runs."""
        return int.from_bytes(os.urandom(7), "big")

    def client(self, *words):
        """Runs a command of the load client and returns the JSON that it prints."""
        return json.loads(processes.run([self.binaries / "homeroom-bench", *words]))

    def sample(self, components, load):
        """Runs `load` on an idle machine, and adds the processor time of each component to its figures.

        `components` names processes by their ids; the load client and PostgreSQL are added to them.
        """
        components = {"postgres": self.postgres.process.pid, **components}
        busy = machine.wait_idle(self.options.idle_seconds_max)
        load_average = os.getloadavg()[0]
        before = {name: machine.cpu_seconds(pid) for name, pid in components.items()}
        client_before = _cpu_seconds_of_children()
        figures = load()
        client = _cpu_seconds_of_children() - client_before
        spent = {name: machine.cpu_seconds(pid) - before[name] for name, pid in components.items()}
        joins = max(1, figures.get("answers", figures)["acknowledged"])
        figures["cpu_micros"] = {
            name: round(1e6 * seconds / joins) for name, seconds in {**spent, "client": client}.items()
        }
        figures["busy_percent_before"] = busy
        figures["load_average_before"] = round(load_average, 2)
        return figures


def _cpu_seconds_of_children():
    # Only ended children count here; the servers are children too, and keep running.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# The number of organizations that share the load in each shape.
ORGANIZATIONS = {"hot": 1, "spread": 1000}
