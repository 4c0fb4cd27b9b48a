//! Chapter 4: the class code, which locks itself after 14 days; here its owner locks it (C4, C7).

use super::{Actor, CLASS, Failure, Outcome, Stage, Step, TEACHER, json, text};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let class_code = format!("{CLASS}/classCode");
    let answer = stage
        .play(Step {
            says: "Every class has one code. It is unlocked, and locks itself after 14 days (C1, C4).",
            by: TEACHER,
            calls: "ClassCodeService/GetClassCode",
            with: json!({"name": class_code}),
            shows: &["code", "joinLink", "lockTime"],
            comes_out: Outcome::Answer(&[("state", "UNLOCKED"), ("mayBePublic", "false")]),
        })
        .await?;
    let code = text(&answer, "code")?;
    stage
        .play_all([
            Step {
                says: "A student types it: a member at once (C2).",
                by: Actor::person("student-4"),
                calls: "RedemptionService/Redeem",
                with: json!({"credential": code}),
                shows: &["redemption"],
                comes_out: Outcome::Answer(&[
                    ("outcome", "ADMITTED"),
                    ("class", CLASS),
                    ("member.provenance.method", "CLASS_CODE"),
                ]),
            },
            Step {
                says: "Typed again, it spends nothing (R2).",
                by: Actor::person("student-4"),
                calls: "RedemptionService/Redeem",
                with: json!({"credential": code}),
                shows: &["member.name"],
                comes_out: Outcome::Answer(&[("outcome", "ALREADY_MEMBER")]),
            },
            Step {
                says: "The teacher locks it without waiting for the 14 days (C7).",
                by: TEACHER,
                calls: "ClassCodeService/LockClassCode",
                with: json!({"name": class_code}),
                shows: &["classCode.lockTime"],
                comes_out: Outcome::Answer(&[("classCode.state", "LOCKED")]),
            },
            Step {
                says: "Whoever uses a locked code waits for approval (C5).",
                by: Actor::person("student-5"),
                calls: "RedemptionService/Redeem",
                with: json!({"credential": code}),
                shows: &["joinRequest.name"],
                comes_out: Outcome::Answer(&[
                    ("outcome", "PENDING_APPROVAL"),
                    ("joinRequest.state", "PENDING"),
                    ("joinRequest.cause", "CODE_LOCKED"),
                ]),
            },
        ])
        .await
}
