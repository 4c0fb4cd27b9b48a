//! The addresses that this service hands out, all under one configured base,
//! and the reading of those that people paste back (R1).

use homeroom_kit::secret::SecretText;
use url::Url;

use super::phrase::Phrase;

/// The configured base is no public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an http or https address such as https://join.school.example, without user, query or fragment"
)]
pub struct PublicUrlMalformed;

/// The base of every URL handed out: scheme, host, port, and a path if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: String,
    /// The host in small ASCII letters, and the port where it is not the scheme's.
    authority: String,
    /// Empty, or `/path` without a slash at its end.
    path: String,
}

/// What a text is, seen from the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pasted<'a> {
    /// Not a URL.
    Text,
    /// A URL elsewhere, or none of this service's.
    Foreign,
    /// One of this service's: the letter that says the kind, and the key.
    Ours(&'a str, &'a str),
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

    /// A class's join URL (C1), which is public.
    #[must_use]
    pub fn join_url(&self, key: &SecretText) -> String {
        self.at(Path::JoinUrl, key.expose())
    }

    /// The link that carries a class code (C1).
    #[must_use]
    pub fn join_link(&self, code: &SecretText) -> SecretText {
        self.at(Path::ClassCode, code.expose()).into()
    }

    /// The Invite URL of an organization's token (A2).
    #[must_use]
    pub fn organization_invite_url(&self, token: &SecretText) -> SecretText {
        self.at(Path::OrganizationToken, token.expose()).into()
    }

    /// The Invite URL of a class token (A11).
    #[must_use]
    pub fn class_invite_url(&self, phrase: &Phrase) -> SecretText {
        self.at(Path::ClassToken, phrase.canonical().expose())
            .into()
    }

    fn at(&self, path: Path, key: &str) -> String {
        format!(
            "{}://{}{}/{}/{key}",
            self.scheme,
            self.authority,
            self.path,
            path.letter()
        )
    }

    /// What `text` is. Either scheme, or none; query and fragment, which mailers
    /// add, and one slash at the end make no difference.
    pub(super) fn pasted<'a>(&self, text: &'a str) -> Pasted<'a> {
        let after_scheme = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| strip_prefix_ignoring_case(text, scheme));
        let ours = strip_prefix_ignoring_case(after_scheme.unwrap_or(text), &self.authority)
            .filter(|rest| rest.starts_with('/'));
        let Some(rest) = ours else {
            // A slash belongs to no typed credential.
            return if after_scheme.is_some() || text.contains('/') {
                Pasted::Foreign
            } else {
                Pasted::Text
            };
        };
        rest.strip_prefix(self.path.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|rest| rest.split(['?', '#']).next())
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
            .and_then(|rest| rest.split_once('/'))
            .map_or(Pasted::Foreign, |(letter, key)| Pasted::Ours(letter, key))
    }
}

/// The path segment that says which way in a URL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    JoinUrl,
    ClassCode,
    OrganizationToken,
    ClassToken,
}

homeroom_kit::named! {
    Path, letter, from_letter:
    JoinUrl = "j",
    ClassCode = "c",
    OrganizationToken = "i",
    ClassToken = "t",
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
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
            assert_eq!(PublicUrl::parse(base).unwrap().join_url(&key), expected);
        }
        let base = PublicUrl::parse("https://a.example").unwrap();
        let phrase = Phrase::parse("abacus zebra").unwrap();
        assert_eq!(
            base.class_invite_url(&phrase).expose(),
            "https://a.example/t/abacus-zebra"
        );
        assert_eq!(base.join_link(&key).expose(), "https://a.example/c/K");
        assert_eq!(
            base.organization_invite_url(&key).expose(),
            "https://a.example/i/K"
        );
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
            ("https://a.example:8443/x/c/K", Pasted::Ours("c", "K")),
            (
                "HTTP://A.Example:8443/x/c/K/?utm=1#top",
                Pasted::Ours("c", "K"),
            ),
            ("a.example:8443/x/t/b-c", Pasted::Ours("t", "b-c")),
            ("https://a.example:8443/x/c/K/L", Pasted::Ours("c", "K/L")),
            ("https://a.example/x/c/K", Pasted::Foreign),
            ("https://a.example:84430/x/c/K", Pasted::Foreign),
            ("https://a.example:8443.evil.com/x/c/K", Pasted::Foreign),
            ("https://u@a.example:8443/x/c/K", Pasted::Foreign),
            ("https://evil.com/a.example:8443/x/c/K", Pasted::Foreign),
            ("https://a.example:8443/c/K", Pasted::Foreign),
            ("https://a.example:8443/xx/c/K", Pasted::Foreign),
            ("https://a.example:8443", Pasted::Foreign),
            ("javascript://a.example:8443/x/c/K", Pasted::Foreign),
            ("abacus zebra", Pasted::Text),
            ("a.example:8443", Pasted::Text),
            ("", Pasted::Text),
        ] {
            assert_eq!(base.pasted(text), expected, "{text}");
        }
    }
}
