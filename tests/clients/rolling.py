"""Two processes of each service, restarted one after the other while people join.

Usage: rolling.py BUILT PROTO DESCRIPTOR_SET MEMBERSHIP MEMBERSHIP INVITATIONS INVITATIONS with the stubs in PYTHONPATH, and
HOMEROOM_TEST_DATABASE_URL and HOMEROOM_TEST_REDIS_URL in the environment. People join by grpcio, with a retry policy and
without, and by the clients of rolling.mjs. Exits 1 if a client sees an error other than UNAVAILABLE, if a retry is answered
otherwise, or if somebody who was told so is not in the class.
"""

import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from homeroom.common.v1.user_pb2 import User
from homeroom.invitations.v1 import class_code_service_pb2, class_code_service_pb2_grpc
from homeroom.invitations.v1 import redemption_service_pb2, redemption_service_pb2_grpc
from homeroom.membership.v1 import class_service_pb2, class_service_pb2_grpc
from homeroom.membership.v1 import member_service_pb2, member_service_pb2_grpc
from homeroom.membership.v1 import organization_service_pb2, organization_service_pb2_grpc

BUILT, PROTO, DESCRIPTOR_SET, *ADDRESSES = sys.argv[1:]
DATABASE_URL = os.environ["HOMEROOM_TEST_DATABASE_URL"]
DEADLINE_SECONDS = 20
# Sometimes enough for a join, and sometimes not.
SHORT_DEADLINE_SECONDS = 0.02
START_SECONDS = 60
STOP_SECONDS = 60
ROUNDS = 2
JOINS_AT_ONCE = 4
JOINS_MAX = 5_000
TRIES_MAX = 100
PAUSE_SECONDS = 0.1
RETRY_POLICY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def run(*command, **environment):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout.strip()


def check(what, actual, expected):
    if actual != expected:
        sys.exit(f"FAILED {what}: {actual!r} is not {expected!r}")
    print(f"ok {what}", flush=True)


class Process:
    """One process of a service."""

    def __init__(self, service, address, folder, database, **settings):
        self.service, self.address = service, address
        self.log = f"{folder}/{service}-{address.rpartition(':')[2]}.log"
        self.settings = {
            "LISTEN_ADDRESS": address,
            "DATABASE_URL": database,
            "KEYS_FILE": f"{folder}/{service}.keys",
            "JWKS_FILE": f"{folder}/jwks.json",
            "TOKEN_ISSUER": "homeroom",
            "TOKEN_AUDIENCE": "homeroom",
            **settings,
        }
        self.child = None

    def start(self):
        with open(self.log, "a") as log:
            self.child = subprocess.Popen([f"{BUILT}/{self.service}", "serve"], env=self.settings, stdout=log, stderr=log)
        last = time.monotonic() + START_SECONDS
        while not self.serves():
            if self.child.poll() is not None or time.monotonic() > last:
                sys.exit(f"FAILED {self.service} does not serve:\n{open(self.log).read()}")
            time.sleep(PAUSE_SECONDS)

    def serves(self):
        with grpc.insecure_channel(self.address) as channel:
            try:
                health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                return False
            return health.status == health_pb2.HealthCheckResponse.SERVING

    def stop(self):
        self.child.terminate()
        code = self.child.wait(STOP_SECONDS)
        if code:
            sys.exit(f"FAILED {self.service} ended with {code}:\n{open(self.log).read()}")


class Load:
    """People who join by grpcio until they are told to stop, and what their calls saw."""

    def __init__(self, name, addresses, credential, token, *options):
        options = [("grpc.default_authority", "homeroom.school.example"), ("grpc.lb_policy_name", "round_robin"), *options]
        channel = grpc.insecure_channel(f"ipv4:{','.join(addresses)}", options)
        self.redeem = redemption_service_pb2_grpc.RedemptionServiceStub(channel).Redeem
        self.name, self.credential, self.metadata = name, credential, [("authorization", f"Bearer {token}")]
        self.seen, self.joined, self.differing = collections.Counter(), [], []
        self.stopping = threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(JOINS_AT_ONCE)
        self.joins = [self.pool.submit(self.join_people, number) for number in range(JOINS_AT_ONCE)]

    def join_people(self, worker):
        for number in range(JOINS_MAX):
            if self.stopping.is_set():
                return
            self.join(f"{self.name}-{worker}-{number}")

    def join(self, user, first_deadline=DEADLINE_SECONDS):
        request = redemption_service_pb2.RedeemRequest(
            credential=self.credential, user=User(user=user), request_id=str(uuid.uuid4())
        )
        first = self.until_answered(request, first_deadline)
        self.joined.append(user)
        if self.until_answered(request) != first:
            self.differing.append(user)

    def until_answered(self, request, deadline=DEADLINE_SECONDS):
        for _ in range(TRIES_MAX):
            try:
                return self.redeem(request, metadata=self.metadata, timeout=deadline).redemption
            except grpc.RpcError as error:
                self.seen[error.code().name] += 1
            time.sleep(PAUSE_SECONDS)
            deadline = DEADLINE_SECONDS
        raise AssertionError(f"{request.user.user} got no answer")

    def end(self):
        self.stopping.set()
        for join in self.joins:
            join.result()


def main():
    folder = tempfile.mkdtemp()
    run(f"{BUILT}/homeroom", "keys", "--data", folder)
    server = DATABASE_URL.rpartition("/")[0]
    unique = uuid.uuid4().hex
    databases = {service: f"rolling_{service}_{unique}" for service in ("membership", "invitations")}
    for database in databases.values():
        run("psql", DATABASE_URL, "--command", f"CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")
    urls = {service: f"{server}/{database}" for service, database in databases.items()}
    for service, url in urls.items():
        run(f"{BUILT}/{service}", "migrate", DATABASE_URL=url)
    memberships, invitations = ADDRESSES[:2], ADDRESSES[2:]
    processes = [Process("membership", address, folder, urls["membership"]) for address in memberships]
    for address, membership in zip(invitations, memberships):
        settings = {
            "MEMBERSHIP_URL": f"http://{membership}",
            "SIGNING_KEY_FILE": f"{folder}/invitations-signing-key.pem",
            "PUBLIC_URL": "https://join.school.example",
            "REDIS_URL": os.environ["HOMEROOM_TEST_REDIS_URL"],
        }
        processes.append(Process("invitations", address, folder, urls["invitations"], **settings))
    try:
        for process in processes:
            process.start()
        story(folder, processes, memberships, invitations)
        run(f"{BUILT}/homeroom", "audit", "--membership", urls["membership"], "--invitations", urls["invitations"])
        print("ok the audit holds")
    finally:
        for process in processes:
            if process.child:
                process.child.kill()
                process.child.wait()
        for database in databases.values():
            run("psql", DATABASE_URL, "--command", f"DROP DATABASE {database} WITH (FORCE)")


def story(folder, processes, memberships, invitations):
    def token(user, *scopes):
        return run(f"{BUILT}/homeroom", "token", "--data", folder, "--user", user, *(f"--scope={scope}" for scope in scopes))

    def as_caller(caller):
        return {"metadata": [("authorization", f"Bearer {caller}")], "timeout": DEADLINE_SECONDS}

    platform, teacher = token("platform", "homeroom.platform"), token("teacher")
    lms = token("service:lms", "homeroom.act_as homeroom.vouch")
    membership, invitation = grpc.insecure_channel(memberships[0]), grpc.insecure_channel(invitations[0])
    organization = organization_service_pb2_grpc.OrganizationServiceStub(membership).CreateOrganization(
        organization_service_pb2.CreateOrganizationRequest(
            organization_id="hamilton",
            organization=organization_service_pb2.Organization(display_name="Hamilton"),
            admin="teacher",
        ),
        **as_caller(platform),
    )
    biology = class_service_pb2_grpc.ClassServiceStub(membership).CreateClass(
        class_service_pb2.CreateClassRequest(
            parent=organization.name, class_id="biology", **{"class": class_service_pb2.Class(display_name="Biology")}
        ),
        **as_caller(teacher),
    )
    code = class_code_service_pb2_grpc.ClassCodeServiceStub(invitation).GetClassCode(
        class_code_service_pb2.GetClassCodeRequest(name=f"{biology.name}/classCode"), **as_caller(teacher)
    ).code

    # Given people who join by every client,
    loads = [
        Load("grpcio", invitations, code, lms),
        Load("grpcio-retry", invitations, code, lms, ("grpc.service_config", json.dumps(RETRY_POLICY))),
    ]
    javascript = subprocess.Popen(
        ["node", f"{os.path.dirname(__file__)}/rolling.mjs", PROTO, DESCRIPTOR_SET, *invitations],
        env={**os.environ, "HOMEROOM_TOKEN": lms, "CODE": code},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # when each process is restarted in turn,
    for _ in range(ROUNDS):
        for process in processes:
            process.stop()
            process.start()
    for load in loads:
        load.end()
    told, _ = javascript.communicate(timeout=STOP_SECONDS)
    results = json.loads(told)
    for load in loads:
        results[load.name] = {"seen": load.seen, "joined": load.joined, "differing": load.differing}

    # then no client saw anything but UNAVAILABLE, each retry was answered as before, and all who were told so are in.
    joined = set()
    for name, result in results.items():
        print(f"{name}: {len(result['joined'])} joined, seen: {dict(result['seen'])}")
        check(f"{name} saw UNAVAILABLE alone", set(result["seen"]) - {"UNAVAILABLE"}, set())
        check(f"{name} had people join", bool(result["joined"]), True)
        check(f"{name} got the same answer to each retry", result["differing"], [])
        joined.update(result["joined"])

    # A deadline that is too short hides an answer, and a retry shows it.
    hurried = Load("hurried", invitations, code, lms)
    hurried.end()
    hurried.seen.clear()
    for number in range(JOINS_AT_ONCE * 10):
        hurried.join(f"hurried-again-{number}", SHORT_DEADLINE_SECONDS)
    print(f"hurried: seen {dict(hurried.seen)}")
    check("a short deadline is DEADLINE_EXCEEDED alone", set(hurried.seen) - {"DEADLINE_EXCEEDED"}, set())
    check("a retry after it is answered", hurried.differing, [])
    joined.update(hurried.joined)

    roster, page_token = set(), ""
    while True:
        page = member_service_pb2_grpc.MemberServiceStub(grpc.insecure_channel(memberships[0])).ListClassMembers(
            member_service_pb2.ListClassMembersRequest(parent=biology.name, page_size=1_000, page_token=page_token),
            **as_caller(teacher),
        )
        roster.update(member.user for member in page.members)
        page_token = page.next_page_token
        if not page_token:
            break
    check("everybody who was told so is in, and nobody else", roster - {"teacher"}, joined)


if __name__ == "__main__":
    main()
