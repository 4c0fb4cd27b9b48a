//! Signs access tokens with a key of this installation.

use std::{fmt, io, path::Path};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Claims, Keys, KeysError, Scope, Scopes};
use crate::{
    key_files::{read_named, read_or_make_private},
    random::Randomness,
    secret::SecretText,
};

const SEED_BYTES: usize = 32;

/// Why a signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The file cannot be read or written.
    #[error("it cannot be read or written: {0}")]
    File(#[from] io::Error),
    /// It is not an Ed25519 private key.
    #[error("it is not an Ed25519 private key in PKCS#8 PEM")]
    Malformed,
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Refused,
}

/// An Ed25519 signing key.
pub struct Signer {
    key: EncodingKey,
    jwk: Jwk,
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("id", &self.jwk.common.key_id)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads a PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        let key = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| SignerError::Malformed)?;
        let mut jwk =
            Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(|_| SignerError::Malformed)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256);
        jwk.common.key_id = Some(id.map_err(|_| SignerError::Malformed)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, jwk })
    }

    /// Generates a new key.
    pub fn generate(random: &dyn Randomness) -> Result<Self, SignerError> {
        Self::from_pem(&generate_pem(random)?)
    }

    /// Reads the file that a setting names.
    pub fn read_named(path: &str) -> Result<Self, String> {
        read_named(path, Self::from_pem)
    }

    /// Reads the key's file, or creates it with a new key that only the owner may read (0600).
    pub fn load_or_generate(path: &Path, random: &dyn Randomness) -> Result<Self, SignerError> {
        Self::from_pem(&read_or_make_private(path, || generate_pem(random))?)
    }

    /// Signs claims.
    pub fn sign(&self, claims: &Claims) -> Result<SecretText, SignerError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid.clone_from(&self.jwk.common.key_id);
        jsonwebtoken::encode(&header, claims, &self.key)
            .map(SecretText::new)
            .map_err(|_| SignerError::Refused)
    }

    /// Returns the public key as a member of a JWK set, limited to the given scopes if there are any.
    #[must_use]
    pub fn jwk(&self, cap: Option<Scopes>) -> Value {
        let mut member = json!(self.jwk);
        if let (Some(cap), Value::Object(fields)) = (cap, &mut member) {
            let names = cap.iter().map(Scope::as_str).collect();
            fields.insert("homeroom_scopes".to_owned(), names);
        }
        member
    }

    /// Returns the public key that verifies this signer's tokens.
    pub fn keys(&self, cap: Option<Scopes>) -> Result<Keys, KeysError> {
        Keys::from_jwks(&json!({ "keys": [self.jwk(cap)] }).to_string())
    }
}

fn generate_pem(random: &dyn Randomness) -> Result<Zeroizing<String>, SignerError> {
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    random.fill(seed.as_mut_slice());
    let pair =
        Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| SignerError::Malformed)?;
    let document = pair.to_pkcs8v1().map_err(|_| SignerError::Malformed)?;
    let encoded = Zeroizing::new(STANDARD.encode(document.as_ref()));
    // 48 bytes: one line of 64 characters. The text is allocated at once, since one that grows leaves copies behind.
    let lines = [
        "-----BEGIN PRIVATE KEY-----\n",
        &encoded,
        "\n-----END PRIVATE KEY-----\n",
    ];
    Ok(Zeroizing::new(lines.concat()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the key of `Signer::generate` with the same seed.
    pub(crate) fn pem(seed: u64) -> Zeroizing<String> {
        generate_pem(&crate::random::SeededRandomness::new(seed)).unwrap()
    }
}
