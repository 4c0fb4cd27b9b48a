//! Rules on the email addresses that may use an enrollment code (B6).

use std::fmt;

use homeroom_kit::email::{EmailAddress, domain_name};
use serde::{Deserialize, Serialize};

use super::webmail::is_free_webmail;

/// The maximum number of domain rules of one invitation (B6).
pub const MAX_DOMAIN_RULES: usize = 50;
/// The maximum length of a domain rule, in bytes: a domain name and `*.`.
pub const MAX_DOMAIN_RULE_BYTES: usize = 255;

/// The reason why a text is no domain rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainRuleError {
    /// The text is not a domain name, with or without `*.` before it.
    #[error("must be a domain name such as school.example, or *.school.example for its subdomains")]
    Malformed,
    /// The domain is a public suffix or a free webmail host (`DOMAIN_TOO_BROAD`).
    #[error("would admit strangers: anybody can have an address there")]
    TooBroad,
}

/// One domain rule: `school.org` means that domain alone, `*.school.org` its
/// subdomains alone. Whole labels are compared, so that
/// `evilhamiltonschools.org` never matches `hamiltonschools.org` (B6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainRule {
    domain: String,
    subdomains: bool,
}

impl DomainRule {
    /// Reads a rule; spaces around it and case make no difference.
    ///
    /// # Errors
    /// [`DomainRuleError`] if the text is no domain name, or if the rule would let strangers in.
    pub fn parse(text: &str) -> Result<Self, DomainRuleError> {
        let rule = Self::acknowledged(text)?;
        if rule.is_broad() {
            return Err(DomainRuleError::TooBroad);
        }
        Ok(rule)
    }

    /// Returns true if strangers have addresses in the domain, as far as the lists of public suffixes and webmail hosts
    /// tell: then a verified address in it keeps nobody out.
    #[must_use]
    pub fn is_broad(&self) -> bool {
        if let Some(registrable) = psl::domain_str(&self.domain) {
            return is_free_webmail(registrable);
        }
        // A suffix in the private part of the list is a domain of one owner, such as a university, below which others
        // have domains. The other suffixes are registries.
        let suffix = psl::suffix(self.domain.as_bytes());
        let is_private = suffix.is_some_and(|suffix| suffix.typ() == Some(psl::Type::Private));
        !is_private || self.subdomains
    }

    /// Reads a rule whatever the lists of public suffixes and webmail hosts say of it: one that was accepted before, or
    /// that the platform answers for.
    ///
    /// # Errors
    /// [`DomainRuleError`] if the text is no domain name.
    pub fn acknowledged(text: &str) -> Result<Self, DomainRuleError> {
        let text = text.trim();
        if text.len() > MAX_DOMAIN_RULE_BYTES {
            return Err(DomainRuleError::Malformed);
        }
        let (name, subdomains) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let domain = match domain_name(name) {
            Some(domain) => domain,
            // A single label is a public suffix such as `org`, not a typing error.
            None if is_label(name) => return Err(DomainRuleError::TooBroad),
            None => return Err(DomainRuleError::Malformed),
        };
        Ok(Self { domain, subdomains })
    }

    /// Returns true if the address is inside the domain.
    #[must_use]
    pub fn matches(&self, email: &EmailAddress) -> bool {
        let domain = email.domain();
        if self.subdomains {
            domain
                .strip_suffix(self.domain.as_str())
                .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
        } else {
            domain == self.domain
        }
    }
}

impl TryFrom<String> for DomainRule {
    type Error = DomainRuleError;

    fn try_from(text: String) -> Result<Self, DomainRuleError> {
        Self::acknowledged(&text)
    }
}

impl From<DomainRule> for String {
    fn from(rule: DomainRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for DomainRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wildcard = if self.subdomains { "*." } else { "" };
        write!(formatter, "{wildcard}{}", self.domain)
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(rule: &str, email: &str) -> bool {
        DomainRule::parse(rule)
            .unwrap_or_else(|error| panic!("{rule}: {error}"))
            .matches(&EmailAddress::parse(email).unwrap())
    }

    #[test]
    fn b6_whole_labels_match_and_subdomains_by_a_star_only() {
        for (rule, email, right) in [
            ("hamiltonschools.org", "a@hamiltonschools.org", true),
            ("HamiltonSchools.ORG ", "a@HAMILTONschools.org", true),
            ("hamiltonschools.org", "a@evilhamiltonschools.org", false),
            (
                "hamiltonschools.org",
                "a@hamiltonschools.org.evil.com",
                false,
            ),
            ("hamiltonschools.org", "a@staff.hamiltonschools.org", false),
            ("hamiltonschools.org", "hamiltonschools.org@evil.com", false),
            ("*.hamiltonschools.org", "a@staff.hamiltonschools.org", true),
            (
                "*.hamiltonschools.org",
                "a@x.staff.hamiltonschools.org",
                true,
            ),
            ("*.hamiltonschools.org", "a@hamiltonschools.org", false),
            ("*.hamiltonschools.org", "a@evilhamiltonschools.org", false),
            ("schüle.de", "a@xn--schle-mva.de", true),
        ] {
            assert_eq!(matches(rule, email), right, "{rule} {email}");
        }
    }

    #[test]
    fn b6_public_suffixes_and_webmail_hosts_are_too_broad() {
        for text in [
            "org",
            "*.org",
            "co.uk",
            "*.co.uk",
            "k12.ca.us",
            "*.github.io",
            "*.rub.de",
            "glow.sch.uk",
            "gmail.com",
            "*.gmail.com",
            "GMAIL.com",
            "mail.yahoo.co.uk",
            "outlook.de",
            "privaterelay.appleid.com",
            "localhost",
        ] {
            let refused = DomainRule::parse(text);
            assert_eq!(refused, Err(DomainRuleError::TooBroad), "{text}");
            // A single label is no domain of addresses, whoever answers for it.
            let acknowledged = DomainRule::acknowledged(text);
            let name = text.trim_start_matches("*.");
            assert_eq!(acknowledged.is_ok(), name.contains('.'), "{text}");
        }
    }

    #[test]
    fn b6_a_suffix_of_one_owner_is_no_registry() {
        for (rule, email) in [
            ("rub.de", "a@rub.de"),
            ("ruhr-uni-bochum.de", "a@ruhr-uni-bochum.de"),
            ("*.stud.rub.de", "a@x.stud.rub.de"),
            ("pupils.glow.sch.uk", "a@pupils.glow.sch.uk"),
        ] {
            assert!(matches(rule, email), "{rule}");
        }
    }

    #[test]
    fn b6_what_is_no_domain_is_malformed() {
        for text in [
            "",
            "*",
            "*.",
            "*.*.school.org",
            "a*.school.org",
            "@school.org",
            "a@school.org",
            ".school.org",
            "school.org.",
            "school..org",
            "https://school.org",
            "school.org/x",
            "10.0.0.1",
            "ｓchool.org",
        ] {
            let refused = DomainRule::parse(text);
            assert_eq!(refused, Err(DomainRuleError::Malformed), "{text}");
        }
        let long = format!("{}.org", "a.".repeat(200));
        assert_eq!(DomainRule::parse(&long), Err(DomainRuleError::Malformed));
    }

    proptest! {
        #[test]
        fn b6_a_rule_admits_its_domain_and_no_name_that_only_ends_like_it(
            name in "[a-z]{4,12}", before in "[a-z]{1,8}",
        ) {
            let domain = format!("{name}.org");
            prop_assume!(DomainRule::parse(&domain).is_ok());
            let star = format!("*.{domain}");
            let at = format!("a@{domain}");
            let joined = format!("a@{before}{domain}");
            let below = format!("a@{before}.{domain}");
            prop_assert!(matches(&domain, &at) && !matches(&star, &at));
            prop_assert!(!matches(&domain, &joined) && !matches(&star, &joined));
            prop_assert!(!matches(&domain, &below) && matches(&star, &below));
        }

        #[test]
        fn b6_a_shown_rule_reads_as_itself(text in "(\\*\\.)?[a-zA-Zéß.-]{1,20}") {
            if let Ok(rule) = DomainRule::parse(&text) {
                prop_assert_eq!(DomainRule::parse(&rule.to_string()), Ok(rule));
            }
        }
    }
}
