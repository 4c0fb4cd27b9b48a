// A learning platform that serves PUBLIC_URL: it signs a person in, shows what an invitation leads to, and redeems it.
//
//     npm install typescript @types/node @grpc/grpc-js @grpc/proto-loader protobufjs
//     npx tsc --strict --module nodenext --target es2022 --outDir built docs/examples/lms.ts
//     PUBLIC_URL=http://127.0.0.1:8080 INVITATIONS=127.0.0.1:50052 HOMEROOM_TOKEN=… PROTO=proto node built/lms.js
//
// The token's scopes are homeroom.act_as, homeroom.vouch and homeroom.forward_ip. Accounts, sessions and pages are
// yours: here they are as short as they can be, and no form is guarded against other sites.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import protobuf from "protobufjs";

interface User {
  user: string;
  display_name?: string;
  email?: string;
  email_verified?: boolean;
  external_id?: string;
}

interface Preview {
  organization_display_name: string;
  class_display_name: string;
  requires_approval: boolean;
}

type Outcome = "ADMITTED" | "PENDING_APPROVAL" | "ALREADY_MEMBER";

const { PUBLIC_URL = "", INVITATIONS = "", HOMEROOM_TOKEN = "", PROTO = "proto" } = process.env;
const DEADLINE_MILLISECONDS = 20_000;

const contract = grpc.loadPackageDefinition(
  loadSync("homeroom/invitations/v1/redemption_service.proto", {
    includeDirs: [PROTO], keepCase: true, enums: String, longs: Number, defaults: true,
  }),
) as any;
const redemptions = new contract.homeroom.invitations.v1.RedemptionService(
  INVITATIONS,
  grpc.credentials.createInsecure(),
);
const details = new protobuf.Root();
details.resolvePath = (_, target) => (target.startsWith(PROTO) || target.startsWith("google/protobuf/") ? target : `${PROTO}/${target}`);
details.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"], { keepCase: true });

// Who has an account. What it says of the address and of the school's id is vouched for.
const accounts = new Map<string, User>([
  ["ada", { user: "ada", display_name: "Ada Lovelace", email: "ada@school.example", email_verified: true, external_id: "s-1815" }],
]);
const OUTCOMES: Record<Outcome, string> = {
  ADMITTED: "You are in.",
  PENDING_APPROVAL: "Your teacher has been asked.",
  ALREADY_MEMBER: "You are in already.",
};

/** Calls for the person. */
function call<Answer>(method: string, request: object, person: User): Promise<Answer> {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${HOMEROOM_TOKEN}`);
  metadata.set("x-homeroom-user", person.user);
  const deadline = Date.now() + DEADLINE_MILLISECONDS;
  return new Promise((resolve, reject) => {
    redemptions[method](request, metadata, { deadline }, (error: grpc.ServiceError | null, answer: Answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

/** Says why a call was refused, and when to come back. */
function said(error: grpc.ServiceError): string {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const status: any = details.lookupType("google.rpc.Status").decode((bytes as Buffer | undefined) ?? Buffer.alloc(0));
  let reason = grpc.status[error.code];
  let later = "";
  for (const detail of status.details) {
    const name = detail.type_url.split("/").pop();
    const message: any = details.lookupType(name).decode(detail.value);
    if (name === "google.rpc.ErrorInfo") reason = message.reason;
    if (name === "google.rpc.RetryInfo") later = `, try again in ${message.retry_delay.seconds} seconds`;
  }
  return reason + later;
}

function page(response: ServerResponse, body: string, status = 200): void {
  const headers = { "content-type": "text/html; charset=utf-8", "referrer-policy": "no-referrer" };
  response.writeHead(status, headers).end(body);
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** The paths of invitations. */
const INVITATION = /^\/[itcj]\//;

async function form(request: IncomingMessage): Promise<URLSearchParams> {
  let body = "";
  for await (const part of request) body += part;
  return new URLSearchParams(body);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const at = new URL(request.url ?? "/", PUBLIC_URL);
  const sent = request.method === "POST" ? await form(request) : undefined;
  if (at.pathname === "/sign-in") {
    if (!sent) return page(response, "<form method=post>Who are you? <input name=person> <button>Sign in</button></form>");
    const cookie = `person=${encodeURIComponent(sent.get("person") ?? "")}; HttpOnly; SameSite=Lax`;
    const back = at.searchParams.get("to") ?? "";
    // Anything else may lead to another site.
    if (!INVITATION.test(back)) return page(response, "There is nothing here.", 404);
    response.writeHead(303, { location: back, "set-cookie": cookie }).end();
    return;
  }
  if (!INVITATION.test(at.pathname)) return page(response, "There is nothing here.", 404);

  const id = decodeURIComponent(/(?:^|; )person=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "");
  if (!id) {
    response.writeHead(303, { location: `/sign-in?to=${encodeURIComponent(at.pathname)}` }).end();
    return;
  }
  const person = accounts.get(id) ?? { user: id };
  const asked = {
    // The whole URL is the credential; Homeroom finds out which way in it is.
    credential: PUBLIC_URL + at.pathname,
    user: person,
    sign_up: !accounts.has(id),
    client_ip: request.socket.remoteAddress,
  };
  // Opening a link changes nothing: mail filters open it too.
  if (!sent) {
    const preview = await call<Preview>("PreviewRedemption", asked, person);
    const place = preview.class_display_name || preview.organization_display_name;
    const action = preview.requires_approval ? "Ask to join" : asked.sign_up ? "Register and join" : "Join";
    // One id for one intention, so that pressing twice is one redemption.
    const hidden = `<input type=hidden name=request_id value=${randomUUID()}>`;
    return page(response, `<form method=post>${hidden}<button>${action} ${escape(place)}</button></form>`);
  }
  const redeem = { ...asked, request_id: sent.get("request_id") };
  const { outcome } = await call<{ outcome: Outcome }>("Redeem", redeem, person);
  accounts.set(id, person);
  page(response, OUTCOMES[outcome]);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) =>
    page(response, `This does not work: ${error.metadata ? said(error) : "come back later"}`, 409),
  );
});
server.listen(Number(new URL(PUBLIC_URL).port || 80), "127.0.0.1");
