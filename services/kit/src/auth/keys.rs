//! The public keys that access tokens are checked with, each pinned to one algorithm.

use std::{fmt, io, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::Value;

use super::{Scope, Scopes, ServiceKeys, Signer, key_sources::KEY_SET_BYTES_MAX};
use crate::key_files::read_text;

/// The JWK member that caps the scopes of tokens signed by the key: a list of scope names.
const SCOPES_MEMBER: &str = "homeroom_scopes";
/// Keys of one set at most.
pub const KEYS_MAX: usize = 100;
/// The JWK members that only private and symmetric keys have.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    File(#[from] io::Error),
    /// It is larger than any key set.
    #[error("it has more than {KEY_SET_BYTES_MAX} bytes")]
    TooLarge,
    /// It has more keys than a token's key is looked for among.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    /// It is not a JWK set.
    #[error("it is not a JWK set: {0}")]
    Malformed(String),
    /// It has no key for Ed25519, ES256 or RS256.
    #[error("it holds no key for EdDSA (Ed25519), ES256 or RS256 signatures")]
    Empty,
    /// It holds a private or a symmetric key.
    #[error("it holds a private or symmetric key: publish public keys alone")]
    Private,
    /// Two keys have one id.
    #[error("it has two keys with the `kid` {0}")]
    DuplicateId(String),
    /// `homeroom_scopes` names no scope of ours.
    #[error("`homeroom_scopes` must be a list of scopes such as `homeroom.act_as`: {0}")]
    Scopes(String),
}

#[derive(Clone)]
pub(crate) struct VerifyingKey {
    id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
    /// What tokens of this key may claim at most; None for no cap.
    pub(crate) cap: Option<Scopes>,
    /// Whom alone tokens of this key may speak for; None for anybody.
    pub(crate) subject: Option<&'static str>,
}

/// A set of public keys.
#[derive(Clone, Default)]
pub struct Keys(Vec<VerifyingKey>);

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|key| (&key.id, key.algorithm)))
            .finish()
    }
}

impl Keys {
    /// Reads a JWK set from a file.
    pub fn from_jwks_file(path: &Path) -> Result<Self, KeysError> {
        Self::from_jwks(&read_text(path)?)
    }

    /// Reads a JWK set. Keys of other kinds or uses are passed over.
    pub fn from_jwks(text: &str) -> Result<Self, KeysError> {
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(KeysError::TooLarge);
        }
        let set: Value =
            serde_json::from_str(text).map_err(|error| KeysError::Malformed(error.to_string()))?;
        let members = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or_else(|| KeysError::Malformed("`keys` is missing".to_owned()))?;
        if members.len() > KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let mut keys = Self::default();
        for member in members {
            if let Some(key) = read_key(member)? {
                keys.insert(key)?;
            }
        }
        if keys.0.is_empty() {
            return Err(KeysError::Empty);
        }
        Ok(keys)
    }

    /// The one key of a signer of this installation.
    pub fn from_signer(signer: &Signer, cap: Option<Scopes>) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        keys.insert(signer.verifying_key(cap)?)?;
        Ok(keys)
    }

    /// These keys and those.
    pub fn merge(mut self, others: Self) -> Result<Self, KeysError> {
        for key in others.0 {
            self.insert(key)?;
        }
        Ok(self)
    }

    /// The same keys as those of a service, if they are one's: none gives more than its scopes, and none
    /// speaks for anybody else.
    #[must_use]
    pub fn of_service(mut self, service: Option<ServiceKeys>) -> Self {
        if let Some(ServiceKeys { cap, subject, .. }) = service {
            for key in &mut self.0 {
                key.cap = Some(key.cap.map_or(cap, |own| own.intersection(cap)));
                key.subject = Some(subject);
            }
        }
        self
    }

    /// The `kid`s of those that have one.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.id.as_deref())
    }

    /// Whether one of them has this `kid`.
    pub(crate) fn has_id(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    fn insert(&mut self, key: VerifyingKey) -> Result<(), KeysError> {
        if key.id.is_some() && self.0.iter().any(|other| other.id == key.id) {
            return Err(KeysError::DuplicateId(key.id.unwrap_or_default()));
        }
        self.0.push(key);
        Ok(())
    }

    /// The key that a token's header points at: the one with its `kid`, or, without a `kid`, the
    /// only one for its algorithm. The header never chooses the algorithm: the key does.
    pub(crate) fn select(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut candidates = self.0.iter().filter(|key| match id {
            Some(id) => key.id.as_deref() == Some(id),
            None => key.algorithm == algorithm,
        });
        let first = candidates.next()?;
        (candidates.next().is_none() && first.algorithm == algorithm).then_some(first)
    }
}

pub(crate) fn verifying_key(
    jwk: &Jwk,
    cap: Option<Scopes>,
) -> Result<Option<VerifyingKey>, KeysError> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKey(_) => return Err(KeysError::Private),
        _ => return Ok(None),
    };
    let other_use = jwk
        .common
        .public_key_use
        .as_ref()
        .is_some_and(|key_use| *key_use != PublicKeyUse::Signature);
    let other_algorithm = jwk
        .common
        .key_algorithm
        .is_some_and(|named| named != KeyAlgorithm::from(algorithm));
    if other_use || other_algorithm {
        return Ok(None);
    }
    let key =
        DecodingKey::from_jwk(jwk).map_err(|error| KeysError::Malformed(error.to_string()))?;
    Ok(Some(VerifyingKey {
        id: jwk.common.key_id.clone(),
        algorithm,
        key,
        cap,
        subject: None,
    }))
}

fn read_key(member: &Value) -> Result<Option<VerifyingKey>, KeysError> {
    if PRIVATE_MEMBERS
        .iter()
        .any(|name| member.get(name).is_some())
    {
        return Err(KeysError::Private);
    }
    let cap = member.get(SCOPES_MEMBER).map(read_cap).transpose()?;
    // A set may hold kinds of keys that nobody here knows.
    let Ok(jwk) = serde_json::from_value::<Jwk>(member.clone()) else {
        return Ok(None);
    };
    verifying_key(&jwk, cap)
}

fn read_cap(member: &Value) -> Result<Scopes, KeysError> {
    let wrong = || KeysError::Scopes(member.to_string());
    member
        .as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|name| name.as_str().and_then(Scope::parse).ok_or_else(wrong))
        .collect()
}
