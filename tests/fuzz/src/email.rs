//! Email addresses: `EmailAddress::parse`.

use homeroom_kit::email::{EmailAddress, MAX_EMAIL_BYTES, MAX_LOCAL_PART_BYTES, domain_name};

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    check_domain(&text);
    let read = EmailAddress::parse(&text);
    // One service converts to lower case before it parses, the other after.
    let small = EmailAddress::parse(&text.to_ascii_lowercase());
    assert_eq!(
        small.map(|email| email.to_string()),
        read.clone().map(|email| email.canonical())
    );
    let Ok(email) = read else {
        return;
    };
    let shown = email.to_string();
    assert!(shown.len() <= MAX_EMAIL_BYTES && shown.is_ascii());
    assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(shown.matches('@').count(), 1);
    assert!(!shown.contains("=?"), "an encoded word");
    let (local_part, domain) = shown.split_once('@').unwrap();
    assert!((1..=MAX_LOCAL_PART_BYTES).contains(&local_part.len()));
    assert!(!local_part.contains(['"', '\\', '(', ')', '<', '>', ',', ';', ':', '%', '!']));
    assert!(!local_part.starts_with('.') && !local_part.ends_with('.'));
    assert!(!local_part.contains(".."));
    assert_eq!(domain, email.domain());
    check_domain(domain);

    // The shown form and the stored form parse to the same address.
    assert_eq!(EmailAddress::parse(&shown).as_ref(), Ok(&email));
    let stored = EmailAddress::parse(&email.canonical()).unwrap();
    assert_eq!(stored.canonical(), email.canonical());
    assert!(stored.is_same_mailbox(&email) && email.is_same_mailbox(&stored));
    let capitals = EmailAddress::parse(&shown.to_ascii_uppercase()).unwrap();
    assert_eq!(capitals.canonical(), email.canonical());
}

/// Checks that a domain name is a DNS name of two labels or more, and parses to itself.
pub(crate) fn check_domain(text: &str) {
    let Some(domain) = domain_name(text) else {
        return;
    };
    assert!(domain.len() <= 253 && domain.contains('.'));
    for label in domain.split('.') {
        assert!((1..=63).contains(&label.len()));
        assert!(!label.starts_with('-') && !label.ends_with('-'));
        assert!(
            label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        );
    }
    assert!(domain.parse::<std::net::IpAddr>().is_err());
    assert_eq!(domain_name(&domain).as_ref(), Some(&domain));
}
