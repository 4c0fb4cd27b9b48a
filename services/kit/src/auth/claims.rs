//! The claims of an access token.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;

use super::Scopes;

/// The audience of a token. A token without `aud` has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One audience.
    One(String),
    /// Several audiences.
    Several(Vec<String>),
}

impl Audience {
    /// Returns all of them.
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(audience) => std::slice::from_ref(audience),
            Self::Several(audiences) => audiences,
        }
    }

    /// Returns true if there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

/// The claims of an access token. `iss`, `sub` and `exp` are required. Any other claim counts as absent if its type
/// cannot be read, except the bounds `aud`, `nbf` and `organizations`: without them the token would be worth more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    #[serde(default, skip_serializing_if = "Audience::is_empty")]
    pub aud: Audience,
    /// The subject: the user or service for whom the token speaks.
    pub sub: String,
    /// When the token expires, in seconds since the epoch.
    #[serde(deserialize_with = "end")]
    pub exp: i64,
    /// When the token becomes valid, in seconds since the epoch.
    #[serde(default, deserialize_with = "begin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// When it was issued, in seconds since the epoch.
    #[serde(default, deserialize_with = "date")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Scopes, separated by spaces.
    #[serde(default, deserialize_with = "names")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Scopes too, by another name of the claim.
    #[serde(default, deserialize_with = "names")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scp: String,
    /// Roles of an application, which are scopes for some issuers.
    #[serde(default, deserialize_with = "names")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub roles: String,
    /// The id of the client that got the token.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The kind of token: `access` or `id`.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_use: Option<String>,
    /// The ids of the organizations that the token is bound to; absent for no bound.
    #[serde(default, deserialize_with = "organizations")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organizations: Option<Vec<String>>,
    /// The user's email address.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// True if the issuer verified the email address.
    #[serde(default, deserialize_with = "flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The user's id in the issuer's records.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The user's name.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Claims {
    /// Returns the required claims for a token issued now; the other fields may be set afterwards.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        subject: impl Into<String>,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Self {
        Self {
            iss: issuer.into(),
            aud: Audience::One(audience.into()),
            sub: subject.into(),
            exp: (now + lifetime).timestamp(),
            nbf: None,
            iat: Some(now.timestamp()),
            scope: String::new(),
            scp: String::new(),
            roles: String::new(),
            client_id: None,
            token_use: None,
            organizations: None,
            email: None,
            email_verified: None,
            external_id: None,
            name: None,
        }
    }

    /// Returns the same claims with these scopes.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Self {
        self.scope = scopes.to_string();
        self
    }
}

/// Returns a `NumericDate` without its fraction, which RFC 7519 permits; None for any other value.
fn whole_seconds(value: &Value) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float saturates, and the ends of i64 lie outside every token's life"
    )]
    value.as_i64().or(value.as_f64().map(|date| date as i64))
}

fn end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    whole_seconds(&value).ok_or_else(|| Error::custom("`exp` is not a NumericDate"))
}

fn begin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let read = whole_seconds(&value);
    if read.is_none() && !value.is_null() {
        return Err(Error::custom("`nbf` is not a NumericDate"));
    }
    Ok(read)
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(whole_seconds(&Value::deserialize(deserializer)?))
}

/// Reads names that are separated by spaces or are the members of a list.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(names) => names,
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            // No name holds a space, so a member with one must not be read as two names.
            let names = names.filter(|name| !name.contains(char::is_whitespace));
            names.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    })
}

fn organizations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    serde_json::from_value(Value::deserialize(deserializer)?)
        .map_err(|_| Error::custom("`organizations` is not a list of organization ids"))
}

/// Reads a claim about the user, which never fails the token: a number is read as its digits, any other type as None.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// Reads a Boolean claim in the same way; some issuers write it as a text.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Some(flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn u5_a_claim_about_the_user_refuses_no_token_whatever_its_type() {
        let text = |text: &str| Some(text.to_owned());
        for (value, read, flag) in [
            (json!("4711"), text("4711"), None),
            (json!(4711), text("4711"), None),
            (json!("true"), text("true"), Some(true)),
            (json!("false"), text("false"), Some(false)),
            (json!(true), None, Some(true)),
            (json!(false), None, Some(false)),
            (json!(null), None, None),
            (json!(["a@b.org"]), None, None),
            (json!({"en": "Ada"}), None, None),
        ] {
            let claims = json!({
                "iss": "i", "aud": "a", "sub": "s", "exp": 1,
                "email": value, "email_verified": value, "external_id": value, "name": value,
            });
            let claims: Claims = serde_json::from_value(claims).unwrap();
            assert_eq!(claims.email, read, "{value}");
            assert_eq!(claims.external_id, read, "{value}");
            assert_eq!(claims.name, read, "{value}");
            assert_eq!(claims.email_verified, flag, "{value}");
        }
    }

    #[test]
    fn scopes_are_a_text_or_a_list_and_what_is_neither_is_none() {
        for (value, read) in [
            (json!("a b"), "a b"),
            (json!(["a", "b"]), "a b"),
            (json!(["a", "b c", 7, null]), "a"),
            (json!([]), ""),
            (json!(null), ""),
            (json!(7), ""),
            (json!({"a": true}), ""),
        ] {
            let claims = json!({"iss": "i", "sub": "s", "exp": 1, "scope": value, "scp": value, "roles": value});
            let claims: Claims = serde_json::from_value(claims).unwrap();
            for names in [claims.scope, claims.scp, claims.roles] {
                assert_eq!(names, read, "{value}");
            }
        }
    }

    #[test]
    fn a_date_that_bounds_nothing_may_be_of_any_type_and_a_bound_may_not() {
        for (value, iat, nbf, organizations) in [
            (json!(null), Some(None), Some(None), Some(None)),
            (json!(7), Some(Some(7)), Some(Some(7)), None),
            (json!(7.5), Some(Some(7)), Some(Some(7)), None),
            (json!("7"), Some(None), None, None),
            (json!([]), Some(None), None, Some(Some(vec![]))),
            (json!(["a", 7]), Some(None), None, None),
        ] {
            let read = |claim: &str| {
                let mut claims = json!({"iss": "i", "aud": "a", "sub": "s", "exp": 1.5});
                claims[claim] = value.clone();
                serde_json::from_value::<Claims>(claims).ok()
            };
            assert_eq!(read("iat").map(|claims| claims.iat), iat, "{value}");
            assert_eq!(read("nbf").map(|claims| claims.nbf), nbf, "{value}");
            let bound = read("organizations").map(|claims| claims.organizations);
            assert_eq!(bound, organizations, "{value}");
        }
    }
}
