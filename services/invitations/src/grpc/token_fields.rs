//! The fields of class tokens and enrollment codes, as typed values.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{CreateTokenRequest, EnrollmentCode as EnrollmentCodeMessage, Token},
};
use homeroom_kit::{
    Result,
    rpc::Patch,
    validation::{Mask, Violations},
};

use super::convert::{DISPLAY_NAME_CHARS_MAX, email, external_id, max_uses, time_to_come};
use crate::{
    app::{
        code_fields::{CodeFields, check_code},
        token::{NewToken, TokenFields},
    },
    domain::{
        domain_rule::{DomainRule, DomainRuleError, MAX_DOMAIN_RULES},
        invitation::CLASS_TOKEN_USES,
        ways::enrollment_code::EnrollmentCode,
        ways::phrase::WordCount,
    },
};

/// The maximum number of days until a class token expires (A14).
pub(crate) const TOKEN_EXPIRY_DAYS_MAX: i64 = 365;

/// Reads a class token to make.
pub(crate) fn new_token(
    v: &mut Violations,
    request: &CreateTokenRequest,
    now: DateTime<Utc>,
) -> NewToken {
    let asked = v.required_or_default("token", &request.token);
    NewToken {
        fields: token_fields(v, &Mask::all(), &asked, now),
        words: words(v, asked.words),
    }
}

/// Reads one request of a batch in `parent` (AIP-233).
pub(crate) fn new_token_of_batch(
    parent: &str,
    request: &CreateTokenRequest,
    now: DateTime<Utc>,
) -> Result<NewToken> {
    let mut v = Violations::new();
    let agrees = request.parent.is_empty() || request.parent == parent;
    v.check(agrees, "parent", "must be empty, or that of the batch");
    let is_empty = request.request_id.is_empty();
    v.check(is_empty, "request_id", "must be empty: the batch has one");
    let new = new_token(&mut v, request, now);
    v.finish()?;
    Ok(new)
}

/// Reads the fields of a class token that staff set.
pub(crate) fn token_fields(
    v: &mut Violations,
    mask: &Mask,
    token: &Token,
    now: DateTime<Utc>,
) -> TokenFields {
    let (address, id, label) = (
        &token.assigned_email,
        &token.external_id,
        &token.display_name,
    );
    TokenFields {
        max_uses: mask.patch("max_uses", token.max_uses.is_some(), || {
            let default = Some(CLASS_TOKEN_USES);
            max_uses(v, "token.max_uses", token.max_uses, default)
        }),
        assigned_email: mask.patch("assigned_email", !address.is_empty(), || {
            email(v, "token.assigned_email", address)
        }),
        external_id: mask.patch("external_id", !id.is_empty(), || {
            external_id(v, "token.external_id", id)
        }),
        display_name: mask.patch("display_name", !label.is_empty(), || {
            v.display_name("token.display_name", label, DISPLAY_NAME_CHARS_MAX)
        }),
        expire_time: mask.patch("expire_time", token.expire_time.is_some(), || {
            let longest = TimeDelta::days(TOKEN_EXPIRY_DAYS_MAX);
            let time = token.expire_time.as_ref();
            time_to_come(v, "token.expire_time", time, now, Some(longest))
        }),
    }
}

/// Reads the number of words of a phrase.
fn words(violations: &mut Violations, words: i32) -> WordCount {
    if words == 0 {
        return WordCount::DEFAULT;
    }
    let parsed = u32::try_from(words)
        .map_err(|_| "must be 2, 3 or 4".to_owned())
        .and_then(|words| WordCount::new(words).map_err(|error| error.to_string()));
    violations.take("token.words", parsed).unwrap_or_default()
}

/// The warnings about an enrollment code that its author has seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Acknowledged {
    /// The code is easy to guess.
    pub(crate) weak: bool,
    /// Strangers have addresses in its domains.
    pub(crate) broad_domain: bool,
}

/// Reads an enrollment code to make.
pub(crate) fn new_enrollment_code(
    v: &mut Violations,
    message: &EnrollmentCodeMessage,
    acknowledged: Acknowledged,
) -> Option<(EnrollmentCode, CodeFields)> {
    let code = read_code(v, &message.code);
    let fields = code_fields(v, &Mask::all(), message, acknowledged.broad_domain);
    let code = code?;
    // An invalid domain is reported separately, and will limit the code once it is corrected. One that strangers have
    // addresses in, as the platform acknowledges, does not.
    let domains = &message.email_domains;
    let strangers =
        |text: &String| DomainRule::acknowledged(text).is_ok_and(|rule| rule.is_broad());
    let admits_strangers = acknowledged.broad_domain && domains.iter().any(strangers);
    let guarded = !domains.is_empty() && !admits_strangers;
    let valid = (fields.valid_from, fields.valid_till);
    if let (Patch::Set(from), Patch::Set(till)) = valid {
        check_code(v, &code, (from, till), guarded, acknowledged.weak);
    }
    Some((code, fields))
}

/// Reads the code itself.
pub(crate) fn read_code(v: &mut Violations, text: &str) -> Option<EnrollmentCode> {
    if !v.check(!text.is_empty(), "enrollment_code.code", "is required") {
        return None;
    }
    match EnrollmentCode::parse(text) {
        Ok(code) => Some(code),
        Err(error) => {
            let reason = ErrorReason::CodeMalformed;
            v.add_reason(reason, "enrollment_code.code", error.to_string());
            None
        }
    }
}

/// Reads the other fields of an enrollment code that its author sets.
pub(crate) fn code_fields(
    v: &mut Violations,
    mask: &Mask,
    message: &EnrollmentCodeMessage,
    acknowledge_broad_domain: bool,
) -> CodeFields {
    let (from, till) = (&message.valid_from_time, &message.valid_till_time);
    let (domains, label) = (&message.email_domains, &message.display_name);
    CodeFields {
        valid_from: mask.patch("valid_from_time", from.is_some(), || {
            v.timestamp("enrollment_code.valid_from_time", from)
        }),
        valid_till: mask.patch("valid_till_time", till.is_some(), || {
            v.timestamp("enrollment_code.valid_till_time", till)
        }),
        email_domains: mask.patch("email_domains", !domains.is_empty(), || {
            read_domains(v, domains, acknowledge_broad_domain)
        }),
        acknowledges_broad_domain: acknowledge_broad_domain,
        enabled: mask.patch("enabled", message.enabled.is_some(), || {
            message.enabled.unwrap_or(true)
        }),
        max_uses: mask.patch("max_uses", message.max_uses.is_some(), || {
            max_uses(v, "enrollment_code.max_uses", message.max_uses, None)
        }),
        allow_rejoin: mask.patch("allow_rejoin", message.allow_rejoin, || {
            message.allow_rejoin
        }),
        display_name: mask.patch("display_name", !label.is_empty(), || {
            v.display_name(
                "enrollment_code.display_name",
                label,
                DISPLAY_NAME_CHARS_MAX,
            )
        }),
    }
}

fn read_domains(
    violations: &mut Violations,
    texts: &[String],
    acknowledge_broad: bool,
) -> Vec<DomainRule> {
    let parse = if acknowledge_broad {
        DomainRule::acknowledged
    } else {
        DomainRule::parse
    };
    violations.check(
        texts.len() <= MAX_DOMAIN_RULES,
        "enrollment_code.email_domains",
        format!("has more than {MAX_DOMAIN_RULES} domains"),
    );
    let mut rules = Vec::new();
    for (index, text) in texts.iter().enumerate().take(MAX_DOMAIN_RULES) {
        let field = format!("enrollment_code.email_domains[{index}]");
        match parse(text) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn row(token: Token) -> Result<NewToken> {
        let request = CreateTokenRequest {
            token: Some(token),
            ..CreateTokenRequest::default()
        };
        new_token_of_batch("", &request, now())
    }

    #[test]
    fn x4_a_token_admits_one_person_unless_it_says_otherwise() {
        let new = row(Token::default()).unwrap();
        assert_eq!(new.fields.max_uses, Patch::Set(Some(1)));
        assert_eq!(new.words, WordCount::DEFAULT);
        assert_eq!(new.fields.expire_time, Patch::Set(None));
    }

    #[test]
    fn every_violation_of_a_token_is_told_at_once() {
        let token = Token {
            max_uses: Some(-1),
            external_id: "x".repeat(256),
            display_name: "x".repeat(201),
            words: 5,
            ..Token::default()
        };
        let error = row(token).unwrap_err();
        assert_eq!(error.reason(), ErrorReason::InvalidRequest);
        assert_eq!(error.field_violations().len(), 4);
    }

    fn new_code(
        message: &EnrollmentCodeMessage,
        acknowledge_weak: bool,
    ) -> Result<(EnrollmentCode, CodeFields)> {
        let mut violations = Violations::new();
        let acknowledged = Acknowledged {
            weak: acknowledge_weak,
            broad_domain: false,
        };
        let new = new_enrollment_code(&mut violations, message, acknowledged);
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
