//! Configuration, read from the environment and the command line and checked as a whole: all mistakes are reported
//! together, before anything is bound.

use std::{collections::BTreeMap, env, ffi::OsString, fmt, path::Path, str::FromStr};

use crate::{key_files, secret::SecretText};

/// Returns the flag of a setting: `DATABASE_URL` is `--database-url`.
#[must_use]
pub fn flag_of(name: &str) -> String {
    format!("--{}", name.to_ascii_lowercase().replace('_', "-"))
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
pub struct Reader {
    given: BTreeMap<String, SecretText>,
    errors: Vec<String>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.given.keys();
        formatter.debug_set().entries(names).finish()
    }
}

impl Reader {
    /// Creates a reader of these settings. An empty one counts as not set.
    #[must_use]
    pub fn new(given: &[(&str, &str)]) -> Self {
        let given = given.iter();
        Self::over(given.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
    }

    /// Creates a reader of the process's environment.
    #[must_use]
    pub fn of_environment() -> Self {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Self::over(env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    fn over(given: impl Iterator<Item = (String, String)>) -> Self {
        let given = given.filter(|(_, text)| !text.is_empty());
        Self {
            given: given.map(|(name, text)| (name, text.into())).collect(),
            errors: Vec::new(),
        }
    }

    /// Sets a flag of the command line, which takes precedence over the environment, also over the file that the
    /// environment names for the same setting.
    pub fn set(&mut self, name: &str, text: String) {
        self.given.remove(&format!("{name}_FILE"));
        self.given.insert(name.to_owned(), text.into());
    }

    fn get(&self, name: &str) -> Option<SecretText> {
        self.given.get(name).cloned()
    }

    /// Reads a required setting. The parser's error completes the sentence "NAME …" and says what to set.
    pub fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.optional(name, parse);
        if value.is_none() && !self.is_set(name) {
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
        let text = self.get(name)?;
        parse(text.expose())
            .map_err(|error| self.error(name, error))
            .ok()
    }

    /// Returns true if a setting is present.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.given.contains_key(name)
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
        let secret = match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => {
                self.error(name, format_args!("and {file_name} are both set: set one"));
                return None;
            }
            (Some(text), None) => text,
            (None, Some(path)) => match key_files::read_text(Path::new(path.expose())) {
                Ok(text) => SecretText::new(text.trim_end_matches(['\r', '\n'])),
                Err(error) => {
                    self.error(
                        &file_name,
                        format_args!("names {}, which cannot be read: {error}", path.expose()),
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
        self.errors.push(format!("{name} {what}"));
    }

    /// Records mistakes that name their settings themselves.
    pub(crate) fn mistakes(&mut self, mistakes: Vec<String>) {
        self.errors.extend(mistakes);
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
        let mut reader =
            Reader::new(&[("PORT", "70"), ("KEY_FILE", "/a/key"), ("OTHER_FILE", "/b")]);
        reader.set("PORT", "71".to_owned());
        reader.set("KEY", "secret".to_owned());
        assert_eq!(reader.optional("PORT", parse_text).as_deref(), Some("71"));
        let key = reader.required_from_secret("KEY", parse_text);
        assert_eq!(key.as_deref(), Some("secret"));
        assert!(reader.is_set("OTHER_FILE") && !reader.is_set("KEY_FILE"));
        assert!(!format!("{reader:?}").contains("secret"));
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
