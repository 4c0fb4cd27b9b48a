//! Chapter 6: a reset ends the old code at once (C8), and a full organization refuses (B14).

use super::{
    Actor, CLASS, Code, Failure, ORGANIZATION, Outcome, PLATFORM, Stage, Step, TEACHER, json, text,
};

const STUDENT: Actor = Actor::person("student-7");

/// Plays the chapter and returns the new class code.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<String, Failure> {
    let class_code = format!("{CLASS}/classCode");
    let old = stage
        .play(Step {
            says: "The code has leaked.",
            by: TEACHER,
            calls: "ClassCodeService/GetClassCode",
            with: json!({"name": class_code}),
            shows: &["code"],
            comes_out: Outcome::Answer(&[("state", "LOCKED")]),
        })
        .await?;
    let new = stage
        .play(Step {
            says: "The teacher resets it. Once this is answered nobody is admitted by the old one (C8).",
            by: TEACHER,
            calls: "ClassCodeService/ResetClassCode",
            with: json!({"name": class_code}),
            shows: &["classCode.code"],
            comes_out: Outcome::Answer(&[("classCode.state", "UNLOCKED")]),
        })
        .await?;
    let code = text(&new, "classCode.code")?;
    stage
        .play_all([
            Step {
                says: "The old code is as if it had never been (R5).",
                by: STUDENT,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": text(&old, "code")?}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::NotFound, "CODE_NOT_USABLE"),
            },
            Step {
                says: "The new one is good, but the organization is full.",
                by: STUDENT,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": code}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::FailedPrecondition, "NO_SEATS"),
            },
            Step {
                says: "The school buys five more seats; only the platform may set them.",
                by: PLATFORM,
                calls: "OrganizationService/UpdateOrganization",
                with: json!({"organization": {"name": ORGANIZATION, "seatLimit": 10}, "updateMask": "seatLimit"}),
                shows: &[],
                comes_out: Outcome::Answer(&[("seatLimit", "10")]),
            },
            Step {
                says: "The same student tries again, and is in.",
                by: STUDENT,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": code}),
                shows: &["member.name"],
                comes_out: Outcome::Answer(&[("outcome", "ADMITTED"), ("class", CLASS)]),
            },
            Step {
                says: "Every change is an event. A request to join names whom to tell: owner and co-teacher (R11, C6).",
                by: PLATFORM,
                calls: "membership.v1.EventService/ListEvents",
                with: json!({"parent": CLASS}),
                shows: &["events.6.subject", "nextPageToken"],
                comes_out: Outcome::Answer(&[
                    ("events.0.type", "class.created"),
                    ("events.6.type", "join_request.created"),
                    ("events.6.notify", "teacher-1, teacher-2"),
                ]),
            },
        ])
        .await?;
    Ok(code)
}
