// Node's @grpc/grpc-js with the contract's own .proto files.
// Usage: node grpc_js.mjs MEMBERSHIP INVITATIONS PROTO_FOLDER with PLATFORM_TOKEN, TEACHER_TOKEN and
// STUDENT_TOKEN in the environment. Plays one story and checks each answer.

import { createRequire } from "node:module";
import { deepStrictEqual } from "node:assert";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.NODE_MODULES_FOLDER}/index.js`));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [membershipAddress, invitationsAddress, protoFolder] = process.argv.slice(2);
const DEADLINE_MILLISECONDS = 20_000;
// The calls with a large refusal.
const LARGE_REFUSALS = 400;

const contract = grpc.loadPackageDefinition(
  loader.loadSync(
    [
      "homeroom/membership/v1/organization_service.proto",
      "homeroom/membership/v1/class_service.proto",
      "homeroom/invitations/v1/class_code_service.proto",
      "homeroom/invitations/v1/enrollment_code_service.proto",
      "homeroom/invitations/v1/redemption_service.proto",
      "google/rpc/status.proto",
      "google/rpc/error_details.proto",
    ],
    { includeDirs: [protoFolder], keepCase: true, enums: String, longs: Number, oneofs: true },
  ),
);
const { membership, invitations } = contract.homeroom;
const credentials = grpc.credentials.createInsecure();

function call(client, method, token, request) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const deadline = Date.now() + DEADLINE_MILLISECONDS;
  return new Promise((resolve, reject) => {
    client[method](request, metadata, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

// The google.rpc details of a refused call, decoded by the contract's own types.
async function refused(client, method, token, request) {
  try {
    await call(client, method, token, request);
  } catch (error) {
    // A refusal that the client itself makes of what it cannot read has none.
    const [bytes = Buffer.alloc(0)] = error.metadata.get("grpc-status-details-bin");
    const protobuf = require("protobufjs");
    const root = new protobuf.Root();
    root.resolvePath = (_origin, target) =>
      target.startsWith("google/protobuf/") ? null : `${protoFolder}/${target.replace(`${protoFolder}/`, "")}`;
    root.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"], { keepCase: true });
    const status = root.lookupType("google.rpc.Status").decode(bytes);
    const details = {};
    for (const detail of status.details) {
      const name = detail.type_url.split("/").pop();
      details[name] = root.lookupType(name).toObject(root.lookupType(name).decode(detail.value), { enums: String });
    }
    return { code: error.code, details };
  }
  throw new Error(`${method} should have been refused`);
}

function check(what, actual, expected) {
  deepStrictEqual(actual, expected, what);
  console.log(`ok ${what}`);
}

const { PLATFORM_TOKEN: platform, TEACHER_TOKEN: teacher, STUDENT_TOKEN: student } = process.env;
const organizations = new membership.v1.OrganizationService(membershipAddress, credentials);
const classes = new membership.v1.ClassService(membershipAddress, credentials);
const classCodes = new invitations.v1.ClassCodeService(invitationsAddress, credentials);
const enrollmentCodes = new invitations.v1.EnrollmentCodeService(invitationsAddress, credentials);
const redemptions = new invitations.v1.RedemptionService(invitationsAddress, credentials);

const organization = await call(organizations, "CreateOrganization", platform, {
  organization_id: "javascript",
  organization: { display_name: "JavaScript school" },
  admin: "teacher",
});
check("the enum is bare", organization.state, "ACTIVE");
const created = await call(classes, "CreateClass", teacher, {
  parent: organization.name,
  class_id: "biology",
  class: { display_name: "Biology" },
});
const code = await call(classCodes, "GetClassCode", teacher, { name: `${created.name}/classCode` });
const redeemed = await call(redemptions, "Redeem", student, { credential: code.code });
check("the student is admitted", redeemed.outcome, "ADMITTED");
const again = await call(redemptions, "Redeem", student, { credential: code.join_link });
check("and a member already", again.outcome, "ALREADY_MEMBER");

const unknown = await refused(redemptions, "Redeem", student, { credential: "JAVASCRIPT-NOTHING" });
check("an unknown code is NOT_FOUND", unknown.code, grpc.status.NOT_FOUND);
check("its reason", unknown.details["google.rpc.ErrorInfo"].reason, "CODE_NOT_USABLE");
const bad = await refused(redemptions, "Redeem", student, { credential: "", request_id: "no" });
check("bad input is INVALID_ARGUMENT", bad.code, grpc.status.INVALID_ARGUMENT);
check(
  "every violation at once",
  bad.details["google.rpc.BadRequest"].field_violations.map((violation) => violation.field).sort(),
  ["credential", "request_id"],
);

const answers = {};
for (let call = 0; call < LARGE_REFUSALS; call += 1) {
  const { code, details } = await refused(enrollmentCodes, "UpdateEnrollmentCode", teacher, {
    enrollment_code: { name: `${organization.name}/enrollmentCodes/none` },
    update_mask: { paths: Array(1_000).fill("nothing") },
  });
  const last = details["google.rpc.BadRequest"]?.field_violations.at(-1);
  const answer = `${code} ${last?.description.replace(/[0-9]+/, "N")}`;
  answers[answer] = (answers[answer] ?? 0) + 1;
}
check("a thousand violations at once, in every call", answers, {
  [`${grpc.status.INVALID_ARGUMENT} and N more`]: LARGE_REFUSALS,
});
