//! Checks an answer and records what it reveals.

use tonic::Status;

use crate::{
    oracle::{is_same_redemption, wrong_failure, wrong_part},
    requests::{
        Caller, Effect,
        answers::{self, acknowledged, redeemed},
    },
    run::{Ended, Run, Sent},
};

/// The time for which a request id gets the same answer, in seconds.
const REQUEST_ID_SECONDS: i64 = 24 * 3_600;

impl Run<'_> {
    /// Checks how a call ended. `dead` tells which of its credentials had ended when it was made.
    pub fn judge(
        &mut self,
        index: usize,
        again: bool,
        dead: &[bool],
        ended: Ended,
        restarting: bool,
    ) {
        let sent = &self.sent[index];
        let name = sent.method.name();
        let who = match &sent.request.caller {
            Caller::Platform => "the platform",
            Caller::For(user) => user,
        };
        let repeated = if again { "again " } else { "" };
        let told = match &ended {
            Ended::Answered(_) => "OK".to_owned(),
            Ended::Failed(status) => told(status),
            Ended::Gone => "nobody waits".to_owned(),
        };
        let line = format!(
            "  {repeated}#{index} {who}: {name} {} -> {told}",
            sent.request.text
        );
        if let Ended::Failed(_) = &ended {
            self.tally.count(&format!("error {told}"));
        }
        self.trace.push(line);
        match ended {
            Ended::Gone => {
                self.left += 1;
                self.tally.count("gone");
            }
            Ended::Failed(status) => {
                let cut_off = restarting && status.details().is_empty();
                if !cut_off && let Some(wrong) = wrong_failure(&status) {
                    self.findings.push(format!("#{index} {name}: {wrong}"));
                }
            }
            Ended::Answered(answer) => self.learn(index, again, dead, &answer),
        }
    }

    fn learn(&mut self, index: usize, again: bool, dead: &[bool], answer: &[u8]) {
        let Sent {
            method,
            request,
            first,
            made_seconds,
        } = &self.sent[index];
        let now_seconds = self.stage.clock.forward_seconds();
        let name = method.name();
        let descriptor = method.descriptor;
        let failures = answers::failures(descriptor, answer);
        for wrong in failures.iter().filter_map(wrong_part) {
            self.findings
                .push(format!("#{index} {name}: in the batch: {wrong}"));
        }
        let redeemed = redeemed(name, answer);
        let told = [
            request.text.as_bytes(),
            first.as_deref().unwrap_or_default(),
        ];
        let forgotten = self.world.erased.iter().any(|user| {
            matches!(&request.caller, Caller::For(caller) if caller == user)
                || told.iter().any(|told| tells_of(told, user))
        });
        if let Some(first) = first
            && !forgotten
            && now_seconds - made_seconds < REQUEST_ID_SECONDS
        {
            let same = if redeemed.is_empty() {
                let [before, after] = [first, answer].map(|one| answers::same(descriptor, one));
                !request.has_request_id || before == after
            } else {
                let before = answers::redeemed(name, first);
                let pairs = before.iter().zip(&redeemed).zip(&request.redeems);
                // An item that was refused is decided afresh on a retry.
                pairs
                    .filter(|(_, asked)| asked.safe_to_retry)
                    .all(|((one, other), _)| match (one, other) {
                        (Some(one), Some(other)) => is_same_redemption(one, other),
                        _ => true,
                    })
            };
            if !same {
                let before = redeemed_text(name, first);
                let after = redeemed_text(name, answer);
                self.findings.push(format!(
                    "I7: #{index} {name} was answered {before} and then {after}"
                ));
            }
        }
        for ((response, asked), dead) in redeemed.iter().zip(&request.redeems).zip(dead) {
            let Some(response) = response else { continue };
            if !again && *dead {
                let text = &asked.credential;
                self.findings.push(format!(
                    "I5: #{index} {text} opens though its end was answered"
                ));
            }
            let told = acknowledged(response, &asked.user);
            self.tally
                .add("admitted", u64::from(told.outcome == "ADMITTED"));
            self.world.acknowledged.push(told);
        }
        if let Effect::Ends(texts) = &request.effect
            && !again
        {
            self.world.bury(texts);
        }
        self.tally.count(&format!("ok {}", descriptor.full_name()));
        answers::learn(&mut self.world, descriptor, answer);
        if name == "PlanImport" {
            self.world.planned = answers::to_commit(&request.text, answer);
        }
        let sent = &mut self.sent[index];
        if sent.first.is_none() {
            sent.first = Some(answer.to_vec());
        }
    }
}

/// Returns true if the bytes of a request or an answer name the user, whose retry is then decided
/// afresh (R13).
fn tells_of(bytes: &[u8], user: &str) -> bool {
    bytes
        .windows(user.len())
        .any(|window| window == user.as_bytes())
}

/// Formats an answer for people.
fn redeemed_text(name: &str, answer: &[u8]) -> String {
    match redeemed(name, answer) {
        none if none.is_empty() => format!("{} bytes", answer.len()),
        redeemed => format!("{redeemed:?}"),
    }
}

fn told(status: &Status) -> String {
    use tonic_types::StatusExt as _;

    let details = status.get_error_details();
    match details.error_info() {
        Some(info) => info.reason.clone(),
        None => format!("{:?} {}", status.code(), status.message()),
    }
}
