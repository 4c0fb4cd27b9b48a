// A page that shows what a code leads to and redeems it, from the browser by gRPC-Web through Envoy (deploy/envoy.yaml).
//
// Your platform serves it with `settings.json`: {"homeroom": the address of Envoy, "token": an access token of the person
// who is signed in}. Its origin must be one that Envoy allows.

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb";
import { RedemptionOutcome, RedemptionService } from "./generated/homeroom/invitations/v1/redemption_service_pb";

const DEADLINE_MILLISECONDS = 20_000;
const OUTCOMES: Partial<Record<RedemptionOutcome, string>> = {
  [RedemptionOutcome.ADMITTED]: "You are in.",
  [RedemptionOutcome.PENDING_APPROVAL]: "Your teacher has been asked.",
  [RedemptionOutcome.ALREADY_MEMBER]: "You are in already.",
};

const settings: { homeroom: string; token: string } = await (await fetch("settings.json")).json();
const redemptions = createClient(
  RedemptionService,
  createGrpcWebTransport({
    baseUrl: settings.homeroom,
    defaultTimeoutMs: DEADLINE_MILLISECONDS,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${settings.token}`);
        return next(request);
      },
    ],
  }),
);

const form = document.querySelector("form")!;
const input = document.querySelector("input")!;
const answer = document.querySelector<HTMLElement>("#answer")!;
const redeem = document.querySelector<HTMLButtonElement>("#redeem")!;

function say(text: string, refused = false) {
  answer.textContent = text;
  answer.className = refused ? "refused" : "";
}

/** Says why a call was refused, and when to come back. */
function refusal(error: unknown): string {
  const refused = ConnectError.from(error);
  const reason = refused.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[refused.code];
  const violations = refused.findDetails(BadRequestSchema).flatMap((one) => one.fieldViolations);
  const retry = refused.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds;
  const why = violations.map((one) => one.description).join(" ");
  return `This does not work (${reason}). ${why}${retry ? ` Try again in ${retry} seconds.` : ""}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  redeem.hidden = true;
  say("");
  const credential = input.value;
  try {
    const found = await redemptions.previewRedemption({ credential });
    const place = [found.classDisplayName, found.organizationDisplayName].filter(Boolean).join(" at ");
    const lets = found.outcome === RedemptionOutcome.ADMITTED || found.requiresApproval;
    say(lets ? `This leads to ${place}.` : (OUTCOMES[found.outcome] ?? `You cannot join ${place} now.`));
    redeem.hidden = !lets;
    redeem.textContent = found.requiresApproval ? "Ask to join" : "Join";
    // One id for one intention, so that pressing twice is one redemption.
    const requestId = crypto.randomUUID();
    redeem.onclick = async () => {
      try {
        const { outcome } = await redemptions.redeem({ credential, requestId });
        say(OUTCOMES[outcome] ?? RedemptionOutcome[outcome]);
        redeem.hidden = true;
      } catch (error) {
        say(refusal(error), true);
      }
    };
  } catch (error) {
    say(refusal(error), true);
  }
});
