//! The addresses that this service hands out, all under one configured base, and the parsing of pasted addresses (R1).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom_kit::secret::SecretText;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// Parts of the addresses of mail filters and other services that pass links on; some of them hide the target.
const WRAPPERS: [&str; 12] = [
    "avanan",
    "checkpoint.com",
    "cisco.com",
    "cudasvc.com",
    "edgepilot.com",
    "emailprotection",
    "mimecast",
    "safelinks",
    "sophos.com",
    "symantec.com",
    "trendmicro",
    "urldefense",
];

/// The error for a configured base that is no public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an http or https address such as https://join.school.example, without user, query or fragment"
)]
pub struct PublicUrlMalformed;

/// The base of every URL handed out: scheme, host, port, and a path if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: String,
    /// The host in small ASCII letters, and the port if it is not the scheme's default.
    authority: String,
    /// Empty, or `/path` without a slash at its end.
    path: String,
}

impl PublicUrl {
    /// Reads the configured base.
    ///
    /// # Errors
    /// [`PublicUrlMalformed`] unless it is an http or https URL of a host,
    /// without user, query or fragment.
    pub fn parse(text: &str) -> Result<Self, PublicUrlMalformed> {
        let url = Url::parse(text).map_err(|_| PublicUrlMalformed)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|_| plain).ok_or(PublicUrlMalformed)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            scheme: url.scheme().to_owned(),
            authority,
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Returns the URL of a secret in canonical form: `letter` names the way in (C1, A2, A11).
    #[must_use]
    pub fn at(&self, letter: &str, secret: &SecretText) -> SecretText {
        let Self {
            scheme,
            authority,
            path,
        } = self;
        let secret = secret.expose();
        format!("{scheme}://{authority}{path}/{letter}/{secret}").into()
    }

    /// Returns the URLs of this base in `text`, each as the letter of the kind, and the key. The scheme may be either
    /// one or missing. Query and fragment, which mailers add, and one slash at the end make no difference.
    pub(super) fn links<'text>(&self, text: &'text str) -> Vec<(&'text str, &'text str)> {
        let small = Zeroizing::new(text.to_ascii_lowercase());
        small
            .match_indices(&self.authority)
            .filter(|(host, _)| small.get(..*host).is_some_and(may_precede_host))
            .filter_map(|(host, authority)| {
                let path = text.get(host + authority.len()..)?;
                let path = path.strip_prefix(self.path.as_str())?.strip_prefix('/')?;
                let is_of_path = |one: char| {
                    one.is_ascii_alphanumeric()
                        || matches!(one, '-' | '/' | '%' | '@' | '=' | '+' | '$')
                };
                let end = path.find(|one| !is_of_path(one)).unwrap_or(path.len());
                let path = path.get(..end)?;
                path.strip_suffix('/').unwrap_or(path).split_once('/')
            })
            .collect()
    }

    /// Returns the words of `text` in small letters, each as far as a link of this base begins: host and path of a link
    /// can look like a code.
    pub(super) fn beside_links(&self, text: &str) -> Zeroizing<String> {
        let small = Zeroizing::new(text.to_ascii_lowercase());
        let mut beside = Zeroizing::new(String::with_capacity(small.len()));
        for word in small.split([' ', '\n']) {
            beside.push_str(word.split(self.authority.as_str()).next().unwrap_or(word));
            beside.push(' ');
        }
        beside
    }
}

/// Returns true if a host can begin after `before`, in small letters: after a scheme, or as a word of its own.
fn may_precede_host(before: &str) -> bool {
    let is_of_scheme = |one: char| one.is_ascii_alphanumeric() || matches!(one, '+' | '-' | '.');
    // Some filters and mailers leave one slash out.
    let schemes = ["https://", "http://", "https:/", "http:/"];
    match schemes
        .iter()
        .find_map(|scheme| before.strip_suffix(*scheme))
    {
        Some(before) => !before.ends_with(is_of_scheme),
        None => !before.ends_with(|one: char| {
            one.is_alphanumeric()
                || is_of_scheme(one)
                || matches!(
                    one,
                    '@' | '/' | '\\' | ':' | '%' | '=' | '_' | '~' | '#' | '?' | '&'
                )
        }),
    }
}

/// Returns the targets that the links in `text` carry, unwrapped once, one a line: the decoded parts of their queries
/// and paths, in which mail filters, search engines and networks pass links on. Nothing is fetched.
pub(super) fn unwrapped(text: &str) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(String::new());
    for link in text.split_whitespace().filter(|word| word.contains("://")) {
        // Proofpoint's second version writes `-` for `%` and `_` for `/`.
        let second = link
            .contains("-3A__")
            .then(|| link.replace('-', "%").replace('_', "/"));
        for form in [Some(link), second.as_deref()].into_iter().flatten() {
            for (name, value) in form_urlencoded::parse(form.as_bytes()) {
                let decoded = URL_SAFE_NO_PAD
                    .decode(value.trim_end_matches('='))
                    .unwrap_or_default();
                for part in [name, value, String::from_utf8_lossy(&decoded)] {
                    lines.push_str(&part);
                    lines.push('\n');
                }
            }
        }
    }
    lines
}

/// Returns true if a link in `text` leads through another one: it holds one more address, or belongs to a filter that
/// hides it.
pub(super) fn is_wrapped(text: &str) -> bool {
    text.to_ascii_lowercase().split_whitespace().any(|word| {
        word.split_once("://").is_some_and(|(_, link)| {
            link.contains("http") || WRAPPERS.iter().any(|wrapper| link.contains(wrapper))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_urls_stand_under_the_configured_base() {
        let key = SecretText::new("K");
        for (base, expected) in [
            (
                "https://join.school.example",
                "https://join.school.example/j/K",
            ),
            (
                "https://Join.School.example/",
                "https://join.school.example/j/K",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/j/K"),
            (
                "https://school.example/enter/",
                "https://school.example/enter/j/K",
            ),
            (
                "https://schüle.example:443",
                "https://xn--schle-mva.example/j/K",
            ),
        ] {
            assert_eq!(
                PublicUrl::parse(base).unwrap().at("j", &key).expose(),
                expected
            );
        }
    }

    #[test]
    fn a_base_is_an_http_address_and_nothing_more() {
        for base in [
            "",
            "join.school.example",
            "ftp://a.example",
            "https://",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example?x",
            "https://a.example#x",
            "file:///x",
        ] {
            assert_eq!(PublicUrl::parse(base), Err(PublicUrlMalformed), "{base}");
        }
    }

    #[test]
    fn r1_only_urls_of_the_configured_host_are_read() {
        let base = PublicUrl::parse("https://a.example:8443/x").unwrap();
        for (text, expected) in [
            ("https://a.example:8443/x/c/K", Some(("c", "K"))),
            ("HTTP://A.Example:8443/x/c/K/?utm=1#top", Some(("c", "K"))),
            ("a.example:8443/x/t/b-c", Some(("t", "b-c"))),
            ("https://a.example:8443/x/c/K/L", Some(("c", "K/L"))),
            ("https://a.example:8443/x/c/K%2fL", Some(("c", "K%2fL"))),
            ("https://a.example/x/c/K", None),
            ("https://a.example:84430/x/c/K", None),
            ("https://a.example:8443.evil.com/x/c/K", None),
            ("https://u@a.example:8443/x/c/K", None),
            ("https://evil.com/a.example:8443/x/c/K", None),
            ("https://evil.com?a.example:8443/x/c/K", None),
            ("https://evil-a.example:8443/x/c/K", None),
            ("https://\u{430}a.example:8443/x/c/K", None),
            ("xhttps://a.example:8443/x/c/K", None),
            ("https://a.example:8443/c/K", None),
            ("https://a.example:8443/xx/c/K", None),
            ("https://a.example:8443", None),
            ("javascript://a.example:8443/x/c/K", None),
            ("abacus zebra", None),
            ("a.example:8443", None),
            ("", None),
        ] {
            let links = base.links(text);
            assert_eq!(links.first().copied(), expected, "{text}");
            assert!(links.len() < 2, "{text}");
        }
    }

    #[test]
    fn u12_a_url_is_found_wherever_it_stands() {
        let base = PublicUrl::parse("https://a.example").unwrap();
        for text in [
            "Join us: https://a.example/c/K, see you!",
            "<https://a.example/c/K>",
            "[Biology](https://a.example/c/K)",
            "*https://a.example/c/K*",
            "“https://a.example/c/K”",
            "<a href=\"https://a.example/c/K\">here</a>",
            "班级https://a.example/c/K。",
            "Go to a.example/c/K.",
            "https://urldefense.com/v3/__https://a.example/c/K__;!!Abc$",
            "https://urldefense.com/v3/__https:/a.example/c/K__;!!Abc$",
        ] {
            assert_eq!(base.links(text), [("c", "K")], "{text}");
        }
    }

    #[test]
    fn u12_a_link_is_unwrapped_once() {
        let base = PublicUrl::parse("https://my-a.example").unwrap();
        for (text, is_read) in [
            (
                "https://urldefense.proofpoint.com/v2/url?u=https-3A__my-2Da.example_t_b-2Dc&d=DwMFaQ&c=x",
                true,
            ),
            (
                "https://x.protection.sophos.com/?d=a.example&u=aHR0cHM6Ly9teS1hLmV4YW1wbGUvdC9iLWM=&p=m",
                true,
            ),
            (
                "https://a.example/?u=https%253A%252F%252Fmy-a.example%252Ft%252Fb-c",
                false,
            ),
            (
                "https://a.example/?u=https%3A%2F%2Fb.example%2F%3Fu%3Dhttps%253A%252F%252Fmy-a.example%252Ft%252Fb-c",
                false,
            ),
            ("https%3A%2F%2Fmy-a.example%2Ft%2Fb-c", false),
        ] {
            let lines = unwrapped(text);
            assert_eq!(
                base.links(&lines).contains(&("t", "b-c")),
                is_read,
                "{text}"
            );
            assert!(!text.contains("://") || is_wrapped(text), "{text}");
        }
        assert!(!is_wrapped("https://school.example/t/b-c"));
    }
}
