//! The forms of values in columns, for serde's attribute `with`. A value that does not parse is a defect and is never
//! guessed.

use homeroom_api::{
    common::v1::ErrorReason,
    ids::{ClassId, OrganizationId},
    names::Place,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use chrono::serde::{ts_microseconds as time, ts_microseconds_option as optional_time};

/// Returns the class's id in its stored form: empty for the organization.
#[must_use]
pub fn class_id(place: &Place) -> &str {
    place.class().map_or("", ClassId::as_str)
}

/// A value that is stored as its text.
pub mod text {
    use std::{fmt::Display, str::FromStr};

    use super::*;

    /// Writes the text.
    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    /// Parses the text.
    pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom("does not parse"))
    }
}

/// A value that is stored as its text, or as an empty text.
pub mod optional_text {
    use std::{fmt::Display, str::FromStr};

    use super::*;

    /// Writes the text.
    pub fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_str(""),
        }
    }

    /// Parses the text.
    pub fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        let parse = |text: &str| text.parse().map_err(|_| D::Error::custom("does not parse"));
        (!text.is_empty()).then(|| parse(&text)).transpose()
    }
}

/// A value that is stored as JSON text.
pub mod json {
    use serde::de::DeserializeOwned;

    use super::*;

    /// Writes the JSON.
    pub fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&serde_json::json!(value))
    }

    /// Parses the JSON.
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        serde_json::from_str(&text).map_err(|_| D::Error::custom("does not parse"))
    }
}

/// A value that is stored as JSON text, or as NULL.
pub mod optional_json {
    use serde::de::DeserializeOwned;

    use super::*;

    /// Parses the JSON.
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let parse = |text: String| serde_json::from_str(&text);
        text.map(parse)
            .transpose()
            .map_err(|_| D::Error::custom("does not parse"))
    }
}

/// True or false, which SQLite stores as a number.
pub mod flag {
    use serde_json::Value;

    use super::*;

    /// Writes the flag.
    pub fn serialize<S: Serializer>(flag: &bool, to: S) -> Result<S::Ok, S::Error> {
        flag.serialize(to)
    }

    /// Reads the flag.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        match Value::deserialize(from)? {
            Value::Bool(flag) => Ok(flag),
            Value::Number(number) => Ok(number.as_i64() != Some(0)),
            _ => Err(D::Error::custom("is not true or false")),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct PlaceColumns {
    organization_id: String,
    class_id: String,
}

/// An organization or class, in the columns `organization_id` and `class_id`, which is empty for an organization.
pub mod place {
    use super::*;

    /// Writes the columns.
    pub fn serialize<P: Clone + Into<Place>, S: Serializer>(
        place: &P,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let place: Place = place.clone().into();
        let columns = PlaceColumns {
            organization_id: place.organization().to_string(),
            class_id: class_id(&place).to_owned(),
        };
        columns.serialize(to)
    }

    /// Reads the columns.
    pub fn deserialize<'de, P: TryFrom<Place>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<P, D::Error> {
        let columns = PlaceColumns::deserialize(from)?;
        read(&columns)
            .and_then(|place| P::try_from(place).ok())
            .ok_or_else(|| D::Error::custom("a place does not parse"))
    }
}

/// An organization or class, in the columns `organization_id` and `class_id`; both are empty for none.
pub mod optional_place {
    use super::*;

    /// Writes the columns.
    pub fn serialize<S: Serializer>(place: &Option<Place>, to: S) -> Result<S::Ok, S::Error> {
        match place {
            Some(place) => super::place::serialize(place, to),
            None => PlaceColumns::default().serialize(to),
        }
    }

    /// Reads the columns.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Place>, D::Error> {
        let columns = PlaceColumns::deserialize(from)?;
        if columns.organization_id.is_empty() {
            return Ok(None);
        }
        let place = read(&columns).ok_or_else(|| D::Error::custom("a place does not parse"))?;
        Ok(Some(place))
    }
}

/// Bytes, or NULL; in JSON they are hexadecimal text.
pub mod optional_bytes {
    use super::*;

    /// Writes the text.
    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(hex::encode).serialize(to)
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let bytes = text.map(hex::decode).transpose();
        bytes.map_err(|_| D::Error::custom("is not hexadecimal"))
    }
}

/// Bytes; in JSON they are hexadecimal text.
pub mod bytes {
    use super::*;

    /// Writes the text.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        optional_bytes::deserialize(from)?.ok_or_else(|| D::Error::custom("is NULL"))
    }
}

/// A kind of invitation, stored as its tag.
pub mod kind {
    use homeroom_api::names::InvitationKind;

    use super::*;

    /// Writes the tag.
    pub fn serialize<S: Serializer>(kind: &InvitationKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.tag())
    }

    /// Reads the tag.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<InvitationKind, D::Error> {
        let tag = String::deserialize(from)?;
        InvitationKind::from_tag(&tag).ok_or_else(|| D::Error::custom("a kind is unknown"))
    }
}

/// The reason of a refusal, stored as its name in the contract.
pub mod reason {
    use super::*;

    /// Writes the name.
    pub fn serialize<S: Serializer>(reason: &ErrorReason, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(reason.as_str_name())
    }

    /// Reads the name.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ErrorReason, D::Error> {
        let name = String::deserialize(from)?;
        ErrorReason::from_str_name(&name).ok_or_else(|| D::Error::custom("a reason is unknown"))
    }
}

/// The reason of a refusal, or an empty text.
pub mod optional_reason {
    use super::*;

    /// Writes the name.
    pub fn serialize<S: Serializer>(
        reason: &Option<ErrorReason>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(reason.map_or("", |reason| reason.as_str_name()))
    }

    /// Reads the name.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<ErrorReason>, D::Error> {
        let name = String::deserialize(from)?;
        let reason = ErrorReason::from_str_name(&name);
        match reason {
            None if !name.is_empty() => Err(D::Error::custom("a reason is unknown")),
            reason => Ok(reason),
        }
    }
}

fn read(columns: &PlaceColumns) -> Option<Place> {
    let organization = OrganizationId::parse(&columns.organization_id).ok()?;
    let class = match columns.class_id.as_str() {
        "" => None,
        id => Some(ClassId::parse(id).ok()?),
    };
    Some(Place::new(organization, class))
}
