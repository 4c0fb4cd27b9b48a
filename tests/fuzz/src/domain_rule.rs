//! Rules of whose addresses may use a code: `DomainRule::parse` of the first line, against the address in the second.

use homeroom_kit::email::EmailAddress;

use crate::domain::domain_rule::{DomainRule, MAX_DOMAIN_RULE_BYTES};

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    let (rule, email) = crate::two(&text);
    let Ok(rule) = DomainRule::parse(rule) else {
        return;
    };
    let shown = rule.to_string();
    assert!(shown.len() <= MAX_DOMAIN_RULE_BYTES);
    assert_eq!(DomainRule::parse(&shown).as_ref(), Ok(&rule));
    let (domain, subdomains) = match shown.strip_prefix("*.") {
        Some(domain) => (domain, true),
        None => (shown.as_str(), false),
    };
    crate::email::check_domain(domain);
    // The domain itself may be a suffix that has one owner.
    let suffix = psl::suffix(domain.as_bytes()).filter(|suffix| suffix.as_bytes() == domain.as_bytes());
    let is_owned = suffix.is_none_or(|suffix| suffix.typ() == Some(psl::Type::Private) && !subdomains);
    assert!(is_owned, "a public suffix");
    for host in ["gmail.com", "outlook.com", "yahoo.co.uk", "icloud.com"] {
        assert_ne!(psl::domain_str(domain), Some(host), "anybody's host");
    }

    // Compares whole labels from the right.
    let rule_labels: Vec<&str> = domain.rsplit('.').collect();
    let inside = |email: &EmailAddress| {
        let labels: Vec<&str> = email.domain().rsplit('.').collect();
        let below = labels.len() > rule_labels.len();
        labels.starts_with(&rule_labels) && below == subdomains
    };
    let with = |domain: &str| EmailAddress::parse(&format!("a@{domain}")).ok();
    let near = [
        EmailAddress::parse(email).ok(),
        with(domain),
        with(&format!("evil{domain}")),
        with(&format!("sub.{domain}")),
        with(&format!("{domain}.evil.example")),
        EmailAddress::parse(&format!("{domain}@evil.example")).ok(),
    ];
    for email in near.iter().flatten() {
        assert_eq!(rule.matches(email), inside(email), "{shown} {email}");
    }
}
