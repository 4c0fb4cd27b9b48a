//! Chapter 3: an enrollment code with a word of its author's choice, limited to an email domain
//! (B4, B6).

use super::{Actor, CLASS, Code, Failure, Outcome, Stage, Step, TEACHER, json, text};

/// A student whose verified address is in the code's domain.
const STUDENT: Actor = Actor::with_email("student-3", "student-3@hamiltonschools.org");
/// A person whose domain only ends in the same letters.
const STRANGER: Actor = Actor::with_email("stranger-1", "stranger-1@evilhamiltonschools.org");

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let code = stage
        .play(Step {
            says: "The teacher types a code; only verified addresses of the school's domain get in (B4, B6).",
            by: TEACHER,
            calls: "EnrollmentCodeService/CreateEnrollmentCode",
            with: json!({
                "parent": CLASS,
                "enrollmentCode": {"code": "BIO101", "emailDomains": ["hamiltonschools.org"]},
            }),
            shows: &["strengthBits"],
            comes_out: Outcome::Answer(&[
                ("fullCode", "HAMILTON-BIO101"),
                ("emailDomains", "hamiltonschools.org"),
                ("state", "ACTIVE"),
            ]),
        })
        .await?;
    stage
        .play_all([
            Step {
                says: "A student of the school types it another way: in at once (B2, R1).",
                by: STUDENT,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": text(&code, "fullCode")?.to_lowercase().replace('-', " ")}),
                shows: &["member.email"],
                comes_out: Outcome::Answer(&[
                    ("outcome", "ADMITTED"),
                    ("class", CLASS),
                    ("member.provenance.method", "ENROLLMENT_CODE"),
                ]),
            },
            Step {
                says: "A stranger whose domain only ends alike stays out.",
                by: STRANGER,
                calls: "RedemptionService/Redeem",
                with: json!({"credential": "HAMILTON-BIO101"}),
                shows: &[],
                comes_out: Outcome::Refusal(Code::FailedPrecondition, "EMAIL_DOMAIN_NOT_ALLOWED"),
            },
        ])
        .await
}
