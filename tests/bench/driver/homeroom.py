"""One build of Homeroom: both services as two processes with two databases, TLS off."""

import contextlib
import json
import os
import subprocess
import time

from . import processes
from .processes import Failure
from .world import ORGANIZATIONS

SETTLE_SECONDS_MAX = 60

# The rows of one join in each database. The four counts must be equal.
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
        self._migrate()
        self.staff_token = self._token("homeroom.platform", "homeroom.act_as")
        self.token = self._token("homeroom.act_as", "homeroom.vouch")

    def _migrate(self):
        for service, database in self.databases.items():
            self.world.postgres.create(database)
            processes.run([self.binaries / service, "migrate"], env=self._environment(service))

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
        """Starts both services, with these ports of their databases if given."""
        for service in self.databases:
            process = self.start_one(service, (postgres_ports or {}).get(service))
            self._wait_ready(service, process)

    def start_one(self, service, postgres_port=None):
        """Starts one service and does not wait for it."""
        log = self.world.folder / f"{self.name}-{service}.log"
        process = processes.start([self.binaries / service, "serve"], log, self._environment(service, postgres_port))
        self.running[service] = process
        return process

    def _wait_ready(self, service, process):
        ready = [self.world.binaries / "homeroom", "ready", self.address(service)]
        answers = lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0
        processes.wait_until(f"{self.name}'s {service} is ready", answers, process)

    def stop(self):
        # Invitations, which calls membership, was started last.
        for name in reversed(list(self.running)):
            processes.stop(self.running.pop(name))

    @contextlib.contextmanager
    def serving(self):
        """Runs the services for as long as the context lasts."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def address(self, service):
        return f"127.0.0.1:{self.ports[service]}"

    def components(self):
        """Returns the running processes by name."""
        return {name: process.pid for name, process in self.running.items()}

    def settle(self):
        self.world.postgres.settle(*self.databases.values())

    def takes(self, shape, clients):
        """Returns True if this load is measured beside ours."""
        # No target compares the two at one client, and --quick has little time.
        return clients > 1 or not self.world.options.quick

    def call(self, service, method, request, user):
        """Calls a method as this user, and returns its answer."""
        token = self._tool("token", "--data", self.data, "--user", user).strip()
        return json.loads(self._tool("call", self.address(service), method, json.dumps(request), "--token", token))

    def audit(self):
        """Fails unless the invariants of redemption hold in the two databases."""
        words = [word for name in self.databases for word in (f"--{name}", self.world.postgres.url(self.databases[name]))]
        self._tool("audit", *words, "--quiescent")

    def seed(self, organizations, prefix=None):
        """Creates organizations with one class each; returns the file of their class codes, in the same order."""
        name = prefix or f"org-{self.world.new_name()}"
        addresses = [word for service in self.ports for word in (f"--{service}", self.address(service))]
        words = ["--token-file", self.staff_token, "--prefix", name, "--organizations", organizations]
        path = self.data / f"{name}.codes"
        path.write_text("\n".join(self.world.client("seed", *addresses, *words)))
        return path

    def codes(self, shape):
        """Returns the codes of a shape; a hot load gets a new organization."""
        if shape == "hot":
            return self.seed(ORGANIZATIONS[shape])
        if self._spread_codes is None:
            self._spread_codes = self.seed(ORGANIZATIONS[shape])
        return self._spread_codes

    def target(self, codes):
        """Returns the load client's arguments to redeem these codes for its own users."""
        words = ["--invitations", self.address("invitations"), "--token-file", self.token]
        return [*words, "--codes", codes, "--run", self.world.new_run()]

    def sample(self, shape, clients):
        with self.serving():
            codes = self.codes(shape)
            self.settle()
            before = self.counts()
            figures = self.load(codes, clients)
            self.check_counts(before, figures)
            return figures

    def load(self, codes, clients, *words):
        """Runs a closed loop against the running services."""
        load = ["load", "homeroom", *self.target(codes), "--clients", clients, *words]
        load += ["--seconds", self.world.options.seconds]
        return self.world.sample(self.components(), lambda: self.world.client(*load))

    def query(self, service, sql):
        return [int(value) for value in self.world.postgres.psql(self.databases[service], sql)[0]]

    def wait_followed(self):
        """Waits until every redemption with a decided request is settled."""
        decided = "select count(*) from join_requests where state <> 'PENDING'"
        waiting = "select count(*) from redemptions where state = 'QUEUED'"
        total = self.query("membership", "select count(*) from join_requests")[0]
        settled = lambda: total - self.query("invitations", waiting)[0] >= self.query("membership", decided)[0]
        processes.wait_until("each decision is followed", settled)

    def counts(self):
        """Returns the counts once every redemption is settled."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while unsettled := self.query("invitations", UNSETTLED)[0]:
            if time.monotonic() >= deadline:
                raise Failure(f"{unsettled} redemptions of {self.name} are not settled after {SETTLE_SECONDS_MAX} s")
            time.sleep(0.1)
        in_class, in_organization, seats = self.query("membership", MEMBERSHIP_COUNTS)
        return {
            "redemptions committed": self.query("invitations", INVITATIONS_COUNTS)[0],
            "class memberships": in_class,
            "organization memberships": in_organization,
            "seats used": seats,
        }

    def check_counts(self, before, figures, refusals=False):
        """Fails unless the databases have as many joins as were acknowledged, and none was refused.

        With `refusals`, an answer may have been an error although the join went on: then the databases may have more.
        """
        after = self.counts()
        counts = {name: after[name] - before[name] for name in after}
        joined, acknowledged = max(counts.values()), figures["acknowledged"]
        right = len(set(counts.values())) == 1 and (acknowledged == joined or refusals and acknowledged < joined)
        counts["acknowledged joins"] = acknowledged
        if not right or figures["refusals"] and not refusals:
            raise Failure(f"{self.name}: the counts must be equal and nothing refused: {counts}, {figures['refusals']}")
        figures["counts"] = counts
