// People join by grpc-js and connect-node until the input ends; then writes what their calls saw, as JSON.
// Usage: node rolling.mjs PROTO_FOLDER DESCRIPTOR_SET INVITATIONS INVITATIONS with HOMEROOM_TOKEN and CODE in the environment.

import { createRequire } from "node:module";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.NODE_MODULES_FOLDER}/index.js`));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const { createFileRegistry, fromBinary } = require("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = require("@bufbuild/protobuf/wkt");
const { Code, ConnectError, createClient } = require("@connectrpc/connect");
const { createGrpcTransport } = require("@connectrpc/connect-node");

const [protoFolder, descriptorSet, ...invitations] = process.argv.slice(2);
const { HOMEROOM_TOKEN: token, CODE: code } = process.env;
const authorization = `Bearer ${token}`;
const DEADLINE_MILLISECONDS = 20_000;
const PAUSE_MILLISECONDS = 100;
const JOINS_AT_ONCE = 4;
const JOINS_MAX = 5_000;
const TRIES_MAX = 100;

function byGrpcJs() {
  const contract = grpc.loadPackageDefinition(
    loader.loadSync("homeroom/invitations/v1/redemption_service.proto", { includeDirs: [protoFolder], keepCase: true }),
  );
  const redemptions = new contract.homeroom.invitations.v1.RedemptionService(
    `ipv4:${invitations.join(",")}`,
    grpc.credentials.createInsecure(),
    {
      "grpc.default_authority": "homeroom.school.example",
      "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    },
  );
  const metadata = new grpc.Metadata();
  metadata.set("authorization", authorization);
  return (user, requestId) =>
    new Promise((resolve, reject) => {
      const request = { credential: code, user: { user }, request_id: requestId };
      const deadline = Date.now() + DEADLINE_MILLISECONDS;
      redemptions.Redeem(request, metadata, { deadline }, (error, answer) =>
        error ? reject(grpc.status[error.code]) : resolve(answer.redemption),
      );
    });
}

// It knows one address.
function byConnectNode() {
  const contract = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet)));
  const service = contract.getService("homeroom.invitations.v1.RedemptionService");
  const redemptions = createClient(service, createGrpcTransport({ baseUrl: `http://${invitations[0]}` }));
  return async (user, requestId) => {
    const request = { credential: code, user: { user }, requestId };
    try {
      const options = { headers: { authorization }, timeoutMs: DEADLINE_MILLISECONDS };
      return (await redemptions.redeem(request, options)).redemption;
    } catch (error) {
      throw Code[ConnectError.from(error).code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    }
  };
}

let stopping = false;
process.stdin.resume().on("end", () => {
  stopping = true;
});

async function load(name, redeem) {
  const result = { seen: {}, joined: [], differing: [] };
  const untilAnswered = async (user, requestId) => {
    for (let tried = 0; tried < TRIES_MAX; tried += 1) {
      try {
        return await redeem(user, requestId);
      } catch (code) {
        result.seen[code] = (result.seen[code] ?? 0) + 1;
        await pause(PAUSE_MILLISECONDS);
      }
    }
    throw new Error(`${user} got no answer`);
  };
  const joinPeople = async (worker) => {
    for (let number = 0; number < JOINS_MAX && !stopping; number += 1) {
      const [user, requestId] = [`${name}-${worker}-${number}`, randomUUID()];
      const first = await untilAnswered(user, requestId);
      result.joined.push(user);
      if ((await untilAnswered(user, requestId)) !== first) {
        result.differing.push(user);
      }
    }
  };
  await Promise.all(Array.from({ length: JOINS_AT_ONCE }, (_, worker) => joinPeople(worker)));
  return [name, result];
}

const results = await Promise.all([load("grpc-js", byGrpcJs()), load("connect-node", byConnectNode())]);
console.log(JSON.stringify(Object.fromEntries(results)));
process.exit(0);
