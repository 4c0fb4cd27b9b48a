//! The public keys that verify access tokens, each bound to one algorithm.

use std::{fmt, io, ops::RangeInclusive};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{Scope, Scopes};

/// Maximum number of keys in one set.
pub(super) const KEYS_MAX: usize = 100;

/// The sizes of RSA keys with which the library checks signatures, in bits.
const RSA_BITS: RangeInclusive<usize> = 2_048..=8_192;
/// The number of bytes of an uncompressed point on P-256.
const P256_BYTES: usize = 65;
/// The number of bytes of an Ed25519 key.
const ED25519_BYTES: usize = 32;

/// Why a key set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    File(#[from] io::Error),
    /// It is not a JWK set.
    #[error("it is not a JWK set: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It has more keys than the maximum.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    /// None of its keys can be used.
    #[error("it holds no public key for EdDSA (Ed25519), ES256 or RS256 signatures")]
    Empty,
}

/// The keys of another service of this installation: they are in their own file, and limited whatever the file says.
#[derive(Debug, Clone, Copy)]
pub struct ServiceKeys {
    /// The setting that names the file.
    pub setting: &'static str,
    /// The scopes that the service's tokens may claim at most.
    pub cap: Scopes,
    /// The only `sub` that its tokens may have.
    pub subject: &'static str,
}

/// A JWK set, whose keys are read one by one.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key of a set.
#[derive(Deserialize)]
struct Member {
    #[serde(flatten)]
    jwk: Jwk,
    /// Caps the scopes of tokens signed by the key.
    homeroom_scopes: Option<Vec<String>>,
    /// The private part, which every private key has and no public one.
    #[serde(rename = "d")]
    private: Option<IgnoredAny>,
}

#[derive(Clone)]
pub(super) struct VerifyingKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// The scopes that tokens of this key may claim at most; None for no limit.
    pub(super) cap: Option<Scopes>,
    /// The only subject for which tokens of this key may speak; None for any.
    pub(super) subject: Option<&'static str>,
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
    /// Reads a JWK set. A key that cannot be used is skipped: one of another type, use or size, a private or symmetric
    /// one, or one whose `kid` an earlier key for the same algorithm has.
    pub fn from_jwks(text: &str) -> Result<Self, KeysError> {
        let set: Set = serde_json::from_str(text.trim_start_matches('\u{feff}'))?;
        if set.keys.len() > KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let mut keys = Self::default();
        for mut member in set.keys {
            let read = VerifyingKey::read(&mut member).and_then(|key| keys.insert(key));
            if let Err(problem) = read {
                let kid = member.get("kid").and_then(Value::as_str);
                tracing::warn!(kid, problem, "a key of the key set is skipped");
            }
        }
        if keys.0.is_empty() {
            return Err(KeysError::Empty);
        }
        Ok(keys)
    }

    /// Returns both sets together. Of two keys with the same `kid` the first counts.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        for key in others.0 {
            if let Err(problem) = self.insert(key) {
                tracing::warn!(problem, "a key of the key set is skipped");
            }
        }
        self
    }

    /// Limits the keys to those of a service, if one is given: they give no more than its scopes, and speak for nobody
    /// else.
    #[must_use]
    pub(super) fn of_service(mut self, service: Option<ServiceKeys>) -> Self {
        if let Some(ServiceKeys { cap, subject, .. }) = service {
            for key in &mut self.0 {
                key.cap = Some(key.cap.map_or(cap, |own| own.intersection(cap)));
                key.subject = Some(subject);
            }
        }
        self
    }

    /// Returns true if one of the keys has this `kid`.
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    fn insert(&mut self, key: VerifyingKey) -> Result<(), String> {
        let is_rival = |other: &&VerifyingKey| {
            other.algorithm == key.algorithm
                && other.id == key.id
                && (key.id.is_some() || other.parts() == key.parts())
        };
        match self.0.iter().find(is_rival) {
            None => self.0.push(key),
            Some(same) if same.parts() == key.parts() => {}
            Some(VerifyingKey { id, .. }) => {
                let id = id.as_deref().unwrap_or_default();
                return Err(format!("another key has the `kid` {id}"));
            }
        }
        Ok(())
    }

    /// Returns the key that a token's header names: the one with its `kid` and for its algorithm, or, without a `kid`,
    /// the only one for its algorithm. Each key is for one algorithm, so the header chooses none that a key does not.
    pub(super) fn select(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut candidates = self.0.iter().filter(|key| {
            key.algorithm == algorithm && id.is_none_or(|id| key.id.as_deref() == Some(id))
        });
        let first = candidates.next()?;
        candidates.next().is_none().then_some(first)
    }
}

impl VerifyingKey {
    /// Reads a key of a set, and binds it to one algorithm; or returns why it cannot be used.
    fn read(member: &mut Value) -> Result<Self, String> {
        normalize(member);
        let Member {
            jwk,
            homeroom_scopes,
            private,
        } = Member::deserialize(&*member).map_err(|error| error.to_string())?;
        let common = &jwk.common;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            _ => return Err("it is not of Ed25519, P-256 or RSA".to_owned()),
        };
        if private.is_some() {
            return Err("it is private: publish public keys alone".to_owned());
        }
        let key_use = common.public_key_use.as_ref();
        if key_use.is_some_and(|key_use| *key_use != PublicKeyUse::Signature)
            || common
                .key_algorithm
                .is_some_and(|named| named != KeyAlgorithm::from(algorithm))
        {
            return Err("it is for another use or algorithm".to_owned());
        }
        let scope = |name: &String| {
            Scope::parse(name).ok_or_else(|| format!("`homeroom_scopes` names no scope: {name}"))
        };
        let cap = homeroom_scopes.map(|names| names.iter().map(scope).collect());
        let key = Self {
            id: common.key_id.clone(),
            algorithm,
            key: DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?,
            cap: cap.transpose()?,
            subject: None,
        };
        if key.has_size() {
            Ok(key)
        } else {
            Err("it is not of a size that is accepted: RSA has 2048 to 8192 bits".to_owned())
        }
    }

    /// Returns the numbers of which the public key consists.
    fn parts(&self) -> [&[u8]; 2] {
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => [n, e],
            DecodingKeyKind::SecretOrDer(bytes) => [bytes, &[]],
        }
    }

    /// Returns true if signatures can be checked with a key of this size.
    fn has_size(&self) -> bool {
        let [key, _] = self.parts();
        match self.algorithm {
            Algorithm::EdDSA => key.len() == ED25519_BYTES,
            Algorithm::ES256 => key.len() == P256_BYTES,
            _ => {
                let zeros = key.iter().take_while(|byte| **byte == 0).count();
                let bits = key.get(zeros).map_or(0, |first| {
                    (key.len() - zeros) * 8 - first.leading_zeros() as usize
                });
                RSA_BITS.contains(&bits)
            }
        }
    }
}

/// Writes as RFC 7517 and 7518 require it what some issuers write otherwise: a `kid` as a number, base64 with padding.
fn normalize(member: &mut Value) {
    if let Some(id) = member.get_mut("kid").filter(|id| id.is_number()) {
        *id = id.to_string().into();
    }
    for name in ["n", "e", "x", "y"] {
        if let Some(Value::String(text)) = member.get_mut(name) {
            text.truncate(text.trim_end_matches('=').len());
        }
    }
}
