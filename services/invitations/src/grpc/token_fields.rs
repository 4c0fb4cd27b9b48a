//! The fields of class tokens and enrollment codes, as typed values.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{EnrollmentCode as EnrollmentCodeMessage, Token},
};
use homeroom_kit::{Result, validation::Violations};

use super::convert::{DISPLAY_NAME_CHARS_MAX, email, external_id, max_uses, time_to_come};
use crate::{
    app::{
        EnrollmentCodePatch, EnrollmentCodeRules, NewEnrollmentCode, NewToken, Patch, TokenPatch,
        check_code,
    },
    domain::{
        domain_rule::{DomainRule, DomainRuleError, MAX_DOMAIN_RULES},
        enrollment_code::EnrollmentCode,
        invitation::CLASS_TOKEN_USES,
        phrase::WordCount,
    },
};

/// The maximum number of days until a class token expires (A14).
pub(crate) const TOKEN_EXPIRY_DAYS_MAX: i64 = 365;

const TOKEN_FIELDS: &[&str] = &[
    "max_uses",
    "assigned_email",
    "external_id",
    "display_name",
    "expire_time",
];

const CODE_FIELDS: &[&str] = &[
    "code",
    "valid_from_time",
    "valid_till_time",
    "email_domains",
    "enabled",
    "max_uses",
    "allow_rejoin",
    "display_name",
];

/// Reads a class token to make.
pub(crate) fn new_token(token: &Token, now: DateTime<Utc>) -> Result<NewToken> {
    let mut violations = Violations::new();
    let new = read_new_token(&mut violations, token, now);
    violations.finish()?;
    Ok(new)
}

/// Reads a class token to make, and records violations.
pub(crate) fn read_new_token(
    violations: &mut Violations,
    token: &Token,
    now: DateTime<Utc>,
) -> NewToken {
    NewToken {
        max_uses: token_uses(violations, token),
        assigned_email: email(violations, "token.assigned_email", &token.assigned_email),
        external_id: external_id(violations, "token.external_id", &token.external_id),
        display_name: token_label(violations, token),
        expire_time: expiry(violations, token, now),
        words: words(violations, token.words),
    }
}

fn token_label(violations: &mut Violations, token: &Token) -> String {
    let field = "token.display_name";
    violations.display_name(field, &token.display_name, DISPLAY_NAME_CHARS_MAX)
}

fn token_uses(violations: &mut Violations, token: &Token) -> Option<u32> {
    max_uses(
        violations,
        "token.max_uses",
        token.max_uses,
        Some(CLASS_TOKEN_USES),
    )
}

fn expiry(violations: &mut Violations, token: &Token, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let longest = TimeDelta::days(TOKEN_EXPIRY_DAYS_MAX);
    let time = token.expire_time.as_ref();
    time_to_come(violations, "token.expire_time", time, now, Some(longest))
}

fn words(violations: &mut Violations, words: i32) -> WordCount {
    if words == 0 {
        return WordCount::DEFAULT;
    }
    let parsed = u32::try_from(words)
        .map_err(|_| "must be 2, 3 or 4".to_owned())
        .and_then(|words| WordCount::new(words).map_err(|error| error.to_string()));
    violations.take("token.words", parsed).unwrap_or_default()
}

/// Reads the changes of a class token.
pub(crate) fn token_patch(
    violations: &mut Violations,
    token: &Token,
    mask: Option<&prost_types::FieldMask>,
    now: DateTime<Utc>,
) -> TokenPatch {
    let mask = violations.mask(mask, TOKEN_FIELDS);
    let mut patch = TokenPatch::default();
    if mask.touches("max_uses", token.max_uses.is_some()) {
        patch.max_uses = Patch::Set(token_uses(violations, token));
    }
    if mask.touches("assigned_email", !token.assigned_email.is_empty()) {
        let field = "token.assigned_email";
        patch.assigned_email = Patch::Set(email(violations, field, &token.assigned_email));
    }
    if mask.touches("external_id", !token.external_id.is_empty()) {
        let field = "token.external_id";
        patch.external_id = Patch::Set(external_id(violations, field, &token.external_id));
    }
    if mask.touches("display_name", !token.display_name.is_empty()) {
        patch.display_name = Patch::Set(token_label(violations, token));
    }
    if mask.touches("expire_time", token.expire_time.is_some()) {
        patch.expire_time = Patch::Set(expiry(violations, token, now));
    }
    patch
}

/// Reads an enrollment code to make.
pub(crate) fn new_enrollment_code(
    violations: &mut Violations,
    message: &EnrollmentCodeMessage,
    acknowledge_weak: bool,
) -> Option<NewEnrollmentCode> {
    let code = read_code(violations, &message.code);
    let rules = EnrollmentCodeRules {
        valid_from: violations
            .timestamp("enrollment_code.valid_from_time", &message.valid_from_time),
        valid_till: violations
            .timestamp("enrollment_code.valid_till_time", &message.valid_till_time),
        email_domains: domains(violations, &message.email_domains),
        enabled: message.enabled.unwrap_or(true),
        max_uses: code_uses(violations, message),
        allow_rejoin: message.allow_rejoin,
        display_name: code_label(violations, message),
    };
    let code = code?;
    // An invalid domain is reported separately, and will limit the code once it is corrected.
    let guarded = !message.email_domains.is_empty();
    let valid = (rules.valid_from, rules.valid_till);
    check_code(violations, &code, valid, guarded, acknowledge_weak);
    Some(NewEnrollmentCode { code, rules })
}

fn read_code(violations: &mut Violations, text: &str) -> Option<EnrollmentCode> {
    if !violations.check(!text.is_empty(), "enrollment_code.code", "is required") {
        return None;
    }
    match EnrollmentCode::parse(text) {
        Ok(code) => Some(code),
        Err(error) => {
            let reason = ErrorReason::CodeMalformed;
            violations.add_reason(reason, "enrollment_code.code", error.to_string());
            None
        }
    }
}

fn code_uses(violations: &mut Violations, message: &EnrollmentCodeMessage) -> Option<u32> {
    max_uses(
        violations,
        "enrollment_code.max_uses",
        message.max_uses,
        None,
    )
}

fn code_label(violations: &mut Violations, message: &EnrollmentCodeMessage) -> String {
    let field = "enrollment_code.display_name";
    violations.display_name(field, &message.display_name, DISPLAY_NAME_CHARS_MAX)
}

fn domains(violations: &mut Violations, texts: &[String]) -> Vec<DomainRule> {
    violations.check(
        texts.len() <= MAX_DOMAIN_RULES,
        "enrollment_code.email_domains",
        format!("has more than {MAX_DOMAIN_RULES} domains"),
    );
    let mut rules = Vec::new();
    for (index, text) in texts.iter().enumerate().take(MAX_DOMAIN_RULES) {
        let field = format!("enrollment_code.email_domains[{index}]");
        match DomainRule::parse(text) {
            Ok(rule) if rules.contains(&rule) => {}
            Ok(rule) => rules.push(rule),
            Err(error @ DomainRuleError::Malformed) => violations.add(&field, error.to_string()),
            Err(error @ DomainRuleError::TooBroad) => {
                violations.add_reason(ErrorReason::DomainTooBroad, &field, error.to_string());
            }
        }
    }
    rules
}

/// Reads the changes of an enrollment code.
pub(crate) fn enrollment_code_patch(
    violations: &mut Violations,
    message: &EnrollmentCodeMessage,
    mask: Option<&prost_types::FieldMask>,
    acknowledge_weak: bool,
) -> EnrollmentCodePatch {
    let mask = violations.mask(mask, CODE_FIELDS);
    let mut patch = EnrollmentCodePatch {
        acknowledge_weak,
        ..EnrollmentCodePatch::default()
    };
    if mask.touches("code", !message.code.is_empty()) {
        patch.code = read_code(violations, &message.code);
    }
    if mask.touches("valid_from_time", message.valid_from_time.is_some()) {
        let field = "enrollment_code.valid_from_time";
        patch.valid_from = Patch::Set(violations.timestamp(field, &message.valid_from_time));
    }
    if mask.touches("valid_till_time", message.valid_till_time.is_some()) {
        let field = "enrollment_code.valid_till_time";
        patch.valid_till = Patch::Set(violations.timestamp(field, &message.valid_till_time));
    }
    if mask.touches("email_domains", !message.email_domains.is_empty()) {
        patch.email_domains = Patch::Set(domains(violations, &message.email_domains));
    }
    if mask.touches("enabled", message.enabled.is_some()) {
        patch.enabled = Patch::Set(message.enabled.unwrap_or(true));
    }
    if mask.touches("max_uses", message.max_uses.is_some()) {
        patch.max_uses = Patch::Set(code_uses(violations, message));
    }
    if mask.touches("allow_rejoin", message.allow_rejoin) {
        patch.allow_rejoin = Patch::Set(message.allow_rejoin);
    }
    if mask.touches("display_name", !message.display_name.is_empty()) {
        patch.display_name = Patch::Set(code_label(violations, message));
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn x4_a_token_admits_one_person_unless_it_says_otherwise() {
        let new = new_token(&Token::default(), now()).unwrap();
        assert_eq!(new.max_uses, Some(1));
        assert_eq!(new.words, WordCount::DEFAULT);
        assert_eq!(new.expire_time, None);
    }

    #[test]
    fn every_violation_of_a_token_is_told_at_once() {
        let token = Token {
            max_uses: Some(-1),
            external_id: "x".repeat(129),
            display_name: "x".repeat(201),
            words: 5,
            ..Token::default()
        };
        let error = new_token(&token, now()).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::InvalidRequest);
        assert_eq!(error.field_violations().len(), 4);
    }

    fn new_code(
        message: &EnrollmentCodeMessage,
        acknowledge_weak: bool,
    ) -> Result<NewEnrollmentCode> {
        let mut violations = Violations::new();
        let new = new_enrollment_code(&mut violations, message, acknowledge_weak);
        violations.finish_with(new)
    }

    #[test]
    fn b6_a_domain_that_lets_strangers_in_is_told_as_such() {
        let message = EnrollmentCodeMessage {
            code: "BIO101".to_owned(),
            email_domains: vec!["gmail.com".to_owned()],
            ..EnrollmentCodeMessage::default()
        };
        let error = new_code(&message, false).err().unwrap();
        assert_eq!(error.reason(), ErrorReason::DomainTooBroad);
    }

    #[test]
    fn b14_a_weak_code_needs_a_domain_or_an_acknowledgement() {
        let mut message = EnrollmentCodeMessage {
            code: "BIO101".to_owned(),
            ..EnrollmentCodeMessage::default()
        };
        let error = new_code(&message, false).err().unwrap();
        assert_eq!(error.reason(), ErrorReason::WeakCode);
        assert!(new_code(&message, true).is_ok());
        message.email_domains = vec!["hamiltonschools.org".to_owned()];
        assert!(new_code(&message, false).is_ok());
    }

    #[test]
    fn b6_fifty_domains_are_the_most() {
        let domains_of = |count: usize| EnrollmentCodeMessage {
            code: "BIO101".to_owned(),
            email_domains: (0..count).map(|n| format!("school{n}.org")).collect(),
            ..EnrollmentCodeMessage::default()
        };
        assert!(new_code(&domains_of(50), false).is_ok());
        assert!(new_code(&domains_of(51), false).is_err());
    }
}
