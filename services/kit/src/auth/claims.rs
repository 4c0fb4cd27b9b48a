//! The claims of an access token.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Scopes;

/// The audience of a token.
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
}

/// The claims of an access token. `iss`, `aud`, `sub` and `exp` are required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: Audience,
    /// The subject: the user or service for whom the token speaks.
    pub sub: String,
    /// When the token expires, in seconds since the epoch.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: i64,
    /// When the token becomes valid, in seconds since the epoch.
    #[serde(default, deserialize_with = "numeric_date")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// When it was issued, in seconds since the epoch.
    #[serde(default, deserialize_with = "numeric_date")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Scopes, separated by spaces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// The ids of the organizations that the token is bound to; absent for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// Reads a `NumericDate` without its fraction, which RFC 7519 permits.
fn numeric_date<'de, D: Deserializer<'de>, T: From<i64>>(deserializer: D) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float saturates, and the ends of i64 lie outside every token's life"
    )]
    let whole = number.as_i64().or(number.as_f64().map(|date| date as i64));
    whole
        .map(T::from)
        .ok_or_else(|| serde::de::Error::custom("is not a NumericDate"))
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
}
