//! Filters of lists: the part of AIP-160 that these lists accept, conditions joined by `AND`.

use std::fmt;

use chrono::{DateTime, SubsecRound as _, Utc};
use homeroom_api::common::v1::ErrorReason;

use crate::{
    person,
    status::{Error, Result},
};

/// The most characters of a filter.
pub const FILTER_CHARS_MAX: usize = 1_000;
/// The most conditions in a filter.
pub const CONDITIONS_MAX: usize = 10;

/// The type of a field, which determines its comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text: `=` and `!=`.
    Text,
    /// One of these names: `=` and `!=`.
    Enum(&'static [&'static str]),
    /// A time in RFC 3339: every operator.
    Time,
    /// `true` or `false`: `=` and `!=`.
    Bool,
}

crate::named! {
    /// A comparison operator, as filters and SQL write it.
    pub enum Operator: as_str, from_symbol {
        /// `=`
        Equal = "=",
        /// `!=`
        NotEqual = "!=",
        /// `<`
        Less = "<",
        /// `<=`
        LessOrEqual = "<=",
        /// `>`
        Greater = ">",
        /// `>=`
        GreaterOrEqual = ">=",
    }
}

/// A value with which a field is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, or the name of an enum's value.
    Text(String),
    /// A time, to the microsecond.
    Time(DateTime<Utc>),
    /// True or false.
    Bool(bool),
}

impl Value {
    /// Returns the text; empty for other kinds, which a field of kind text never has.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field's name.
    pub field: String,
    /// The operator.
    pub operator: Operator,
    /// The value.
    pub value: Value,
}

/// Conditions that must all hold; none for an empty filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter(pub Vec<Condition>);

impl Filter {
    /// Parses a filter over the given fields. Fails with `INVALID_FILTER` if it is malformed.
    pub fn parse(text: &str, fields: &[(&str, FieldKind)]) -> Result<Self> {
        parse(text, fields).map_err(invalid_filter)
    }

    /// Returns the value that a field must equal, in a list that compares it only by `=`, and only
    /// once.
    pub fn equal(&self, field: &str) -> Result<Option<&Value>> {
        let mut value = None;
        for condition in self.0.iter().filter(|found| found.field == field) {
            if condition.operator != Operator::Equal {
                return Err(invalid_filter(format!("{field} is compared with = only")));
            }
            if value.replace(&condition.value).is_some() {
                return Err(invalid_filter(format!("{field} is named twice")));
            }
        }
        Ok(value)
    }

    /// Returns the earliest time of a field, in a list that compares it only by `>=`, and only once.
    pub fn not_before(&self, field: &str) -> Result<Option<DateTime<Utc>>> {
        let mut conditions = self.0.iter().filter(|found| found.field == field);
        let Some(condition) = conditions.next() else {
            return Ok(None);
        };
        if conditions.next().is_some() {
            return Err(invalid_filter(format!("{field} is named twice")));
        }
        match (condition.operator, &condition.value) {
            (Operator::GreaterOrEqual, Value::Time(time)) => Ok(Some(*time)),
            _ => Err(invalid_filter(format!("{field} is compared with >= only"))),
        }
    }

    /// Returns the same as [`Filter::equal`] for a field of kind enum or text, as the named value.
    pub fn equal_name<T>(
        &self,
        field: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        Ok(self.equal(field)?.and_then(|value| read(value.text())))
    }

    /// Returns the same for a text, which must parse.
    pub fn equal_as<T, E: fmt::Display>(
        &self,
        field: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        let value = self.equal(field)?;
        let parsed = value.map(|value| parse(value.text())).transpose();
        parsed.map_err(invalid_filter)
    }

    /// Returns the same for an address, in canonical form.
    pub fn equal_email(&self, field: &str) -> Result<Option<String>> {
        self.equal_as(field, |text| match person::email(text) {
            Ok(Some(address)) => Ok(address.canonical()),
            _ => Err(format!("{field} is not an email address")),
        })
    }

    /// Returns the same for an external id, in its stored form.
    pub fn equal_external_id(&self, field: &str) -> Result<Option<String>> {
        self.equal_as(field, |text| match person::external_id(text) {
            Ok(id) if !id.is_empty() => Ok(id),
            _ => Err(format!("{field} is not an external id")),
        })
    }
}

/// Returns `INVALID_FILTER`; `wrong` describes the error.
#[must_use]
pub fn invalid_filter(wrong: impl fmt::Display) -> Error {
    Error::new(
        ErrorReason::InvalidFilter,
        format!("Correct the field filter: {wrong}."),
    )
    .violation("filter", wrong.to_string())
}

fn wrong<T>(what: impl Into<String>) -> std::result::Result<T, String> {
    Err(what.into())
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Operator(Operator),
}

fn parse(text: &str, fields: &[(&str, FieldKind)]) -> std::result::Result<Filter, String> {
    if text.chars().count() > FILTER_CHARS_MAX {
        return wrong(format!("it is longer than {FILTER_CHARS_MAX} characters"));
    }
    let mut tokens = tokens(text)?.into_iter().peekable();
    let mut conditions = Vec::new();
    while tokens.peek().is_some() {
        if !conditions.is_empty() && tokens.next() != Some(Token::Word("AND".to_owned())) {
            return wrong("conditions are joined by AND");
        }
        if conditions.len() == CONDITIONS_MAX {
            return wrong(format!("it has more than {CONDITIONS_MAX} conditions"));
        }
        let Some(Token::Word(field)) = tokens.next() else {
            return wrong("a condition begins with a field");
        };
        let Some((_, kind)) = fields.iter().find(|(name, _)| *name == field) else {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            return wrong(format!("this list filters by {}", names.join(", ")));
        };
        let Some(Token::Operator(operator)) = tokens.next() else {
            return wrong(format!("{field} is followed by one of = != < <= > >="));
        };
        let Some(Token::Word(value) | Token::Quoted(value)) = tokens.next() else {
            return wrong(format!("{field} is compared with a value"));
        };
        let value = read(&field, *kind, operator, value)?;
        conditions.push(Condition {
            field,
            operator,
            value,
        });
    }
    Ok(Filter(conditions))
}

fn read(
    field: &str,
    kind: FieldKind,
    operator: Operator,
    value: String,
) -> std::result::Result<Value, String> {
    let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    if kind != FieldKind::Time && !is_equality {
        return wrong(format!("{field} is compared by = or !="));
    }
    match kind {
        FieldKind::Text => Ok(Value::Text(value)),
        FieldKind::Enum(names) if names.contains(&value.as_str()) => Ok(Value::Text(value)),
        FieldKind::Enum(names) => wrong(format!("{field} is one of {}", names.join(", "))),
        FieldKind::Time => DateTime::parse_from_rfc3339(&value)
            .map(|time| Value::Time(time.to_utc().trunc_subsecs(6)))
            .or_else(|_| wrong(format!("{field} is a time like \"2026-09-01T00:00:00Z\""))),
        FieldKind::Bool => value
            .parse()
            .map(Value::Bool)
            .or_else(|_| wrong(format!("{field} is true or false"))),
    }
}

fn tokens(text: &str) -> std::result::Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&first) = rest.peek() {
        match first {
            space if space.is_whitespace() => {
                rest.next();
            }
            '"' => {
                rest.next();
                tokens.push(Token::Quoted(quoted(&mut rest)?));
            }
            '=' | '!' | '<' | '>' => {
                rest.next();
                let mut symbol = String::from(first);
                symbol.extend(rest.next_if_eq(&'='));
                let Some(operator) = Operator::from_symbol(&symbol) else {
                    return wrong("it has an operator other than = != < <= > >=");
                };
                tokens.push(Token::Operator(operator));
            }
            _ => {
                let mut word = String::new();
                while let Some(character) = rest.next_if(|c| is_bare(*c)) {
                    word.push(character);
                }
                if word.is_empty() {
                    return wrong(format!("put values with {first} in double quotes"));
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-.:/@+|".contains(character)
}

fn quoted(rest: &mut impl Iterator<Item = char>) -> std::result::Result<String, String> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('"') => return Ok(text),
            Some('\\') => match rest.next() {
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                _ => return wrong("a backslash escapes a double quote or a backslash"),
            },
            Some(character) => text.push(character),
            None => return wrong("a double quote is not closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[(&str, FieldKind)] = &[
        ("user", FieldKind::Text),
        ("state", FieldKind::Enum(&["ACTIVE", "REVOKED"])),
        ("create_time", FieldKind::Time),
        ("enabled", FieldKind::Bool),
    ];

    #[test]
    fn conditions_are_joined_by_and() {
        let filter = Filter::parse(
            r#"state = ACTIVE AND user != "users/a \"b\" \\" AND create_time>="2026-09-01T00:00:00Z" AND enabled=true"#,
            FIELDS,
        )
        .unwrap();
        let written: Vec<(&str, &str)> = filter
            .0
            .iter()
            .map(|found| (found.field.as_str(), found.operator.as_str()))
            .collect();
        assert_eq!(
            written,
            [
                ("state", "="),
                ("user", "!="),
                ("create_time", ">="),
                ("enabled", "=")
            ]
        );
        assert_eq!(filter.0[1].value.text(), r#"users/a "b" \"#);
        let time = DateTime::from_timestamp(1_788_220_800, 0).unwrap();
        assert_eq!(filter.0[2].value, Value::Time(time));
        assert!(Filter::parse("  ", FIELDS).unwrap().0.is_empty());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "state",
            "state =",
            "= ACTIVE",
            "state = ACTIVE user = a",
            "state = ACTIVE AND",
            "state = ACTIVE OR user = a",
            "state = GONE",
            "state < ACTIVE",
            "unknown = 1",
            "create_time > yesterday",
            "enabled = maybe",
            "user ! a",
            "user == a",
            "user = \"open",
            "user = \"\\n\"",
            "user = (a)",
            "user = 'a'; DROP TABLE users",
        ] {
            let error = Filter::parse(text, FIELDS).unwrap_err();
            assert_eq!(error.reason(), ErrorReason::InvalidFilter, "{text}");
        }
    }

    #[test]
    fn what_a_field_must_equal_is_named_once() {
        let filter = |text| Filter::parse(text, FIELDS).unwrap();
        let number = |text| filter(text).equal_as("user", str::parse::<u32>);
        assert_eq!(number("state = ACTIVE").unwrap(), None);
        assert_eq!(number("user = 7 AND enabled = true").unwrap(), Some(7));
        for text in ["user = a", "user != 7", "user = 7 AND user = 7"] {
            let refused = number(text).unwrap_err();
            assert_eq!(refused.reason(), ErrorReason::InvalidFilter, "{text}");
        }
        let enabled = filter("enabled = true");
        assert_eq!(enabled.equal("enabled").unwrap(), Some(&Value::Bool(true)));
    }

    #[test]
    fn a_time_is_compared_from_below_and_named_once() {
        let filter = |text| Filter::parse(text, FIELDS).unwrap();
        let from = |text| filter(text).not_before("create_time");
        let time = DateTime::from_timestamp(1_788_220_800, 0).unwrap();
        assert_eq!(from("enabled = true").unwrap(), None);
        let found = from("create_time >= 2026-09-01T00:00:00Z");
        assert_eq!(found.unwrap(), Some(time));
        for text in [
            "create_time > 2026-09-01T00:00:00Z",
            "create_time = 2026-09-01T00:00:00Z",
            "create_time <= 2026-09-01T00:00:00Z",
            "create_time >= 2026-09-01T00:00:00Z AND create_time >= 2026-09-02T00:00:00Z",
        ] {
            let refused = from(text).unwrap_err();
            assert_eq!(refused.reason(), ErrorReason::InvalidFilter, "{text}");
        }
    }

    #[test]
    fn length_and_number_of_conditions_are_bounded() {
        let of_length = |length: usize| format!("user={}", "a".repeat(length - 5));
        assert!(Filter::parse(&of_length(FILTER_CHARS_MAX), FIELDS).is_ok());
        assert!(Filter::parse(&of_length(FILTER_CHARS_MAX + 1), FIELDS).is_err());
        let of_conditions = |count: usize| vec!["user=a"; count].join(" AND ");
        assert!(Filter::parse(&of_conditions(CONDITIONS_MAX), FIELDS).is_ok());
        assert!(Filter::parse(&of_conditions(CONDITIONS_MAX + 1), FIELDS).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            let _either = Filter::parse(&text, FIELDS);
        }

        #[test]
        fn any_quoted_text_is_read_as_it_was_meant(text in ".{0,80}") {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            let filter = Filter::parse(&format!("user = \"{escaped}\""), FIELDS).unwrap();
            proptest::prop_assert_eq!(filter.0[0].value.text(), text);
        }
    }
}
