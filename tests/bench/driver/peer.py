"""The peer: better-auth's accept-invitation, installed from npm into target/bench/peer."""

import base64
import hashlib
import hmac
import os
import pathlib
import shutil
import urllib.parse

from . import processes
from .processes import Failure
from .world import ORGANIZATIONS

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "peer"
SECRET = "a-secret-of-the-benchmark-alone-0000"
# More than the peer can accept in a second.
INVITATIONS_PER_SECOND = 800


def install(folder):
    """Installs the pinned versions, unless they are installed."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    installed = folder / "installed-lock.json"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "server.mjs", "seed.sql"):
        shutil.copyfile(SOURCE / name, folder / name)
    if not installed.exists() or installed.read_bytes() != lock:
        print(f"installing better-auth by npm into {folder}", flush=True)
        processes.run(["npm", "ci", "--silent", "--no-fund", "--no-audit"], cwd=folder)
        installed.write_bytes(lock)


class Peer:
    name = "peer"

    def __init__(self, world, folder):
        self.world = world
        self.folder = folder
        self.port = processes.free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "NODE_ENV": "production",
            "PORT": str(self.port),
            "DATABASE_URL": world.postgres.url("peer").partition("?")[0],
            "BETTER_AUTH_SECRET": SECRET,
        }
        world.postgres.create("peer")
        processes.run(["node", "server.mjs", "migrate"], cwd=folder, env=self.environment)

    def takes(self, shape, clients):
        return True

    def _seed(self, organizations, users):
        """Invites this many users; returns the file of their invitations and cookies."""
        run = self.world.new_name()
        variables = {"run": run, "users": users, "organizations": organizations}
        self.world.postgres.psql("peer", variables=variables, file=self.folder / "seed.sql")
        lines = []
        for number in range(1, users + 1):
            token = f"{run}t{number}"
            digest = hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).digest()
            signed = urllib.parse.quote(f"{token}.{base64.b64encode(digest).decode()}", safe="")
            lines.append(f"{run}i{number}\tbetter-auth.session_token={signed}")
        path = self.world.folder / f"{run}.invitations"
        path.write_text("\n".join(lines))
        return path

    def sample(self, shape, clients):
        seconds = self.world.options.seconds
        invitations = self._seed(ORGANIZATIONS[shape], round(INVITATIONS_PER_SECOND * (seconds + 2)))
        log = self.world.folder / "peer.log"
        process = processes.start(["node", "server.mjs"], log, self.environment, self.folder)
        try:
            processes.wait_until("the peer listens", lambda: processes.accepts(self.port), process)
            self.world.postgres.settle("peer")
            load = ["load", "peer", "--address", f"127.0.0.1:{self.port}", "--invitations", invitations]
            load += ["--clients", clients, "--seconds", seconds]
            figures = self.world.sample({"peer": process.pid}, lambda: self.world.client(*load))
        finally:
            processes.stop(process)
        members = int(self.world.postgres.psql("peer", "select count(*) from member")[0][0])
        if members != figures["acknowledged"] or figures["refusals"]:
            raise Failure(f"the peer acknowledged {figures['acknowledged']} and has {members}: {figures['refusals']}")
        return figures
