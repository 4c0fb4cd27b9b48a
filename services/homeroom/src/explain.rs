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
/// The causes of approval of an invitation that does not always need it. The service does not tell which one it is.
const APPROVAL_CAUSES: [&str; 4] = [
    "a request of the person waits already",
    "it is a class code, and it is locked",
    "staff removed the person after it was made",
    "somebody is guessing, and for now enrollment codes and phrases need approval",
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
        lines.extend(approval_causes(preview));
    }
    let failures = preview["failures"].as_array().cloned().unwrap_or_default();
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

/// Returns the lines that say why a person would wait for approval, as far as the answer tells.
fn approval_causes(preview: &Value) -> Vec<String> {
    // Only a join URL entitles nobody to register.
    if preview["grantsSignUp"] == false {
        return vec![format!(
            "{:<14}it is a join URL, which always needs it",
            "approval"
        )];
    }
    let causes = APPROVAL_CAUSES
        .iter()
        .map(|cause| format!("{:<14}- {cause}", ""));
    let head = format!("{:<14}is needed for one of these causes:", "approval");
    std::iter::once(head).chain(causes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines without colors.
    fn plain(preview: &Value) -> Vec<String> {
        let told = told(preview);
        let plain = told.iter().map(|line| anstream::adapter::strip_str(line));
        plain.map(|line| line.to_string()).collect()
    }

    #[test]
    fn c9_approval_of_a_join_url_is_told_from_approval_for_other_causes() {
        let of = |grants_sign_up: bool| {
            plain(&json!({"outcome": "PENDING_APPROVAL", "grantsSignUp": grants_sign_up}))
        };
        let (url, code) = (of(false), of(true));
        assert_eq!(url[0], "outcome       the person would wait for approval");
        assert_eq!(
            url[1],
            "approval      it is a join URL, which always needs it"
        );
        assert_eq!(code[1], "approval      is needed for one of these causes:");
        assert_eq!(code.len(), url.len() + APPROVAL_CAUSES.len());
        let admitted = plain(&json!({"outcome": "ADMITTED", "grantsSignUp": false}));
        assert!(!admitted.iter().any(|line| line.starts_with("approval")));
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
