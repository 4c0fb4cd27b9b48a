"""`homeroom serve`: both services in one process, on SQLite files."""

import contextlib
import os
import sqlite3

from . import processes
from .homeroom import Homeroom


class Embedded(Homeroom):
    def _migrate(self):
        pass  # It migrates when it starts.

    def start(self):
        command = [self.binaries / "homeroom", "serve", "--data", self.data]
        command += [word for service in self.ports for word in (f"--{service}", self.address(service))]
        log = self.world.folder / f"{self.name}.log"
        process = processes.start(command, log, {"PATH": os.environ["PATH"]})
        self.running["embedded"] = process
        for service in self.ports:
            self._wait_ready(service, process)

    def takes(self, shape, clients):
        return (shape, clients) == ("spread", 32)

    def settle(self):
        pass  # SQLite has no background work.

    def query(self, service, sql):
        path = self.data / f"{service}.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return list(connection.execute(sql).fetchone())
