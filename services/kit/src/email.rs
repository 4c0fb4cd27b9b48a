//! Email addresses, parsed strictly: an address that mail servers read differently is refused, because domain rules
//! admit people by their address, and so that one person's address has one form in every service.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3).
pub const MAX_EMAIL_BYTES: usize = 254;
/// The longest part before the `@`, in bytes (RFC 5321, 4.5.3.1.1).
pub const MAX_LOCAL_PART_BYTES: usize = 64;

/// The error for a text that is not an accepted address (`EMAIL_MALFORMED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one plain email address such as name@school.example")]
pub struct EmailMalformed;

/// An email address: an ASCII local part as it was given, and a domain in lower-case ASCII letters (IDNA 2008
/// A-labels).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    local_part: String,
    domain: String,
}

impl EmailAddress {
    /// Parses one address: one `@`; a dotted local part of RFC 5322 atoms without quotes, encoded words or the routing
    /// characters `%` and `!`; a domain name of two labels or more without a trailing dot.
    ///
    /// # Errors
    /// [`EmailMalformed`] for everything else.
    pub fn parse(text: &str) -> Result<Self, EmailMalformed> {
        let (local_part, domain) = text.split_once('@').ok_or(EmailMalformed)?;
        if domain.contains('@') || text.contains("=?") || !is_local_part(local_part) {
            return Err(EmailMalformed);
        }
        let domain = domain_name(domain).ok_or(EmailMalformed)?;
        if local_part.len() + 1 + domain.len() > MAX_EMAIL_BYTES {
            return Err(EmailMalformed);
        }
        Ok(Self {
            local_part: local_part.to_owned(),
            domain,
        })
    }

    /// Returns the domain, in lower-case ASCII letters.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the form in which addresses are stored and looked up: lower case throughout.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }

    /// Returns true if mail to both goes to one person: case makes no difference.
    #[must_use]
    pub fn is_same_mailbox(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local_part.eq_ignore_ascii_case(&other.local_part)
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = EmailMalformed;

    fn from_str(text: &str) -> Result<Self, EmailMalformed> {
        Self::parse(text)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.local_part, self.domain)
    }
}

fn is_local_part(text: &str) -> bool {
    text.len() <= MAX_LOCAL_PART_BYTES
        && text.split('.').all(|atom| {
            !atom.is_empty()
                && atom.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || b"#$&'*+-/=?^_`{|}~".contains(&byte)
                })
        })
}

/// Returns `text` as a domain name of two labels or more, in lower-case ASCII letters. By IDNA 2008 nothing is mapped
/// but case, so that no two spellings are one name, and symbols are not letters.
#[must_use]
pub fn domain_name(text: &str) -> Option<String> {
    if !text.contains('.') || text.ends_with('.') {
        return None;
    }
    let codec = Uts46::new();
    let ascii = codec
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Check,
            DnsLength::Verify,
        )
        .ok()?;
    let (unicode, valid) = codec.to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    valid.ok()?;
    let lower_case: String = text.to_lowercase().nfc().collect();
    let unmapped = lower_case == unicode || lower_case == ascii;
    let letters = unicode.chars().all(|character| {
        character.is_alphanumeric()
            || matches!(character, '-' | '.' | '·')
            || is_combining_mark(character)
    });
    // A last label of digits is an IP address.
    let is_address = ascii
        .rsplit('.')
        .next()
        .is_none_or(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    (unmapped && letters && !is_address).then(|| ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn input_addresses_are_kept_with_the_domain_in_small_letters() {
        for (text, kept) in [
            ("austin@hamiltonschools.org", "austin@hamiltonschools.org"),
            (
                "Austin.P+x@HamiltonSchools.ORG",
                "Austin.P+x@hamiltonschools.org",
            ),
            ("a@schüle.example", "a@xn--schle-mva.example"),
            ("a@SCHÜLE.example", "a@xn--schle-mva.example"),
            ("a@xn--schle-mva.example", "a@xn--schle-mva.example"),
            ("o'hara@a.bc", "o'hara@a.bc"),
        ] {
            let email = EmailAddress::parse(text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(email.to_string(), kept);
        }
    }

    #[test]
    fn input_what_mail_servers_read_differently_is_refused() {
        for text in [
            "",
            "a",
            "@b.org",
            "a@",
            "a@b",
            "a@b@c.org",
            "a@b.org.",
            "a@.b.org",
            "a@b..org",
            ".a@b.org",
            "a.@b.org",
            "a..b@c.org",
            "\"a\"@b.org",
            "\"a@b.org\"@c.org",
            "=?utf-8?q?a=40b.org?=@c.org",
            "a=?b@c.org",
            "a%b.org@c.org",
            "b.org!a@c.org",
            "a b@c.org",
            "a@b.org, c@d.org",
            "a <a@b.org>",
            " a@b.org",
            "a@b.org\n",
            "a@b.org\0",
            "ä@b.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b_c.org",
            "a@-b.org",
            "a@b-.org",
            "a@b.org(comment)",
            "a@ｂ.org",
            "a@ⓑ.org",
            "a@b。org",
            "a@b\u{200d}.org",
            "a@b\u{202e}.org",
            "a@☃.org",
            "a@xn--zzzz-.org",
            "a@xn--a.org",
        ] {
            assert_eq!(EmailAddress::parse(text), Err(EmailMalformed), "{text:?}");
        }
    }

    #[test]
    fn input_an_address_has_at_most_64_bytes_before_the_at_and_254_in_all() {
        let local = |bytes: usize| format!("{}@b.org", "a".repeat(bytes));
        assert!(EmailAddress::parse(&local(MAX_LOCAL_PART_BYTES)).is_ok());
        assert!(EmailAddress::parse(&local(MAX_LOCAL_PART_BYTES + 1)).is_err());
        let labels = format!(
            "{}.{}.{}.org",
            "b".repeat(63),
            "b".repeat(63),
            "b".repeat(60)
        );
        let longest = MAX_EMAIL_BYTES - 1 - labels.len();
        let of = |bytes: usize| format!("{}@{labels}", "a".repeat(bytes));
        assert!(EmailAddress::parse(&of(longest)).is_ok());
        assert!(EmailAddress::parse(&of(longest + 1)).is_err());
    }

    #[test]
    fn a8_the_canonical_form_is_in_small_letters() {
        for (text, kept) in [
            ("Austin@HamiltonSchools.org", "austin@hamiltonschools.org"),
            ("Mia@SCHÜLE.example", "mia@xn--schle-mva.example"),
        ] {
            assert_eq!(EmailAddress::parse(text).unwrap().canonical(), kept);
        }
    }

    #[test]
    fn a8_case_makes_no_difference_to_whom_a_token_is_assigned() {
        let read = |text| EmailAddress::parse(text).unwrap();
        assert!(read("Mia@School.org").is_same_mailbox(&read("mia@school.ORG")));
        assert!(!read("mia@school.org").is_same_mailbox(&read("mia@schools.org")));
        assert!(!read("mia+1@school.org").is_same_mailbox(&read("mia@school.org")));
    }

    proptest! {
        #[test]
        fn input_any_text_is_read_without_a_panic(text in ".{0,60}") {
            let _ = EmailAddress::parse(&text);
        }

        #[test]
        fn a8_it_makes_no_difference_whether_letters_are_made_small_before_or_after(text in "[a-zA-Z0-9.+]{1,12}@[a-zA-Z0-9ßÜüİKéα.-]{1,20}") {
            let before = EmailAddress::parse(&text.to_ascii_lowercase()).map(|email| email.to_string());
            let after = EmailAddress::parse(&text).map(|email| email.canonical());
            prop_assert_eq!(before, after);
        }

        #[test]
        fn input_a_second_at_or_a_dot_at_the_end_is_refused(local in "[a-z]{1,8}", domain in "[a-z]{1,8}\\.[a-z]{2,5}", wrong in "@|@x|\\.|@x\\.org|\u{200b}|\u{202e}|\0|\n| ") {
            let good = format!("{local}@{domain}");
            prop_assert!(EmailAddress::parse(&good).is_ok());
            let bad = format!("{good}{wrong}");
            prop_assert_eq!(EmailAddress::parse(&bad), Err(EmailMalformed));
        }

        #[test]
        fn input_what_is_kept_reads_as_itself(text in "[a-zA-Z0-9.+]{1,12}@[a-zA-Z0-9ßüéα.-]{1,20}") {
            if let Ok(email) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(&email.to_string()), Ok(email));
            }
        }
    }
}
