//! The issuers of access tokens that a service trusts, as the settings name them.

use std::{mem, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Claims, Scope, Scopes, ServiceKeys, TokenKeys,
    token_keys::{
        FILE_SETTING as KEYS_FILE, URL_SETTING as KEYS_URL, read_keys, read_service_keys,
    },
    user_space::{Namespace, UserSpace},
};
use crate::{
    config::{Reader, parse_text},
    key_files::read_text,
};

/// The file of several issuers.
const FILE: &str = "TOKEN_ISSUERS_FILE";
/// The `iss` of the only issuer.
const ISSUER: &str = "TOKEN_ISSUER";
/// The audience of its tokens.
const AUDIENCE: &str = "TOKEN_AUDIENCE";
/// The fields of an issuer in the file that several mistakes concern.
const NAME_FIELD: &str = "issuer";
const AUDIENCES_FIELD: &str = "audiences";
const CLIENTS_FIELD: &str = "client_ids";
const NAMESPACE_FIELD: &str = "user_id_namespace";

/// An issuer of access tokens.
#[derive(Debug)]
pub struct Issuer {
    /// The `iss` of its tokens.
    pub name: String,
    /// Its public keys.
    pub keys: TokenKeys,
    /// The audiences, one of which must be in a token's `aud`.
    pub audiences: Vec<String>,
    /// The clients whose access tokens need no `aud`.
    pub client_ids: Vec<String>,
    /// The scopes that its tokens may claim at most.
    pub cap: Scopes,
    /// The text before the name of each scope in its tokens.
    pub scope_prefix: String,
    /// True if a token's `roles` name scopes too.
    pub roles_are_scopes: bool,
    /// The name space of its people; None for user ids that are the `sub` alone.
    pub namespace: Option<Namespace>,
    pub(super) users: Arc<UserSpace>,
}

impl Issuer {
    /// Returns an issuer whose tokens may claim every scope, and whose user ids have no name space; the other fields may
    /// be set afterwards.
    #[must_use]
    pub fn new(
        keys: impl Into<TokenKeys>,
        name: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            keys: keys.into(),
            audiences: vec![audience.into()],
            client_ids: Vec::new(),
            cap: Scopes::all(),
            scope_prefix: String::new(),
            roles_are_scopes: false,
            namespace: None,
            users: Arc::default(),
        }
    }

    /// Returns true if the token is for this service: by its `aud`, or, without one, as an access token of one of the
    /// clients.
    pub(super) fn is_meant(&self, claims: &Claims) -> bool {
        if claims.aud.is_empty() {
            let client = claims.client_id.as_ref();
            let is_access = claims.token_use.as_deref() == Some("access");
            is_access && client.is_some_and(|client| self.client_ids.contains(client))
        } else {
            let mut audiences = claims.aud.as_slice().iter();
            audiences.any(|audience| self.audiences.contains(audience))
        }
    }

    /// Returns the scopes that a token of the issuer gives.
    pub(super) fn scopes_of(&self, claims: &Claims) -> Scopes {
        let roles = if self.roles_are_scopes {
            &*claims.roles
        } else {
            ""
        };
        let named = [&*claims.scope, &*claims.scp, roles];
        let named = named.map(|names| Scopes::parse_prefixed(names, &self.scope_prefix));
        let claimed = named.into_iter().fold(Scopes::NONE, Scopes::union);
        claimed.intersection(self.cap)
    }
}

/// Reads the issuers: those of `TOKEN_ISSUERS_FILE`, or the only one that the settings name; and the optional file of
/// another service's keys, whose tokens are in the name of the first issuer. Returns none after a mistake, which the
/// reader reports.
pub fn read_issuers(reader: &mut Reader, service: Option<ServiceKeys>) -> Option<Vec<Issuer>> {
    let has_file = reader.is_set(FILE);
    let issuers = if has_file {
        for single in [KEYS_FILE, KEYS_URL, ISSUER, AUDIENCE] {
            if reader.is_set(single) {
                reader.error(
                    single,
                    format_args!("and {FILE} are both set: the file says it for each issuer, so set the file alone"),
                );
            }
        }
        read_file(reader)
    } else {
        read_only(reader).map(|only| vec![only])
    };
    let mut of_service = None;
    if let Some(service) = service {
        if has_file && !reader.is_set(service.setting) {
            reader.error(
                service.setting,
                format_args!(
                    "is required but not set: with {FILE} these keys are in a file of their own"
                ),
            );
        }
        of_service = read_service_keys(reader, service);
    }
    let mut issuers = issuers?;
    if let (Some(source), Some(first)) = (of_service, issuers.first_mut()) {
        first.keys.put_first(source);
    }
    Some(issuers)
}

fn read_only(reader: &mut Reader) -> Option<Issuer> {
    let keys = read_keys(reader);
    let name = reader.required(ISSUER, |text| {
        one(text, |character| {
            character == ',' || character.is_whitespace()
        })
    });
    let audience = reader.required(AUDIENCE, |text| one(text, |character| character == ','));
    Some(Issuer::new(keys?, name?, audience?))
}

/// Reads a text without characters that separate several.
fn one(text: &str, separates: fn(char) -> bool) -> Result<String, String> {
    let text = parse_text(text)?;
    if text.contains(separates) {
        return Err(format!("must be one value: name several in {FILE}"));
    }
    Ok(text)
}

/// The file, whose issuers are read field by field, so that all mistakes are reported.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    issuers: Vec<Map<String, Value>>,
}

fn read_file(reader: &mut Reader) -> Option<Vec<Issuer>> {
    let file = reader.optional(FILE, |path| {
        let text = read_text(Path::new(path))
            .map_err(|error| format!("names {path}, which cannot be read: {error}"))?;
        serde_json::from_str::<File>(&text)
            .map_err(|error| format!("names {path}, which is not a list of issuers: {error}"))
    });
    let entries = file?.issuers;
    let mut mistakes = contradictions(&entries);
    let read = entries.into_iter().enumerate().map(|(index, fields)| {
        let entry = Entry {
            index,
            fields,
            mistakes: &mut mistakes,
        };
        entry.read()
    });
    let issuers: Option<Vec<Issuer>> = read.collect::<Vec<_>>().into_iter().collect();
    for mistake in mistakes {
        reader.error(FILE, mistake);
    }
    issuers
}

/// Returns the mistakes that concern more than one field.
fn contradictions(entries: &[Map<String, Value>]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let Some(first) = entries.first() else {
        return vec!["holds no issuer".to_owned()];
    };
    if !first.contains_key(AUDIENCES_FIELD) {
        mistakes.push(format!(
            "issuers[0].{AUDIENCES_FIELD} is required: the tokens of invitations have the first issuer's"
        ));
    }
    // Spaces at the ends are no part of a setting.
    let said = |entry: &Map<String, Value>, field: &str| match entry.get(field) {
        Some(Value::String(text)) => Some(Value::from(text.trim())),
        other => other.cloned(),
    };
    for (index, entry) in entries.iter().enumerate() {
        let earlier = || entries.iter().take(index);
        let name = said(entry, NAME_FIELD);
        if name.is_some() && earlier().any(|other| said(other, NAME_FIELD) == name) {
            mistakes.push(format!(
                "issuers[{index}].{NAME_FIELD} is that of another entry"
            ));
        }
        let space = said(entry, NAMESPACE_FIELD);
        if let Some(same) = earlier().position(|other| said(other, NAMESPACE_FIELD) == space) {
            mistakes.push(format!(
                "issuers[{index}].{NAMESPACE_FIELD} must differ from that of issuers[{same}], since both may use one \
                 `sub` for two people; at most one issuer has none"
            ));
        }
    }
    mistakes
}

/// An issuer in the file.
struct Entry<'mistakes> {
    index: usize,
    /// The fields that are not read yet.
    fields: Map<String, Value>,
    mistakes: &'mistakes mut Vec<String>,
}

impl Entry<'_> {
    fn read(mut self) -> Option<Issuer> {
        let name = self.required(NAME_FIELD, text);
        let keys = self.keys();
        let is_bound = [AUDIENCES_FIELD, CLIENTS_FIELD]
            .iter()
            .any(|field| self.fields.contains_key(*field));
        if !is_bound && self.index > 0 {
            self.mistake(AUDIENCES_FIELD, "or client_ids is required");
        }
        let audiences = self.optional(AUDIENCES_FIELD, texts);
        let client_ids = self.optional(CLIENTS_FIELD, texts);
        let cap = self.required("homeroom_scopes", scopes);
        let scope_prefix = self.optional("scope_prefix", text);
        let roles_are_scopes = self.optional("roles_are_scopes", flag);
        let namespace = self.optional(NAMESPACE_FIELD, |value| {
            Ok(Namespace::parse(&text(value)?)?)
        });
        for unknown in mem::take(&mut self.fields).keys() {
            self.mistake(unknown, "is no setting of an issuer");
        }
        Some(Issuer {
            audiences: audiences.unwrap_or_default(),
            client_ids: client_ids.unwrap_or_default(),
            cap: cap?,
            scope_prefix: scope_prefix.unwrap_or_default(),
            roles_are_scopes: roles_are_scopes.unwrap_or(false),
            namespace,
            ..Issuer::new(keys?, name?, "")
        })
    }

    fn keys(&mut self) -> Option<TokenKeys> {
        let [file, url] = ["jwks_file", "jwks_url"];
        match (
            self.fields.contains_key(file),
            self.fields.contains_key(url),
        ) {
            (true, true) => self.mistake(file, "and jwks_url are both set: set one"),
            (false, false) => self.mistake(file, "or jwks_url is required"),
            _ => {}
        }
        let of_file = self.optional(file, |value| TokenKeys::read_named(&text(value)?));
        let of_url = self.optional(url, |value| Ok(TokenKeys::of_url(&text(value)?)?));
        of_file.or(of_url)
    }

    fn required<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.fields.contains_key(field) {
            self.mistake(field, "is required");
        }
        self.optional(field, parse)
    }

    /// Returns a field; None if it is absent or wrong.
    fn optional<T>(
        &mut self,
        field: &str,
        parse: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(self.fields.remove(field)?);
        parsed.map_err(|error| self.mistake(field, &error)).ok()
    }

    fn mistake(&mut self, field: &str, what: &str) {
        let place = format!("issuers[{}].{field}", self.index);
        self.mistakes.push(format!("{place} {what}"));
    }
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(parse_text(&text)?),
        _ => Err("must be a text".to_owned()),
    }
}

fn texts(value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(texts) if !texts.is_empty() => texts.into_iter().map(text).collect(),
        _ => Err("must be a list of one text or more".to_owned()),
    }
}

fn flag(value: Value) -> Result<bool, String> {
    bool::deserialize(value).map_err(|_| "must be true or false".to_owned())
}

fn scopes(value: Value) -> Result<Scopes, String> {
    let names = Vec::<String>::deserialize(value).ok();
    let scopes = names.and_then(|names| names.iter().map(|name| Scope::parse(name)).collect());
    scopes.ok_or_else(|| {
        let names = Scope::NAMES.join(", ");
        format!("must be a list of scopes, empty for none: {names}")
    })
}
