//! Chapter 2: the organization's invite token and a class token (A).

use super::{
    ADMINISTRATOR, Actor, CLASS, Code, Failure, ORGANIZATION, Outcome, Stage, Step, TEACHER, json,
    text,
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    organization_token(stage).await?;
    class_token(stage).await
}

async fn organization_token(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let token = stage
        .play(Step {
            says: "Every organization has one invite token, with an address to send by email (A2, A3).",
            by: ADMINISTRATOR,
            calls: "TokenService/GetInviteToken",
            with: json!({"name": format!("{ORGANIZATION}/inviteToken")}),
            shows: &["token", "inviteUrl"],
            comes_out: Outcome::Answer(&[("mayBePublic", "true")]),
        })
        .await?;
    stage
        .play(Step {
            says: "A new student follows the address: a member of the organization, in the first seat (A4).",
            by: Actor::person("student-1"),
            calls: "RedemptionService/Redeem",
            with: json!({"credential": text(&token, "inviteUrl")?, "signUp": true}),
            shows: &["member.name"],
            comes_out: Outcome::Answer(&[
                ("outcome", "ADMITTED"),
                ("organization", ORGANIZATION),
                ("class", ""),
                ("member.role", "STUDENT"),
                ("member.provenance.method", "ORGANIZATION_TOKEN"),
            ]),
        })
        .await?;
    Ok(())
}

async fn class_token(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let token = stage
        .play(Step {
            says: "The teacher makes a class token for one student: two words (A6, A8).",
            by: TEACHER,
            calls: "TokenService/CreateToken",
            with: json!({"parent": CLASS, "token": {"displayName": "for student-2"}}),
            shows: &["phrase", "inviteUrl", "expireTime"],
            comes_out: Outcome::Answer(&[
                ("state", "ACTIVE"),
                ("maxUses", "1"),
                ("mayBePublic", "false"),
            ]),
        })
        .await?;
    let phrase = text(&token, "phrase")?;
    stage
        .play_all([
            Step {
                says: "Looking never redeems: a preview says what would happen (R4).",
                by: Actor::person("student-2"),
                calls: "RedemptionService/PreviewRedemption",
                with: json!({"credential": phrase}),
                shows: &["organizationDisplayName", "classDisplayName"],
                comes_out: Outcome::Answer(&[
                    ("outcome", "ADMITTED"),
                    ("grantsSignUp", "true"),
                    ("survivesSignUp", "true"),
                ]),
            },
            Step {
                says: "Typed in capitals, with a full stop, it is the same phrase: in the class and the organization at once (A7, R1).",
                by: Actor::person("student-2"),
                calls: "RedemptionService/Redeem",
                with: json!({"credential": format!("  {}. ", phrase.to_uppercase())}),
                shows: &["member.name"],
                comes_out: Outcome::Answer(&[
                    ("outcome", "ADMITTED"),
                    ("class", CLASS),
                    ("member.role", "STUDENT"),
                    ("member.provenance.method", "CLASS_TOKEN"),
                ]),
            },
            Step {
                says: "It admitted one person, and is used up.",
                by: Actor::person("student-3"),
                calls: "RedemptionService/Redeem",
                with: json!({"credential": phrase}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::FailedPrecondition, "USED_UP"),
            },
        ])
        .await
}
