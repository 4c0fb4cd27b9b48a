//! Email addresses as membership keeps them: compared by one canonical form.

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3).
pub const EMAIL_BYTES_MAX: usize = 254;

/// The text is not an address that mail can be sent to (`EMAIL_MALFORMED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one plain email address such as name@school.example")]
pub struct EmailMalformed;

/// The form by which addresses are stored and compared: trimmed and in small letters. Refuses what no
/// mailbox is called: other than one `@`, blanks, quotes, a domain without a dot or with a trailing one.
pub fn canonical(text: &str) -> Result<String, EmailMalformed> {
    let text = text.trim();
    let (local_part, domain) = text.split_once('@').ok_or(EmailMalformed)?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@\"<>(),;:\\[]".contains(c);
    let valid = text.len() <= EMAIL_BYTES_MAX
        && !local_part.is_empty()
        && text.chars().filter(|c| *c == '@').count() == 1
        && local_part.chars().chain(domain.chars()).all(plain)
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty());
    if valid {
        Ok(text.to_lowercase())
    } else {
        Err(EmailMalformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_in_small_letters() {
        for (text, kept) in [
            ("Austin@HamiltonSchools.org", "austin@hamiltonschools.org"),
            (" a+b@c.example ", "a+b@c.example"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_refused() {
        for text in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b",
            "a@b.example.",
            "a@.example",
            "a@@b.example",
            "a b@c.example",
            "\"a\"@b.example",
            "A <a@b.example>",
        ] {
            assert_eq!(canonical(text), Err(EmailMalformed), "{text}");
        }
        let longest = format!("{}@b.example", "a".repeat(EMAIL_BYTES_MAX - 10));
        assert_eq!(longest.len(), EMAIL_BYTES_MAX);
        assert!(canonical(&longest).is_ok());
        assert!(canonical(&format!("a{longest}")).is_err());
    }
}
