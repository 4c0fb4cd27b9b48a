//! Chapter 7: a person guesses codes (R10).

use super::{Actor, Code, Failure, Outcome, Stage, Step, json};

const GUESSER: Actor = Actor::person("stranger-2");
const STUDENT: Actor = Actor::person("student-8");
/// Codes of the right form that open nothing: as many as the limiter allows a user to fail at once.
const GUESSES: [&str; 5] = [
    "0000-0000-0001",
    "0000-0000-0002",
    "0000-0000-0003",
    "0000-0000-0004",
    "0000-0000-0005",
];

pub(super) async fn play(stage: &mut Stage<'_>, class_code: &str) -> Result<(), Failure> {
    for (index, guess) in GUESSES.iter().enumerate() {
        stage
            .play(Step {
                says: if index == 0 {
                    "Somebody tries codes. Each answer is the same (R5)."
                } else {
                    "And the next."
                },
                by: GUESSER,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": guess}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::NotFound, "CODE_NOT_USABLE"),
            })
            .await?;
    }
    stage
        .play_all([
            Step {
                says: "The sixth is not even looked at (R10).",
                by: GUESSER,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": "0000-0000-0006"}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"),
            },
            Step {
                says: "A student at the same address notices nothing.",
                by: STUDENT,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": class_code}),
                shows: &["member.name"],
                comes_out: Outcome::Answer(&[("outcome", "ADMITTED")]),
            },
        ])
        .await
}
