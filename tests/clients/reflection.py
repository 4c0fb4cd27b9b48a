"""Python's grpcio with nothing but server reflection: no generated code, no .proto file.

Usage: reflection.py MEMBERSHIP INVITATIONS with PLATFORM_TOKEN, TEACHER_TOKEN and STUDENT_TOKEN
in the environment. Plays one story and checks each answer; exits 1 at the first that is wrong.
"""

import collections
import os
import re
import sys

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

DEADLINE_SECONDS = 20
# The calls with a large refusal. grpcio refuses trailers of more than 8 KiB now and then, and of more than 16 KiB always.
LARGE_REFUSALS = 400


class Service:
    """A server, known by reflection alone."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def message(self, name):
        return GetMessageClass(self.pool.FindMessageTypeByName(name))

    def call(self, method, token, **fields):
        service, name = method.rsplit(".", 1)
        descriptor = self.pool.FindServiceByName(service).methods_by_name[name]
        request = json_format.ParseDict(fields, GetMessageClass(descriptor.input_type)())
        answer = GetMessageClass(descriptor.output_type)
        unary = self.channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        response = unary(request, metadata=[("authorization", f"Bearer {token}")], timeout=DEADLINE_SECONDS)
        return json_format.MessageToDict(response, preserving_proto_field_name=True)

    def refused(self, method, token, **fields):
        """The code and every decoded google.rpc detail of a call that must fail."""
        try:
            answer = self.call(method, token, **fields)
        except grpc.RpcError as error:
            # A refusal that the client itself makes of what it cannot read has none.
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            status = self.message("google.rpc.Status").FromString(details)
            decoded = {}
            for detail in status.details:
                name = detail.type_url.rsplit("/", 1)[-1]
                message = self.message(name).FromString(detail.value)
                decoded[name] = json_format.MessageToDict(message, preserving_proto_field_name=True)
            return error.code(), decoded
        raise AssertionError(f"{method} should have been refused, answered {answer}")


def check(what, actual, expected):
    if actual != expected:
        sys.exit(f"FAILED {what}: {actual!r} is not {expected!r}")
    print(f"ok {what}")


def several_addresses(address):
    """A channel to one server by two of its addresses, as docs/integrating.md has it for several servers."""
    return grpc.insecure_channel(f"ipv4:{address},{address}", options=[("grpc.default_authority", "homeroom.school.example")])


def main():
    membership, invitations = Service(sys.argv[1]), Service(sys.argv[2])
    platform, teacher, student = (os.environ[f"{who}_TOKEN"] for who in ("PLATFORM", "TEACHER", "STUDENT"))

    for name, service in (("membership", membership), ("invitations", invitations)):
        health = health_pb2_grpc.HealthStub(service.channel).Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_SECONDS)
        check(f"{name} is serving", health.status, health_pb2.HealthCheckResponse.SERVING)
    stub = health_pb2_grpc.HealthStub(several_addresses(sys.argv[2]))
    health = stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_SECONDS)
    check("by several addresses too", health.status, health_pb2.HealthCheckResponse.SERVING)

    organization = membership.call(
        "homeroom.membership.v1.OrganizationService.CreateOrganization",
        platform,
        organization_id="reflection",
        organization={"display_name": "Reflection school"},
        admin="teacher",
    )
    check("the organization's name", organization["name"], "organizations/reflection")
    check("the enum prints bare", organization["state"], "ACTIVE")
    created = membership.call(
        "homeroom.membership.v1.ClassService.CreateClass",
        teacher,
        parent=organization["name"],
        class_id="biology",
        **{"class": {"display_name": "Biology"}},
    )
    code = invitations.call(
        "homeroom.invitations.v1.ClassCodeService.GetClassCode", teacher, name=f"{created['name']}/classCode"
    )
    check("the code is unlocked", code["state"], "UNLOCKED")
    redeemed = invitations.call("homeroom.invitations.v1.RedemptionService.Redeem", student, credential=code["code"])
    check("the student is admitted", redeemed["outcome"], "ADMITTED")
    check("the member's role", redeemed["member"]["role"], "STUDENT")

    refused, details = invitations.refused(
        "homeroom.invitations.v1.RedemptionService.Redeem", student, credential="REFLECTION-NOTHING"
    )
    check("an unknown code is NOT_FOUND", refused, grpc.StatusCode.NOT_FOUND)
    check("its reason", details["google.rpc.ErrorInfo"]["reason"], "CODE_NOT_USABLE")
    check("its domain", details["google.rpc.ErrorInfo"]["domain"], "homeroom")

    refused, details = membership.refused(
        "homeroom.membership.v1.OrganizationService.CreateOrganization",
        platform,
        organization_id="No!",
        organization={"display_name": "", "seat_limit": -1},
    )
    check("bad input is INVALID_ARGUMENT", refused, grpc.StatusCode.INVALID_ARGUMENT)
    fields = sorted(violation["field"] for violation in details["google.rpc.BadRequest"]["field_violations"])
    check("every violation at once", fields, ["organization.display_name", "organization.seat_limit", "organization_id"])

    answers = collections.Counter()
    for _ in range(LARGE_REFUSALS):
        refused, details = invitations.refused(
            "homeroom.invitations.v1.EnrollmentCodeService.UpdateEnrollmentCode",
            teacher,
            enrollment_code={"name": f"{organization['name']}/enrollmentCodes/none"},
            update_mask=",".join(["nothing"] * 1_000),
        )
        violations = details.get("google.rpc.BadRequest", {}).get("field_violations", [{}])
        answers[refused, re.sub("[0-9]+", "N", violations[-1].get("description", ""))] += 1
    expected = {(grpc.StatusCode.INVALID_ARGUMENT, "and N more"): LARGE_REFUSALS}
    check("a thousand violations at once, in every call", answers, expected)


if __name__ == "__main__":
    main()
