//! Configuration, read through a trait and checked as a whole: all mistakes are reported together, before anything is
//! bound.

use std::{collections::BTreeMap, env, fmt, path::Path, str::FromStr};

use crate::{key_files, secret::SecretText};

/// A source of settings.
pub trait Source {
    /// Returns the setting's text; None if it is not set or empty.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Source for Environment {
    fn get(&self, name: &str) -> Option<String> {
        env::var_os(name)
            .map(|text| text.to_string_lossy().into_owned())
            .filter(|text| !text.is_empty())
    }
}

/// Flags of the command line, each named after its setting (`DATABASE_URL` is `--database-url`), which take precedence
/// over the environment.
#[derive(Clone, Default)]
pub struct Flags(BTreeMap<String, String>);

impl fmt::Debug for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Flags {
    /// Creates the source from the given flags, by the names of their settings.
    #[must_use]
    pub fn new<'a>(given: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let given = given.into_iter();
        Self(given.map(|(name, text)| (name.to_owned(), text)).collect())
    }

    fn get_over(&self, environment: &dyn Source, name: &str) -> Option<String> {
        if let Some(text) = self.0.get(name) {
            return Some(text.clone());
        }
        // A flag takes precedence over the file that the environment names for the same setting.
        let by_flag = name
            .strip_suffix("_FILE")
            .is_some_and(|setting| self.0.contains_key(setting));
        if by_flag { None } else { environment.get(name) }
    }
}

impl Source for Flags {
    fn get(&self, name: &str) -> Option<String> {
        self.get_over(&Environment, name)
    }
}

/// Returns the flag of a setting: `DATABASE_URL` is `--database-url`.
#[must_use]
pub fn flag_of(name: &str) -> String {
    format!("--{}", name.to_ascii_lowercase().replace('_', "-"))
}

impl<const N: usize> Source for [(&str, &str); N] {
    fn get(&self, name: &str) -> Option<String> {
        self.iter()
            .find(|(key, text)| *key == name && !text.is_empty())
            .map(|(_, text)| (*text).to_owned())
    }
}

/// All mistakes in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is not usable:")?;
        for error in &self.0 {
            write!(formatter, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads settings and collects their mistakes.
pub struct Reader<'source> {
    source: &'source dyn Source,
    errors: Vec<String>,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Reader")
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

impl<'source> Reader<'source> {
    /// Creates a reader of a source.
    #[must_use]
    pub fn new(source: &'source dyn Source) -> Self {
        Self {
            source,
            errors: Vec::new(),
        }
    }

    /// Reads a required setting. The parser's error completes the sentence "NAME …" and says what to set.
    pub fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.optional(name, parse);
        if value.is_none() && self.source.get(name).is_none() {
            self.error(
                name,
                format_args!("is required but not set: set it, or give {}", flag_of(name)),
            );
        }
        value
    }

    /// Reads an optional setting.
    pub fn optional<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.source.get(name)?;
        parse(&text).map_err(|error| self.error(name, error)).ok()
    }

    /// Returns true if a setting is present.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.source.get(name).is_some()
    }

    /// Reads a setting with a default.
    pub fn or_default<T, E: fmt::Display>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        self.optional(name, parse).unwrap_or(default)
    }

    /// Reads a required setting that holds a secret, such as a URL with a password: from NAME itself, or from the file
    /// that `NAME_FILE` names.
    pub fn required_from_secret<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let file_name = format!("{name}_FILE");
        let secret: SecretText = match (self.source.get(name), self.source.get(&file_name)) {
            (Some(_), Some(_)) => {
                self.error(name, format_args!("and {file_name} are both set: set one"));
                return None;
            }
            (Some(text), None) => text.into(),
            (None, Some(path)) => match key_files::read_text(Path::new(&path)) {
                Ok(text) => SecretText::new(text.trim_end_matches(['\r', '\n'])),
                Err(error) => {
                    self.error(
                        &file_name,
                        format_args!("names {path}, which cannot be read: {error}"),
                    );
                    return None;
                }
            },
            (None, None) => {
                self.error(
                    name,
                    format_args!(
                        "is required but not set: set it, or give {}, or set {file_name} to a file that holds it",
                        flag_of(name)
                    ),
                );
                return None;
            }
        };
        let parsed = parse(secret.expose());
        parsed.map_err(|error| self.error(name, error)).ok()
    }

    /// Records a mistake in the combination of settings.
    pub fn error(&mut self, name: &str, what: impl fmt::Display) {
        self.mistake(format!("{name} {what}"));
    }

    /// Records a mistake that names its setting itself.
    pub(crate) fn mistake(&mut self, mistake: String) {
        self.errors.push(mistake);
    }

    /// Fails with all mistakes, if there are any.
    pub fn finish(self) -> Result<(), ConfigErrors> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(self.errors))
        }
    }

    /// Fails with all mistakes, else returns the value that was read, which exists if there are none.
    pub fn finish_with<T>(self, read: Option<T>) -> Result<T, ConfigErrors> {
        self.finish()?;
        read.ok_or_else(|| ConfigErrors(vec!["a required setting is missing".to_owned()]))
    }
}

/// Returns a parser based on `FromStr`, whose error says what was expected.
pub fn parse_as<T: FromStr>(expected: &'static str) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        text.trim()
            .parse()
            .map_err(|_| format!("must be {expected}"))
    }
}

/// Parses a text that must not be blank.
pub fn parse_text(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("must not be blank")
    } else {
        Ok(text.to_owned())
    }
}

/// Parses `true` and `false`.
pub fn parse_flag(text: &str) -> Result<bool, &'static str> {
    match text.trim() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be `true` or `false`"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_mistake_is_named_at_once() {
        let source = [("PORT", "seventy"), ("EMPTY", ""), ("FLAG", "maybe")];
        let mut reader = Reader::new(&source);
        assert_eq!(
            reader.required("PORT", parse_as::<u16>("a port number")),
            None
        );
        assert_eq!(reader.required("EMPTY", parse_flag), None);
        assert!(reader.or_default("FLAG", true, parse_flag));
        assert!(reader.required_from_secret("KEY", parse_text).is_none());
        let errors = reader.finish().unwrap_err();
        assert_eq!(
            errors.0,
            [
                "PORT must be a port number",
                "EMPTY is required but not set: set it, or give --empty",
                "FLAG must be `true` or `false`",
                "KEY is required but not set: set it, or give --key, or set KEY_FILE to a file that holds it",
            ]
        );
        assert!(errors.to_string().contains("\n  PORT must be"));
    }

    #[test]
    fn what_is_right_is_read() {
        let source = [("PORT", "70")];
        let mut reader = Reader::new(&source);
        let port = reader.required("PORT", parse_as::<u16>("a port number"));
        assert_eq!(port, Some(70));
        assert!(reader.optional("FLAG", parse_flag).is_none());
        assert!(reader.finish().is_ok());
    }

    #[test]
    fn flags_go_before_the_environment_and_its_files() {
        let environment = [("PORT", "70"), ("KEY_FILE", "/a/key"), ("OTHER_FILE", "/b")];
        let flags = Flags::new([("PORT", "71".to_owned()), ("KEY", "secret".to_owned())]);
        let get = |name: &str| flags.get_over(&environment, name);
        assert_eq!(get("PORT").as_deref(), Some("71"));
        assert_eq!(get("KEY").as_deref(), Some("secret"));
        assert_eq!(get("KEY_FILE"), None);
        assert_eq!(get("OTHER_FILE").as_deref(), Some("/b"));
        assert_eq!(get("ABSENT"), None);
        assert!(!format!("{flags:?}").contains("secret"));
        assert_eq!(flag_of("DATABASE_URL"), "--database-url");
    }

    #[test]
    fn a_secret_may_stand_in_a_file_but_not_in_two_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret\n").unwrap();
        let path = path.to_str().unwrap();
        let one = [("KEY_FILE", path)];
        let mut reader = Reader::new(&one);
        let read = reader.required_from_secret("KEY", parse_text);
        assert_eq!(read.as_deref(), Some("secret"));
        assert!(reader.finish().is_ok());
        let both = [("KEY_FILE", path), ("KEY", "other")];
        let mut reader = Reader::new(&both);
        assert!(reader.required_from_secret("KEY", parse_text).is_none());
        let absent = [("KEY_FILE", "/nowhere/key")];
        let mut other = Reader::new(&absent);
        assert!(other.required_from_secret("KEY", parse_text).is_none());
        assert_eq!(reader.finish().unwrap_err().0.len(), 1);
        let errors = other.finish().unwrap_err().0;
        assert!(errors.concat().starts_with("KEY_FILE names /nowhere/key"));
        assert_eq!(errors.len(), 1);
    }
}
