"""The benchmark's own PostgreSQL and Redis."""

import os
import pathlib
import shutil
import signal
import subprocess

from . import processes
from .processes import Failure

# All other settings keep PostgreSQL's defaults; fsync and synchronous_commit are defaults that are stated.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    # No checkpoint falls into a sample, since one is made before each.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
}


SQL = pathlib.Path(__file__).resolve().parent.parent / "sql"


def _as_root(command):
    return command if os.geteuid() == 0 else ["sudo", *command]


def install():
    """Installs missing programs by the system's package manager."""
    missing = []
    if postgres_folder() is None:
        missing.append("postgresql")
    for command, package in (("redis-server", "redis-server"), ("node", "nodejs"), ("npm", "npm")):
        if shutil.which(command) is None:
            missing.append(package)
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise Failure(f"install {', '.join(missing)} by this system's package manager, and run again")
    print(f"installing {', '.join(missing)} by apt-get", flush=True)
    quietly = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    processes.run(_as_root(["apt-get", "update", "-qq"]), **quietly)
    processes.run(_as_root(["apt-get", "install", "-y", "-qq", *missing]), **quietly)


def postgres_folder():
    """Returns the folder of the newest PostgreSQL's programs, or None if there is none."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return None if initdb is None else pathlib.Path(initdb).resolve().parent


class Postgres:
    """A new cluster, which does not run as root."""

    def __init__(self, folder):
        self.programs = postgres_folder()
        self.port = processes.free_port()
        data = folder / "postgres"
        data.mkdir()
        owner = []
        if os.geteuid() == 0:
            folder.chmod(0o755)
            shutil.chown(data, "postgres", "postgres")
            owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        initdb = [self.programs / "initdb", "--pgdata", data / "data", "--username", "homeroom", "--auth", "trust"]
        # The same collation on every machine, whatever its language.
        processes.run([*owner, *initdb, "--encoding", "UTF8", "--locale", "C.UTF-8"], cwd="/")
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [*owner, self.programs / "postgres", "-D", data / "data", "-p", self.port, "-k", data, *settings]
        # On SIGINT it ends its connections and writes all data to disk.
        self.process = processes.start(command, folder / "postgres.log", folder="/", stop_signal=signal.SIGINT)
        self.environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "homeroom"}
        ready = [self.programs / "pg_isready", "-q", "-d", "postgres"]
        answers = lambda: subprocess.run(ready, env=self.environment, check=False).returncode == 0
        processes.wait_until("PostgreSQL answers", answers, self.process)

    def url(self, database, port=None):
        return f"postgres://homeroom@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    def psql(self, database, *commands, variables=None, file=None):
        """Runs SQL and returns its rows as lists of text."""
        words = [self.programs / "psql", "-XqtA", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database]
        for name, value in (variables or {}).items():
            words += ["-v", f"{name}={value}"]
        for command in commands:
            words += ["-c", command]
        if file is not None:
            words += ["-f", file]
        return [line.split("\t") for line in processes.run(words, env=self.environment).splitlines()]

    def create(self, database):
        self.psql("postgres", f"create database {database}")

    def settle(self, *databases):
        """Finishes the work of earlier writes, so that none is left during a sample."""
        for database in databases:
            self.psql(database, "vacuum (analyze)")
        self.psql("postgres", "checkpoint")

    def version(self):
        return self.psql("postgres", "show server_version")[0][0]


class Redis:
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder):
        self.port = processes.free_port()
        command = ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--save", "", "--appendonly", "no"]
        self.process = processes.start([*command, "--dir", folder], folder / "redis.log")
        processes.wait_until("Redis answers", lambda: processes.accepts(self.port), self.process)

    def url(self, number):
        return f"redis://127.0.0.1:{self.port}/{number}"
