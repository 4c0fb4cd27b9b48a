//! Rows of either engine, read by serde: a struct by the names of the columns, a tuple by their order, and anything
//! else from the first column. Bytes are hexadecimal text.

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, IntoDeserializer as _, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;
use sqlx::{
    Column as _, Row as _, TypeInfo as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow,
};

use super::statement::Statement;
use crate::database::Error;

/// The values of a row, with the names of their columns.
pub(super) struct Row(Vec<(String, Value)>);

macro_rules! read_row {
    ($name:ident, $row:ty) => {
        /// Reads the values of a row.
        pub(super) fn $name(row: &$row) -> sqlx::Result<Self> {
            let values = row.columns().iter().map(|column| {
                let at = column.ordinal();
                let raw = row.try_get_raw(at)?;
                let value = if raw.is_null() {
                    Value::Null
                } else {
                    match raw.type_info().name() {
                        "INT8" | "INTEGER" => row.try_get::<i64, _>(at)?.into(),
                        "BOOL" | "BOOLEAN" => row.try_get::<bool, _>(at)?.into(),
                        "BYTEA" | "BLOB" => hex::encode(row.try_get::<&[u8], _>(at)?).into(),
                        _ => row.try_get::<String, _>(at)?.into(),
                    }
                };
                Ok((column.name().to_owned(), value))
            });
            Ok(Self(values.collect::<sqlx::Result<_>>()?))
        }
    };
}

impl Row {
    read_row!(of_postgres, PgRow);
    read_row!(of_sqlite, SqliteRow);

    /// Converts the row. The error does not contain a value.
    pub(super) fn read<T: DeserializeOwned>(self, statement: &Statement) -> Result<T, Error> {
        T::deserialize(self)
            .map_err(|_| Error::corrupt(format!("a row of {} does not parse", statement.name())))
    }

    fn first(self) -> Value {
        self.0
            .into_iter()
            .next()
            .map_or(Value::Null, |(_, value)| value)
    }
}

impl<'de> Deserializer<'de> for Row {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        self.first().deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        self.first().deserialize_option(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        self.first().deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        let values = self.0.into_iter();
        visitor.visit_seq(SeqDeserializer::new(
            values.map(|(_, value)| value.into_deserializer()),
        ))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple_struct enum identifier ignored_any
    }
}
