//! Chapter 5: the join URL, which always leads to the queue, and the co-teacher who decides (C9,
//! C11).

use super::{
    Actor, CLASS, CO_TEACHER, Code, Failure, Outcome, PLATFORM, Stage, Step, TEACHER, json, text,
};

const ASKS_BY_CODE: Actor = Actor::person("student-5");
const ASKS_BY_URL: Actor = Actor::person("student-6");

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let join_url = stage
        .play(Step {
            says: "Every class has one join URL. It is public and never changes (C1, C12).",
            by: TEACHER,
            calls: "JoinUrlService/GetJoinUrl",
            with: json!({"name": format!("{CLASS}/joinUrl")}),
            shows: &["url"],
            comes_out: Outcome::Answer(&[("enabled", "true"), ("mayBePublic", "true")]),
        })
        .await?;
    let asked = stage
        .play(Step {
            says: "It always leads to the queue, and says so (C9, C10).",
            by: ASKS_BY_URL,
            calls: "RedemptionService/Redeem",
            with: json!({"credential": text(&join_url, "url")?}),
            shows: &["joinRequest.name"],
            comes_out: Outcome::Answer(&[
                ("outcome", "PENDING_APPROVAL"),
                ("joinRequest.cause", "JOIN_URL"),
                ("grantsSignUp", "false"),
            ]),
        })
        .await?;
    stage
        .play(Step {
            says: "The roster lists who has joined, never who waits (A10).",
            by: CO_TEACHER,
            calls: "MemberService/ListClassMembers",
            with: json!({"parent": CLASS, "filter": "role = STUDENT"}),
            shows: &["members.0.user", "members.1.user", "members.2.user"],
            comes_out: Outcome::Answer(&[("members.#", "3")]),
        })
        .await?;
    let queue = stage
        .play(Step {
            says: "The co-teacher sees who waits.",
            by: CO_TEACHER,
            calls: "JoinRequestService/ListJoinRequests",
            with: json!({"parent": CLASS, "filter": "state = PENDING"}),
            shows: &[],
            comes_out: Outcome::Answer(&[
                ("joinRequests.#", "2"),
                ("joinRequests.0.user", ASKS_BY_URL.user),
                ("joinRequests.1.user", ASKS_BY_CODE.user),
            ]),
        })
        .await?;
    stage
        .play(Step {
            says: "The co-teacher approves one: the fifth and last seat (C11, X9).",
            by: CO_TEACHER,
            calls: "JoinRequestService/ApproveJoinRequest",
            with: json!({"name": text(&queue, "joinRequests.1.name")?, "decideNote": "sits in row two"}),
            shows: &[],
            comes_out: Outcome::Answer(&[
                ("joinRequest.state", "APPROVED"),
                ("joinRequest.decidedBy", "teacher-2"),
                ("member.user", ASKS_BY_CODE.user),
                ("member.role", "STUDENT"),
            ]),
        })
        .await?;
    full(stage, &text(&asked, "joinRequest.name")?).await?;
    stage
        .play(Step {
            says: "Every membership remembers how it came about (R6).",
            by: CO_TEACHER,
            calls: "MemberService/GetClassMember",
            with: json!({"name": format!("{CLASS}/members/student-5")}),
            shows: &["provenance.invitation", "provenance.redemption"],
            comes_out: Outcome::Answer(&[
                ("provenance.method", "CLASS_CODE"),
                ("provenance.approvedBy", "teacher-2"),
            ]),
        })
        .await?;
    Ok(())
}

async fn full(stage: &mut Stage<'_>, request: &str) -> Result<(), Failure> {
    stage
        .play_all([
            Step {
                says: "A full organization refuses the next approval, and the request stays (X9).",
                by: CO_TEACHER,
                calls: "JoinRequestService/ApproveJoinRequest",
                with: json!({"name": request}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::FailedPrecondition, "NO_SEATS"),
            },
            Step {
                says: "The license is used to the last seat, and one person waits.",
                by: PLATFORM,
                calls: "OrganizationService/GetSeatUsage",
                with: json!({"name": "organizations/hamilton/seatUsage"}),
                shows: &[],
                comes_out: Outcome::Answer(&[
                    ("seatLimit", "5"),
                    ("seatsUsed", "5"),
                    ("requestsWaiting", "1"),
                    ("seatsAvailable", "0"),
                ]),
            },
        ])
        .await
}
