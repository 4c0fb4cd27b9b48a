//! The base of the URLs that are handed out, in the first line, and a pasted text, in the rest: only URLs of the
//! configured host are accepted.

use crate::domain::{
    credential::{Credential, MAX_PASTED_BYTES},
    invitation::InvitationKind,
    public_url::PublicUrl,
};
use homeroom_kit::secret::SecretText;
use url::Url;

const KEY: &str = "0123456789ABCDEFGHJKMNPQRS";

/// Checks every property of one input.
pub fn check(data: &[u8]) {
    let text = crate::text(data);
    let (base, pasted) = crate::two(&text);
    let configured = PublicUrl::parse(base);
    for usual in ["https://join.school.example", "http://127.0.0.1:8080/enter"] {
        check_pasted(usual, &PublicUrl::parse(usual).unwrap(), pasted);
    }
    let Ok(configured) = configured else { return };
    check_pasted(base, &configured, pasted);

    let url = configured.at("j", &SecretText::new(KEY));
    let url = url.expose();
    let parsed = Url::parse(url).unwrap();
    assert!(matches!(parsed.scheme(), "http" | "https"));
    assert_eq!(parsed.host(), Url::parse(base).unwrap().host());
    assert!(parsed.username().is_empty() && parsed.password().is_none());
    assert!(parsed.query().is_none() && parsed.fragment().is_none());
    assert_eq!(parsed.as_str(), url, "a browser goes where it says");
    if url.len() <= MAX_PASTED_BYTES {
        let read = Credential::parse(url, &configured).ok();
        let candidate = read.and_then(|read| read.candidates().first().cloned());
        assert!(candidate.is_some_and(|candidate| {
            candidate.kind == InvitationKind::JoinUrl && candidate.canonical.expose() == KEY
        }));
    }
}

/// Checks that a URL that a browser would open at another host is accepted only if it carries a URL of the configured
/// host.
fn check_pasted(base: &str, configured: &PublicUrl, pasted: &str) {
    crate::credential::check_under(pasted, configured);
    let Ok(read) = Credential::parse(pasted, configured) else {
        return;
    };
    if !pasted.contains("://") {
        return;
    }
    assert_eq!(read.candidates().len(), 1, "a URL says what it is");
    let link = pasted.trim_start_matches(|one: char| !one.is_alphanumeric());
    if let Ok(target) = Url::parse(link)
        && target.has_host()
        && target.host() != Url::parse(base).unwrap().host()
    {
        let other = PublicUrl::parse("https://other.invalid").unwrap();
        assert!(Credential::parse(pasted, &other).is_err(), "{link}");
    }
}
