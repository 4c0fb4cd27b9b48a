// @connectrpc/connect-node over gRPC, with the contract as a FileDescriptorSet.
// Usage: node connect_node.mjs MEMBERSHIP INVITATIONS DESCRIPTOR_SET with PLATFORM_TOKEN, TEACHER_TOKEN and
// STUDENT_TOKEN in the environment. Plays one story and checks each answer.

import { createRequire } from "node:module";
import { deepStrictEqual } from "node:assert";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.NODE_MODULES_FOLDER}/index.js`));
const { createFileRegistry, fromBinary } = require("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = require("@bufbuild/protobuf/wkt");
const { Code, ConnectError, createClient } = require("@connectrpc/connect");
const { createGrpcTransport } = require("@connectrpc/connect-node");

const [membershipAddress, invitationsAddress, descriptorSet] = process.argv.slice(2);
const DEADLINE_MILLISECONDS = 20_000;
// The calls with a large refusal.
const LARGE_REFUSALS = 400;

const contract = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet)));
const client = (address, service) =>
  createClient(contract.getService(service), createGrpcTransport({ baseUrl: `http://${address}` }));
const as = (token) => ({ headers: { authorization: `Bearer ${token}` }, timeoutMs: DEADLINE_MILLISECONDS });

function check(what, actual, expected) {
  deepStrictEqual(actual, expected, what);
  console.log(`ok ${what}`);
}

// The code of a refused call, and its google.rpc detail of this type.
async function refused(call, detail) {
  try {
    await call;
  } catch (error) {
    const refusal = ConnectError.from(error);
    return { code: refusal.code, detail: refusal.findDetails(contract.getMessage(detail))[0] };
  }
  throw new Error("the call should have been refused");
}

const { PLATFORM_TOKEN: platform, TEACHER_TOKEN: teacher, STUDENT_TOKEN: student } = process.env;
const organizations = client(membershipAddress, "homeroom.membership.v1.OrganizationService");
const classes = client(membershipAddress, "homeroom.membership.v1.ClassService");
const classCodes = client(invitationsAddress, "homeroom.invitations.v1.ClassCodeService");
const enrollmentCodes = client(invitationsAddress, "homeroom.invitations.v1.EnrollmentCodeService");
const redemptions = client(invitationsAddress, "homeroom.invitations.v1.RedemptionService");

const organization = await organizations.createOrganization(
  { organizationId: "connect", organization: { displayName: "Connect school" }, admin: "teacher" },
  as(platform),
);
const created = await classes.createClass(
  { parent: organization.name, classId: "biology", class: { displayName: "Biology" } },
  as(teacher),
);
const code = await classCodes.getClassCode({ name: `${created.name}/classCode` }, as(teacher));
const redeemed = await redemptions.redeem({ credential: code.code }, as(student));
const outcomes = contract.getEnum("homeroom.invitations.v1.RedemptionOutcome");
check("the student is admitted", outcomes.value[redeemed.outcome].name, "ADMITTED");

const unknown = await refused(redemptions.redeem({ credential: "CONNECT-NOTHING" }, as(student)), "google.rpc.ErrorInfo");
check("an unknown code is NOT_FOUND", unknown.code, Code.NotFound);
check("its reason", unknown.detail.reason, "CODE_NOT_USABLE");

const answers = {};
for (let call = 0; call < LARGE_REFUSALS; call += 1) {
  const update = {
    enrollmentCode: { name: `${organization.name}/enrollmentCodes/none` },
    updateMask: { paths: Array(1_000).fill("nothing") },
  };
  const { code, detail } = await refused(enrollmentCodes.updateEnrollmentCode(update, as(teacher)), "google.rpc.BadRequest");
  const answer = `${code} ${detail?.fieldViolations.at(-1).description.replace(/[0-9]+/, "N")}`;
  answers[answer] = (answers[answer] ?? 0) + 1;
}
check("a thousand violations at once, in every call", answers, {
  [`${Code.InvalidArgument} and N more`]: LARGE_REFUSALS,
});
