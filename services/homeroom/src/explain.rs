//! `homeroom explain`: whether a credential would let a person in, rule by rule.

use std::io::{self, Read as _};

use anstream::println;
use anstyle::{AnsiColor, Style};
use homeroom_api::common::v1::ErrorReason;
use serde_json::{Value, json};

use crate::{
    Failure,
    arguments::ExplainArguments,
    dynamic::{self, Contract, reason_of},
    remote::Remote,
};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// The most bytes that are read as a credential: more than the services accept.
const CREDENTIAL_BYTES_MAX: u64 = 8 * 1024;

/// The rules, in the order in which people are told, each with the reasons of its refusals.
const RULES: [(&str, &[&str]); 13] = [
    (
        "it entitles those to register who want to",
        &["SIGN_UP_NOT_GRANTED"],
    ),
    ("its first valid moment has come", &["NOT_YET_VALID"]),
    (
        "an address that it asks for is proved",
        &["EMAIL_UNVERIFIED", "EMAIL_MALFORMED"],
    ),
    (
        "it is assigned to nobody else",
        &["TOKEN_ASSIGNED_TO_ANOTHER"],
    ),
    (
        "the address has one of its domains",
        &["EMAIL_DOMAIN_NOT_ALLOWED"],
    ),
    ("its last valid moment has not passed", &["NO_LONGER_VALID"]),
    ("it has a use left", &["USED_UP"]),
    ("no use is held by others for now", &["USE_IN_PROGRESS"]),
    ("the organization exists", &["ORGANIZATION_NOT_FOUND"]),
    ("the class exists", &["CLASS_NOT_FOUND"]),
    ("the class is not archived", &["CLASS_ARCHIVED"]),
    ("a licensed seat is free", &["NO_SEATS"]),
    ("staff denied no request recently", &["DENIED_RECENTLY"]),
];
/// What may be wrong with a credential that opens nothing, beyond the service's own words.
const PREFIX_HINT: &str =
    "an enrollment code that was typed without its prefix needs --organization";
/// The causes of approval.
const APPROVAL_CAUSES: [(&str, &str); 4] = [
    ("JOIN_URL", "it is a join URL, which always needs it"),
    ("CODE_LOCKED", "it is a class code, and it is locked"),
    (
        "REMOVED_BEFORE",
        "staff removed the person after it was made",
    ),
    (
        "GUESS_GUARD",
        "somebody is guessing, or Redis is away, and for now codes and phrases need it",
    ),
];
/// The number of rules above that are invitations' own. Membership judges the others, and tells only the first that
/// fails.
const OWN_RULES: usize = 8;

pub(crate) async fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let mut credential = String::new();
    io::stdin()
        .take(CREDENTIAL_BYTES_MAX)
        .read_to_string(&mut credential)?;
    let request = json!({
        "credential": credential.trim_end(),
        "organization": arguments.organization.as_ref().map(|id| format!("organizations/{id}")),
        "signUp": arguments.sign_up,
        "user": {
            "user": arguments.user,
            "email": arguments.email,
            "emailVerified": arguments.email_verified,
            "externalId": arguments.external_id,
        },
    });
    let method = Contract::load()?.method("RedemptionService/PreviewRedemption")?;
    let request = dynamic::message(&method, &request)?;
    let remote = Remote::connect(&arguments.invitations, &arguments.caller, None).await?;
    let preview = match dynamic::call(remote.service(), &method, request).await? {
        Ok(preview) => preview,
        Err(status) => {
            let refused = remote.refused(&status);
            let is_unknown = reason_of(&status) == ErrorReason::CodeNotUsable.as_str_name();
            return Err(if is_unknown && arguments.organization.is_none() {
                format!("{refused}\n  {PREFIX_HINT}").into()
            } else {
                refused
            });
        }
    };
    if arguments.json {
        println!("{preview:#}");
        return Ok(());
    }
    for line in told(&preview) {
        println!("{line}");
    }
    Ok(())
}

/// Returns the lines that tell a preview.
fn told(preview: &Value) -> Vec<String> {
    let text = |field: &str| preview[field].as_str().unwrap_or_default();
    let mut lines = Vec::new();
    for (what, name, display_name) in [
        ("organization", "organization", "organizationDisplayName"),
        ("class", "class", "classDisplayName"),
    ] {
        if !text(name).is_empty() {
            lines.push(format!("{what:<14}{} ({})", text(name), text(display_name)));
        }
    }
    let outcome = match text("outcome") {
        "ADMITTED" => "the person would be admitted at once",
        "PENDING_APPROVAL" => "the person would wait for approval",
        "ALREADY_MEMBER" => "the person is a member already, and nothing would change",
        _ => "the person would be refused",
    };
    lines.push(format!("{:<14}{outcome}", "outcome"));
    if text("outcome") == "PENDING_APPROVAL" {
        let cause = text("approvalCause");
        let known = APPROVAL_CAUSES.iter().find(|(name, _)| *name == cause);
        let because = known.map_or(cause, |(_, because)| because);
        lines.push(format!("{:<14}is needed because {because}", "approval"));
    }
    let failures = preview["failures"].as_array().cloned().unwrap_or_default();
    // A caller who is not staff is told no failures of a member, so there may be some.
    if text("outcome") == "ALREADY_MEMBER" && failures.is_empty() {
        return lines;
    }
    let failure = |reasons: &[&str]| {
        let mut failures = failures.iter();
        failures.find(|failure| reasons.contains(&failure["reason"].as_str().unwrap_or_default()))
    };
    let mut membership_refuses = false;
    for (place, (rule, reasons)) in RULES.into_iter().enumerate() {
        lines.push(match failure(reasons) {
            None if place >= OWN_RULES && membership_refuses => format!("  ?    {rule}"),
            None => format!("  {GOOD}yes{GOOD:#}  {rule}"),
            Some(failure) => {
                membership_refuses |= place >= OWN_RULES;
                let [reason, description] = ["reason", "description"]
                    .map(|field| failure[field].as_str().unwrap_or_default());
                format!("  {BAD}no{BAD:#}   {rule}: {reason}. {description}")
            }
        });
    }
    // A reason without a rule here comes from a newer service.
    for failure in &failures {
        let reason = failure["reason"].as_str().unwrap_or_default();
        if !RULES.iter().any(|(_, reasons)| reasons.contains(&reason)) {
            lines.push(format!("  {BAD}no{BAD:#}   {reason}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use homeroom_api::membership::v1::join_request::Cause;

    use super::*;

    /// Returns the lines without colors.
    fn plain(preview: &Value) -> Vec<String> {
        let told = told(preview);
        let plain = told.iter().map(|line| anstream::adapter::strip_str(line));
        plain.map(|line| line.to_string()).collect()
    }

    #[test]
    fn the_cause_of_approval_is_told() {
        let of =
            |cause: &str| plain(&json!({"outcome": "PENDING_APPROVAL", "approvalCause": cause}));
        let locked = of("CODE_LOCKED");
        assert_eq!(
            locked[0],
            "outcome       the person would wait for approval"
        );
        assert_eq!(
            locked[1],
            "approval      is needed because it is a class code, and it is locked"
        );
        let newer = of("SOMETHING_NEW");
        assert_eq!(newer[1], "approval      is needed because SOMETHING_NEW");
        let admitted = plain(&json!({"outcome": "ADMITTED"}));
        assert!(!admitted.iter().any(|line| line.starts_with("approval")));
    }

    #[test]
    fn r2_the_rules_of_a_member_are_told_only_if_the_service_tells_them() {
        let member = plain(&json!({"outcome": "ALREADY_MEMBER"}));
        assert_eq!(member.len(), 1, "{member:?}");
        let failures = json!([{"reason": "USED_UP", "description": ""}]);
        let member = plain(&json!({"outcome": "ALREADY_MEMBER", "failures": failures}));
        assert_eq!(member.len(), 1 + RULES.len(), "{member:?}");
    }

    #[test]
    fn every_cause_of_the_contract_has_its_sentence() {
        let causes = (1..).map_while(|number| Cause::try_from(number).ok());
        let names: Vec<_> = causes.map(|cause| cause.as_str_name()).collect();
        assert_eq!(names, APPROVAL_CAUSES.map(|(name, _)| name));
    }

    #[test]
    fn r4_each_rule_is_told_in_the_order_of_the_decision() {
        let preview = json!({
            "organization": "organizations/hamilton", "organizationDisplayName": "Hamilton",
            "outcome": "REDEMPTION_OUTCOME_UNSPECIFIED",
            "failures": [
                {"reason": "CLASS_ARCHIVED", "description": "Unarchive it."},
                {"reason": "SOMETHING_NEW", "description": ""},
            ],
        });
        let told = plain(&preview);
        let lines = 2 + RULES.len() + 1;
        assert_eq!(told.len(), lines, "{told:?}");
        assert_eq!(told[0], "organization  organizations/hamilton (Hamilton)");
        assert_eq!(told[1], "outcome       the person would be refused");
        assert_eq!(told[2], "  yes  it entitles those to register who want to");
        let archived = "  no   the class is not archived: CLASS_ARCHIVED. Unarchive it.";
        assert_eq!(told[12], archived);
        assert_eq!(told[13], "  ?    a licensed seat is free");
        assert_eq!(told[lines - 1], "  no   SOMETHING_NEW");
    }
}
