"""Both services as processes, for tests in Python. They are called by generated stubs, which PYTHONPATH must hold."""

import os
import pathlib
import re
import subprocess
import sys
import urllib.request

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/bench"))
from driver import processes

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def check(what, holds, seen=""):
    if not holds:
        sys.exit(f"FAILED {what}: {seen}")
    print(f"ok {what}", flush=True)


class Services:
    """Both services, with keys of their own. `databases` and `environment` have a value for each service."""

    def __init__(self, folder, databases, redis_url, environment=None, profile="debug"):
        self.folder, self.built = folder, TARGET / profile
        self.ports = {name: processes.free_port() for name in ("membership", "invitations")}
        self.metrics = {name: processes.free_port() for name in self.ports}
        self.databases, self.redis_url, self.more = databases, redis_url, environment or {}
        self.channels = {name: grpc.insecure_channel(f"127.0.0.1:{port}") for name, port in self.ports.items()}
        self.tool("keys", "--data", folder / "keys")

    def start(self):
        for name in self.ports:
            log = self.folder / f"{name}.log"
            process = processes.start([self.built / name, "serve"], log, self.environment(name))
            ready = [self.built / "homeroom", "ready", f"127.0.0.1:{self.ports[name]}"]
            answers = lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0
            processes.wait_until(f"{name} is ready", answers, process)

    def environment(self, name):
        environment = {
            "PATH": os.environ["PATH"],
            "LISTEN_ADDRESS": f"127.0.0.1:{self.ports[name]}",
            "METRICS_LISTEN_ADDRESS": f"127.0.0.1:{self.metrics[name]}",
            "DATABASE_URL": self.databases[name],
            "MIGRATE_AT_START": "true",
            "KEYS_FILE": str(self.folder / f"keys/{name}.keys"),
            "JWKS_FILE": str(self.folder / "keys/jwks.json"),
            "TOKEN_ISSUER": "homeroom",
            "TOKEN_AUDIENCE": "homeroom",
        }
        if name == "invitations":
            environment |= {
                "REDIS_URL": self.redis_url,
                "MEMBERSHIP_URL": f"http://127.0.0.1:{self.ports['membership']}",
                "SIGNING_KEY_FILE": str(self.folder / "keys/invitations-signing-key.pem"),
                "PUBLIC_URL": "https://join.example",
            }
        environment |= self.more
        # Keys come from one place.
        if "JWKS_URL" in environment:
            del environment["JWKS_FILE"]
        return environment

    def tool(self, *words):
        return processes.run([self.built / "homeroom", *words])

    def token(self, user, *scopes):
        words = [word for scope in scopes for word in ("--scope", scope)]
        return self.tool("token", "--data", self.folder / "keys", "--user", user, *words).strip()

    def call(self, service, method, token, metadata=(), timeout=20, **request):
        """Calls a method, such as `ClassService/GetClass`."""
        package, _, rpc = method.partition("/")
        module = re.sub(r"(?<!^)(?=[A-Z])", "_", package).lower()
        messages = __import__(f"homeroom.{service}.v1.{module}_pb2", fromlist=["_"])
        stubs = __import__(f"homeroom.{service}.v1.{module}_pb2_grpc", fromlist=["_"])
        stub = getattr(stubs, f"{package}Stub")(self.channels[service])
        metadata = [("authorization", f"Bearer {token}"), *metadata]
        return getattr(stub, rpc)(getattr(messages, f"{rpc}Request")(**request), metadata=metadata, timeout=timeout)

    def biology(self):
        """Creates an organization with a class; returns the class's code."""
        platform = self.token("platform", "homeroom.platform")
        teacher = self.token("teacher-tilda")
        self.call("membership", "OrganizationService/CreateOrganization", platform,
                  organization_id="hamilton", organization={"display_name": "Hamilton High"}, admin="teacher-tilda")
        self.call("membership", "ClassService/CreateClass", teacher, parent="organizations/hamilton",
                  class_id="biology", **{"class": {"display_name": "Biology"}})
        name = "organizations/hamilton/classes/biology/classCode"
        return self.call("invitations", "ClassCodeService/GetClassCode", teacher, name=name).code

    def exposed(self):
        """Returns the text of both services' metrics."""
        texts = [
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            for port in self.metrics.values()
        ]
        return "".join(texts)
