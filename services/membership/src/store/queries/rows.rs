//! Reads the values of rows; a value that does not parse is a defect and is never guessed.

use std::collections::BTreeMap;

use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::{ClassName, Place},
};
use homeroom_kit::database::Error;
use serde_json::Value;
use sqlx::{ColumnIndex, Decode, Row as _, Type};

use super::Db;
use crate::store::Result;

/// A row of this engine.
pub(super) type Row = super::Row;

/// Returns a column's value.
pub(super) fn get<'row, T>(row: &'row Row, column: &'static str) -> Result<T>
where
    T: Decode<'row, Db> + Type<Db>,
    &'static str: ColumnIndex<Row>,
{
    Ok(row.try_get(column)?)
}

/// A source of values by column name: a row of a result, or a [`Fact`].
pub(super) trait Fields {
    /// Returns a text; `None` if it is NULL.
    fn optional_text(&self, column: &'static str) -> Result<Option<&str>>;
    /// Returns a number; `None` if it is NULL.
    fn optional_number(&self, column: &'static str) -> Result<Option<i64>>;

    /// Returns a text that must not be NULL.
    fn text(&self, column: &'static str) -> Result<&str> {
        self.optional_text(column)?.ok_or_else(|| corrupt(column))
    }

    /// Returns a number that must not be NULL.
    fn number(&self, column: &'static str) -> Result<i64> {
        self.optional_number(column)?.ok_or_else(|| corrupt(column))
    }
}

impl Fields for Row {
    fn optional_text(&self, column: &'static str) -> Result<Option<&str>> {
        get(self, column)
    }

    fn optional_number(&self, column: &'static str) -> Result<Option<i64>> {
        get(self, column)
    }
}

/// A row that a statement returns as a JSON object in one column.
pub(super) type Fact = serde_json::Map<String, Value>;

impl Fields for Fact {
    fn optional_text(&self, column: &'static str) -> Result<Option<&str>> {
        match self.get(column) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(corrupt(column)),
        }
    }

    fn optional_number(&self, column: &'static str) -> Result<Option<i64>> {
        match self.get(column) {
            Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| corrupt(column)),
            None => Err(corrupt(column)),
        }
    }
}

/// Reads the fact in a column; `None` if it is NULL.
pub(super) fn fact(row: &Row, column: &'static str) -> Result<Option<Fact>> {
    row.optional_text(column)?
        .map(|text| serde_json::from_str(text).map_err(|_| corrupt(column)))
        .transpose()
}

fn corrupt(column: &'static str) -> Error {
    Error::corrupt(format!("a stored {column} does not parse"))
}

/// Parses a column's value with the given function.
pub(super) fn parse<T>(
    row: &impl Fields,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T> {
    parse(row.text(column)?).ok_or_else(|| corrupt(column))
}

/// Parses a column's value; `None` if it is NULL.
pub(super) fn parse_optional<T>(
    row: &impl Fields,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>> {
    row.optional_text(column)?
        .map(|text| parse(text).ok_or_else(|| corrupt(column)))
        .transpose()
}

/// Returns the organization's id.
pub(super) fn organization_id(row: &impl Fields) -> Result<OrganizationId> {
    parse(row, "organization_id", |text| {
        OrganizationId::parse(text).ok()
    })
}

/// Returns the class's name.
pub(super) fn class_name(row: &impl Fields) -> Result<ClassName> {
    Ok(ClassName {
        organization: organization_id(row)?,
        class: parse(row, "class_id", |text| ClassId::parse(text).ok())?,
    })
}

/// Returns the class, or the organization if `class_id` is empty.
pub(super) fn place(row: &impl Fields) -> Result<Place> {
    if row.text("class_id")?.is_empty() {
        Ok(Place::Organization(organization_id(row)?))
    } else {
        Ok(Place::Class(class_name(row)?))
    }
}

/// Returns a user's id.
pub(super) fn user_id(row: &impl Fields, column: &'static str) -> Result<UserId> {
    parse(row, column, |text| UserId::parse(text).ok())
}

/// Returns labels, which are stored as a JSON object.
pub(super) fn labels(row: &Row) -> Result<BTreeMap<String, String>> {
    parse(row, "labels", |text| serde_json::from_str(text).ok())
}

/// Returns labels as a JSON object.
pub(super) fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::json!(labels).to_string()
}

/// Returns the class's id in its stored form: empty for the organization.
pub(super) fn class_text(place: &Place) -> &str {
    place.class().map_or("", ClassId::as_str)
}
