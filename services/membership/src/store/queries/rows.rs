//! Values as rows keep them, read back: what does not parse is a defect, never a guess.

use std::collections::BTreeMap;

use homeroom_api::{
    ids::{ClassId, OrganizationId, UserId},
    names::{ClassName, Place},
};
use homeroom_kit::database::Error;
use sqlx::{ColumnIndex, Database, Decode, Row as _, Type};

use super::Db;
use crate::store::Result;

/// A row of this engine.
pub(super) type Row = <Db as Database>::Row;

/// A column's value.
pub(super) fn get<'row, T>(row: &'row Row, column: &'static str) -> Result<T>
where
    T: Decode<'row, Db> + Type<Db>,
    &'static str: ColumnIndex<Row>,
{
    Ok(row.try_get(column)?)
}

fn corrupt(column: &'static str) -> Error {
    Error::corrupt(format!("a stored {column} does not parse"))
}

/// A column's value, by a function that knows its names.
pub(super) fn parse<T>(
    row: &Row,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T> {
    parse(get::<&str>(row, column)?).ok_or_else(|| corrupt(column))
}

/// A column's value, None where the column is NULL.
pub(super) fn parse_optional<T>(
    row: &Row,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>> {
    get::<Option<&str>>(row, column)?
        .map(|text| parse(text).ok_or_else(|| corrupt(column)))
        .transpose()
}

/// The organization's id.
pub(super) fn organization_id(row: &Row) -> Result<OrganizationId> {
    parse(row, "organization_id", |text| {
        OrganizationId::parse(text).ok()
    })
}

/// The class's name.
pub(super) fn class_name(row: &Row) -> Result<ClassName> {
    Ok(ClassName {
        organization: organization_id(row)?,
        class: parse(row, "class_id", |text| ClassId::parse(text).ok())?,
    })
}

/// The class, or the organization where `class_id` is empty.
pub(super) fn place(row: &Row) -> Result<Place> {
    if get::<&str>(row, "class_id")?.is_empty() {
        Ok(Place::Organization(organization_id(row)?))
    } else {
        Ok(Place::Class(class_name(row)?))
    }
}

/// A user's id.
pub(super) fn user_id(row: &Row, column: &'static str) -> Result<UserId> {
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
