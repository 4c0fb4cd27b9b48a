//! Chapter 1: an organization, its teachers, a class.

use super::{
    ADMINISTRATOR, CLASS, Failure, ORGANIZATION, Outcome, PLATFORM, Stage, Step, TEACHER, json,
};

pub(super) async fn play(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.play_all([
        Step {
            says: "The platform sets up a school: five licensed seats, and the first administrator.",
            by: PLATFORM,
            calls: "OrganizationService/CreateOrganization",
            with: json!({
                "organizationId": "hamilton",
                "organization": {"displayName": "Hamilton School", "codePrefix": "HAMILTON", "seatLimit": 5},
                "admin": "admin-1",
            }),
            shows: &["displayName", "codePrefix"],
            comes_out: Outcome::Answer(&[("name", ORGANIZATION), ("seatLimit", "5")]),
        },
        Step {
            says: "The administrator adds a teacher. Teachers take no seat.",
            by: ADMINISTRATOR,
            calls: "MemberService/AddOrganizationMember",
            with: json!({"parent": ORGANIZATION, "member": {"user": "teacher-1", "role": "TEACHER"}}),
            shows: &["user"],
            comes_out: Outcome::Answer(&[("role", "TEACHER"), ("provenance.method", "ADDED")]),
        },
        Step {
            says: "And another one.",
            by: ADMINISTRATOR,
            calls: "MemberService/AddOrganizationMember",
            with: json!({"parent": ORGANIZATION, "member": {"user": "teacher-2", "role": "TEACHER"}}),
            shows: &["user"],
            comes_out: Outcome::Answer(&[("role", "TEACHER")]),
        },
        Step {
            says: "A teacher makes a class and owns it.",
            by: TEACHER,
            calls: "ClassService/CreateClass",
            with: json!({"parent": ORGANIZATION, "classId": "biology-101", "class": {"displayName": "Biology 101"}}),
            shows: &["displayName"],
            comes_out: Outcome::Answer(&[
                ("name", CLASS),
                ("owner", "teacher-1"),
                ("state", "ACTIVE"),
            ]),
        },
        Step {
            says: "The other teacher becomes co-teacher.",
            by: TEACHER,
            calls: "MemberService/AddClassMember",
            with: json!({"parent": CLASS, "member": {"user": "teacher-2", "role": "CO_TEACHER"}}),
            shows: &["user"],
            comes_out: Outcome::Answer(&[("role", "CO_TEACHER")]),
        },
    ])
    .await
}
