"""One build of Homeroom: both services as two processes with two databases, TLS off."""

import os
import subprocess
import time

from . import processes
from .processes import Failure
from .world import ORGANIZATIONS

SETTLE_SECONDS_MAX = 60

# What one join leaves behind, in each database. The four counts must be equal.
MEMBERSHIP_COUNTS = """
select (select count(*) from class_members where role = 'STUDENT'),
       (select count(*) from organization_members where role = 'STUDENT'),
       (select coalesce(sum(seats_used), 0) from organization_seats)
"""
INVITATIONS_COUNTS = "select count(*) from redemptions where state = 'COMMITTED'"
UNSETTLED = "select count(*) from redemptions where state = 'RESERVED'"


class Homeroom:
    """`binaries` is the folder of `membership` and `invitations`; the rest is this checkout's."""

    def __init__(self, world, name, binaries, redis_number):
        self.world = world
        self.name = name
        self.binaries = binaries
        self.data = world.folder / name
        self.databases = {service: f"{name}_{service}" for service in ("membership", "invitations")}
        self.redis_number = redis_number
        self.ports = {service: processes.free_port() for service in self.databases}
        self.running = {}
        self._spread_codes = None
        self._set_up()

    def _tool(self, *words):
        return processes.run([self.world.binaries / "homeroom", *words])

    def _set_up(self):
        self._tool("keys", "--data", self.data)
        for service, database in self.databases.items():
            self.world.postgres.create(database)
            processes.run([self.binaries / service, "migrate"], env=self._environment(service))
        self.staff_token = self._token("homeroom.platform", "homeroom.act_as")
        self.token = self._token("homeroom.act_as", "homeroom.vouch")

    def _token(self, *scopes):
        words = [word for scope in scopes for word in ("--scope", scope)]
        path = self.data / f"{'-'.join(scopes)}.token"
        path.write_text(self._tool("token", "--data", self.data, "--user", "bench", "--ttl", "1d", *words))
        return path

    def _environment(self, service, postgres_port=None):
        environment = {
            "PATH": os.environ["PATH"],
            "LISTEN_ADDRESS": f"127.0.0.1:{self.ports[service]}",
            "DATABASE_URL": self.world.postgres.url(self.databases[service], postgres_port),
            "KEYS_FILE": str(self.data / f"{service}.keys"),
            "JWKS_FILE": str(self.data / "jwks.json"),
            "TOKEN_ISSUER": "homeroom",
            "TOKEN_AUDIENCE": "homeroom",
        }
        if service == "invitations":
            environment |= {
                "REDIS_URL": self.world.redis.url(self.redis_number),
                "MEMBERSHIP_URL": f"http://127.0.0.1:{self.ports['membership']}",
                "SIGNING_KEY_FILE": str(self.data / "invitations-signing-key.pem"),
                "PUBLIC_URL": "https://join.example",
            }
        return environment

    def start(self, postgres_ports=None):
        """Starts both services, on these ways to their databases if they are given."""
        for service in self.databases:
            environment = self._environment(service, (postgres_ports or {}).get(service))
            log = self.world.folder / f"{self.name}-{service}.log"
            process = processes.start([self.binaries / service, "serve"], log, environment)
            self.running[service] = process
            ready = [self.world.binaries / "homeroom", "ready", f"127.0.0.1:{self.ports[service]}"]
            answers = lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0
            processes.wait_until(f"{self.name}'s {service} is ready", answers, process)

    def stop(self):
        for service in ("invitations", "membership"):
            processes.stop(self.running.pop(service))

    def seed(self, organizations):
        """Creates organizations with one class each; returns the file of their class codes."""
        name = self.world.new_name()
        addresses = [word for service in self.ports for word in (f"--{service}", f"127.0.0.1:{self.ports[service]}")]
        words = ["--token-file", self.staff_token, "--prefix", f"org-{name}", "--organizations", organizations]
        path = self.data / f"{name}.codes"
        path.write_text("\n".join(self.world.client("seed", *addresses, *words)))
        return path

    def codes(self, shape):
        """Returns the codes of a shape: for a hot load of an organization that is empty yet."""
        if shape == "hot":
            return self.seed(ORGANIZATIONS[shape])
        if self._spread_codes is None:
            self._spread_codes = self.seed(ORGANIZATIONS[shape])
        return self._spread_codes

    def target(self, codes):
        """Returns what the load client takes to redeem these codes for users of its own."""
        run = int.from_bytes(os.urandom(7), "big")
        address = f"127.0.0.1:{self.ports['invitations']}"
        return ["--invitations", address, "--token-file", self.token, "--codes", codes, "--run", run]

    def sample(self, shape, clients):
        self.start()
        try:
            codes = self.codes(shape)
            self.world.postgres.settle(*self.databases.values())
            before = self.counts()
            load = ["load", "homeroom", *self.target(codes), "--clients", clients]
            load += ["--seconds", self.world.options.seconds]
            components = {service: process.pid for service, process in self.running.items()}
            figures = self.world.sample(components, lambda: self.world.client(*load))
            self.check_counts(before, figures)
            return figures
        finally:
            self.stop()

    def _query(self, service, sql):
        return [int(value) for value in self.world.postgres.psql(self.databases[service], sql)[0]]

    def counts(self):
        """Returns the counts once every redemption is settled."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while unsettled := self._query("invitations", UNSETTLED)[0]:
            if time.monotonic() >= deadline:
                raise Failure(f"{unsettled} redemptions of {self.name} are not settled after {SETTLE_SECONDS_MAX} s")
            time.sleep(0.1)
        in_class, in_organization, seats = self._query("membership", MEMBERSHIP_COUNTS)
        return {
            "redemptions committed": self._query("invitations", INVITATIONS_COUNTS)[0],
            "class memberships": in_class,
            "organization memberships": in_organization,
            "seats used": seats,
        }

    def check_counts(self, before, figures):
        """Fails unless as many joins were acknowledged as stand in the databases, and none was refused."""
        after = self.counts()
        counts = {"acknowledged joins": figures["acknowledged"]}
        counts |= {name: after[name] - before[name] for name in after}
        if len(set(counts.values())) != 1 or figures["refusals"]:
            raise Failure(f"{self.name}: the counts must be equal and nothing refused: {counts}, {figures['refusals']}")
        figures["counts"] = counts
