//! Values as rows keep them, read back: what does not parse is a defect, never a guess.

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

/// A column's value.
pub(super) fn get<'row, T>(row: &'row Row, column: &'static str) -> Result<T>
where
    T: Decode<'row, Db> + Type<Db>,
    &'static str: ColumnIndex<Row>,
{
    Ok(row.try_get(column)?)
}

/// Values by the names of their columns: a row of a result, or a [`Fact`].
pub(super) trait Fields {
    /// A text; None where it is NULL.
    fn optional_text(&self, column: &'static str) -> Result<Option<&str>>;
    /// A number; None where it is NULL.
    fn optional_number(&self, column: &'static str) -> Result<Option<i64>>;

    /// A text that must be there.
    fn text(&self, column: &'static str) -> Result<&str> {
        self.optional_text(column)?.ok_or_else(|| corrupt(column))
    }

    /// A number that must be there.
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

/// Reads the fact in a column; None where it is NULL.
pub(super) fn fact(row: &Row, column: &'static str) -> Result<Option<Fact>> {
    row.optional_text(column)?
        .map(|text| serde_json::from_str(text).map_err(|_| corrupt(column)))
        .transpose()
}

fn corrupt(column: &'static str) -> Error {
    Error::corrupt(format!("a stored {column} does not parse"))
}

/// A column's value, by a function that knows its names.
pub(super) fn parse<T>(
    row: &impl Fields,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T> {
    parse(row.text(column)?).ok_or_else(|| corrupt(column))
}

/// A column's value, None where the column is NULL.
pub(super) fn parse_optional<T>(
    row: &impl Fields,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>> {
    row.optional_text(column)?
        .map(|text| parse(text).ok_or_else(|| corrupt(column)))
        .transpose()
}

/// The organization's id.
pub(super) fn organization_id(row: &impl Fields) -> Result<OrganizationId> {
    parse(row, "organization_id", |text| {
        OrganizationId::parse(text).ok()
    })
}

/// The class's name.
pub(super) fn class_name(row: &impl Fields) -> Result<ClassName> {
    Ok(ClassName {
        organization: organization_id(row)?,
        class: parse(row, "class_id", |text| ClassId::parse(text).ok())?,
    })
}

/// The class, or the organization where `class_id` is empty.
pub(super) fn place(row: &impl Fields) -> Result<Place> {
    if row.text("class_id")?.is_empty() {
        Ok(Place::Organization(organization_id(row)?))
    } else {
        Ok(Place::Class(class_name(row)?))
    }
}

/// A user's id.
pub(super) fn user_id(row: &impl Fields, column: &'static str) -> Result<UserId> {
    parse(row, column, |text| UserId::parse(text).ok())
}

/// Labels, kept as a JSON object.
pub(super) fn labels(row: &Row) -> Result<BTreeMap<String, String>> {
    parse(row, "labels", |text| serde_json::from_str(text).ok())
}

/// Labels as a JSON object.
pub(super) fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::json!(labels).to_string()
}

/// The class's id as rows keep it: empty for the organization.
pub(super) fn class_text(place: &Place) -> &str {
    place.class().map_or("", ClassId::as_str)
}
