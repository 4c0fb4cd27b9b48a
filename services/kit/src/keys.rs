//! Keys held outside the database: look-up by MAC, values sealed at rest.
//!
//! One ring serves both: subkeys are derived from each 32-byte key by HKDF. A ring has several versions. The highest
//! one not marked `next` is current: a key marked `next` becomes known to every process before any process uses it for
//! new values.

use std::{collections::BTreeMap, fmt, io, path::Path};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{
    key_files::{read_named, read_or_make_private},
    random::Randomness,
};

/// Length of a key in bytes.
pub const KEY_BYTES: usize = 32;

const CHECK_TAG: &str = "key-check v1";
/// The mark after a key that every process must know before any uses it.
const NEXT: &str = "next";

/// An error of a key ring or of a sealed value. It never reveals key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The ring's text does not parse.
    #[error(
        "keys are written as `version:base64` of 32 bytes, or `version:base64:next`, joined by commas: {0}"
    )]
    Malformed(&'static str),
    /// The ring has no key of this version.
    #[error("there is no key of version {0}: keep old keys until nothing uses them")]
    UnknownVersion(u32),
    /// The sealed value was altered, or belongs to another place.
    #[error("a sealed value does not open")]
    DoesNotOpen,
    /// A cryptographic primitive failed.
    #[error("the cryptographic library refused")]
    Refused,
    /// The key file cannot be read or written.
    #[error("it cannot be read or written: {0}")]
    File(#[from] io::Error),
}

/// A value sealed by a [`KeyRing`]: nonce, ciphertext and tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The version of the key that sealed it.
    pub key_version: u32,
    /// The nonce (12 bytes), the ciphertext, and the tag (16 bytes).
    pub bytes: Vec<u8>,
}

struct Version {
    mac: hmac::Key,
    seal: LessSafeKey,
}

/// The keys of a service, by version.
pub struct KeyRing {
    versions: BTreeMap<u32, Version>,
    current: u32,
    /// A MAC under this key matches nothing that was ever stored.
    nowhere: hmac::Key,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyRing")
            .field("versions", &self.versions())
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Generates a ring of one new key, version 1.
    pub fn generate(random: &dyn Randomness) -> Result<Self, KeyError> {
        Self::parse(&generate_text(random))
    }

    /// Parses `1:base64,2:base64`; base64 with padding, 32 bytes each. A key followed by `:next` opens and finds
    /// existing values, but makes no new ones; the highest version of the others, one at least, is current. Line ends
    /// around the text are ignored.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut versions = BTreeMap::new();
        let mut current = None;
        for entry in text.trim().split(',') {
            let (version, encoded) = entry
                .trim()
                .split_once(':')
                .ok_or(KeyError::Malformed("a colon is missing"))?;
            let (encoded, next) = match encoded.split_once(':') {
                None => (encoded, false),
                Some((encoded, NEXT)) => (encoded, true),
                Some(_) => return Err(KeyError::Malformed("a mark is not `next`")),
            };
            let version = version
                .parse()
                .map_err(|_| KeyError::Malformed("a version is not a number"))?;
            let material = STANDARD
                .decode(encoded)
                .map_err(|_| KeyError::Malformed("a key is not base64"))?;
            let material = Zeroizing::new(material);
            if material.len() != KEY_BYTES {
                return Err(KeyError::Malformed("a key does not have 32 bytes"));
            }
            if versions.insert(version, derive(&material)?).is_some() {
                return Err(KeyError::Malformed("a version is named twice"));
            }
            if !next {
                current = current.max(Some(version));
            }
        }
        let mut nowhere = Zeroizing::new([0; KEY_BYTES]);
        crate::random::SystemRandomness.fill(nowhere.as_mut_slice());
        Ok(Self {
            versions,
            current: current.ok_or(KeyError::Malformed(
                "there is no key but those marked `next`",
            ))?,
            nowhere: hmac::Key::new(hmac::HMAC_SHA256, nowhere.as_slice()),
        })
    }

    /// Reads the file that a setting names. It must exist: a service that generated its own key could not read what
    /// another one stored.
    pub fn read_named(path: &str) -> Result<Self, String> {
        read_named(path, Self::parse)
    }

    /// Reads the ring's file, or creates one with a new key that only the owner may read (0600).
    pub fn load_or_generate(path: &Path, random: &dyn Randomness) -> Result<Self, KeyError> {
        let text = read_or_make_private(path, || Ok::<_, KeyError>(generate_text(random)))?;
        Self::parse(&text)
    }

    /// Returns the HMAC-SHA-256 of `data` under the key of `version`, separate for each `tag`. Under a version that the
    /// ring lacks, the result matches nothing.
    #[must_use]
    pub fn mac(&self, version: u32, tag: &str, data: &[u8]) -> [u8; 32] {
        let key = self
            .versions
            .get(&version)
            .map_or(&self.nowhere, |found| &found.mac);
        let mut context = hmac::Context::with_key(key);
        // The length distinguishes (tag, data) from every other split of the same bytes.
        context.update(&(tag.len() as u64).to_be_bytes());
        context.update(tag.as_bytes());
        context.update(data);
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }

    /// Returns the MAC of a fixed text under the key of `version`: if stored, it tells later if the version still has
    /// the same key. It reveals nothing of the key.
    #[must_use]
    pub fn check_mac(&self, version: u32) -> [u8; 32] {
        self.mac(version, CHECK_TAG, b"")
    }

    /// Returns the version that new values are made with.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Returns every version, oldest first.
    #[must_use]
    pub fn versions(&self) -> Vec<u32> {
        self.versions.keys().copied().collect()
    }

    /// Seals `plaintext` under the current key with AES-256-GCM, bound to `aad`.
    pub fn seal(
        &self,
        aad: &[u8],
        plaintext: &[u8],
        random: &dyn Randomness,
    ) -> Result<Sealed, KeyError> {
        let key = self
            .versions
            .get(&self.current)
            .ok_or(KeyError::UnknownVersion(self.current))?;
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = plaintext.to_vec();
        key.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut sealed,
            )
            .map_err(|_| KeyError::Refused)?;
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        Ok(Sealed {
            key_version: self.current,
            bytes,
        })
    }

    /// Opens what [`KeyRing::seal`] sealed for the same `aad`.
    pub fn open(&self, sealed: &Sealed, aad: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self
            .versions
            .get(&sealed.key_version)
            .ok_or(KeyError::UnknownVersion(sealed.key_version))?;
        let (nonce, ciphertext) = sealed
            .bytes
            .split_at_checked(NONCE_LEN)
            .ok_or(KeyError::DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::DoesNotOpen)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let plaintext = key
            .seal
            .open_in_place(nonce, Aad::from(aad), &mut buffer)
            .map_err(|_| KeyError::DoesNotOpen)?;
        Ok(plaintext.to_vec())
    }
}

/// Returns the text of a ring of one new key, version 1.
fn generate_text(random: &dyn Randomness) -> Zeroizing<String> {
    let mut material = Zeroizing::new([0; KEY_BYTES]);
    random.fill(material.as_mut_slice());
    let encoded = Zeroizing::new(STANDARD.encode(material.as_slice()));
    // Allocated at once: a text that grows leaves copies behind.
    Zeroizing::new(["1:", &encoded, "\n"].concat())
}

fn derive(material: &[u8]) -> Result<Version, KeyError> {
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"homeroom").extract(material);
    let subkey = |purpose: &'static [u8]| -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        root.expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .map_err(|_| KeyError::Refused)?;
        Ok(bytes)
    };
    let seal = UnboundKey::new(&AES_256_GCM, subkey(b"seal v1")?.as_slice())
        .map_err(|_| KeyError::Refused)?;
    Ok(Version {
        mac: hmac::Key::new(hmac::HMAC_SHA256, subkey(b"mac v1")?.as_slice()),
        seal: LessSafeKey::new(seal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandomness;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    const ONE: &str = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const TWO: &str = "2:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn both() -> KeyRing {
        KeyRing::parse(&format!("{ONE},{TWO}\n")).unwrap()
    }

    #[test]
    fn the_highest_version_is_current_and_old_ones_still_work() {
        let old = KeyRing::parse(ONE).unwrap();
        let ring = both();
        assert_eq!((ring.current(), ring.versions()), (2, vec![1, 2]));
        assert_eq!(old.mac(1, "tag", b"data"), ring.mac(1, "tag", b"data"));
        assert_ne!(ring.mac(1, "tag", b"data"), ring.mac(2, "tag", b"data"));
        let sealed = old
            .seal(b"place", b"text", &SeededRandomness::new(1))
            .unwrap();
        assert_eq!(ring.open(&sealed, b"place").unwrap(), b"text");
    }

    #[test]
    fn a_key_marked_next_opens_and_finds_and_is_not_made_with() {
        let ring = KeyRing::parse(&format!("{ONE},{TWO}:next\n")).unwrap();
        assert_eq!((ring.current(), ring.versions()), (1, vec![1, 2]));
        let random = SeededRandomness::new(1);
        assert_eq!(ring.seal(b"", b"text", &random).unwrap().key_version, 1);
        let sealed = both().seal(b"", b"text", &random).unwrap();
        assert_eq!(sealed.key_version, 2);
        assert_eq!(ring.open(&sealed, b"").unwrap(), b"text");
        assert_eq!(ring.mac(2, "tag", b"data"), both().mac(2, "tag", b"data"));
    }

    #[test]
    fn a_mac_is_apart_for_each_tag_and_split() {
        let ring = both();
        assert_ne!(ring.mac(1, "a", b"bc"), ring.mac(1, "ab", b"c"));
        assert_eq!(ring.mac(1, "a", b"bc"), ring.mac(1, "a", b"bc"));
    }

    #[test]
    fn an_unknown_version_matches_nothing() {
        assert_ne!(both().mac(3, "a", b"b"), both().mac(3, "a", b"b"));
        let sealed = Sealed {
            key_version: 3,
            bytes: vec![0; 40],
        };
        let refused = both().open(&sealed, b"").unwrap_err();
        assert!(matches!(refused, KeyError::UnknownVersion(3)));
    }

    #[test]
    fn a_sealed_value_is_bound_to_its_place_and_every_byte() {
        let ring = both();
        let sealed = ring
            .seal(b"place", b"text", &SeededRandomness::new(1))
            .unwrap();
        assert!(ring.open(&sealed, b"elsewhere").is_err());
        for index in 0..sealed.bytes.len() {
            let mut altered = sealed.clone();
            altered.bytes[index] ^= 1;
            assert!(ring.open(&altered, b"place").is_err(), "byte {index}");
        }
        for length in 0..sealed.bytes.len() {
            let mut cut = sealed.clone();
            cut.bytes.truncate(length);
            assert!(ring.open(&cut, b"place").is_err(), "length {length}");
        }
        let wrong_version = Sealed {
            key_version: 1,
            ..sealed
        };
        assert!(ring.open(&wrong_version, b"place").is_err());
    }

    #[test]
    fn a_check_tells_another_key_of_the_same_version() {
        let old = KeyRing::parse(ONE).unwrap();
        let other = KeyRing::parse(&TWO.replace("2:", "1:")).unwrap();
        assert_eq!(old.check_mac(1), both().check_mac(1));
        assert_ne!(old.check_mac(1), other.check_mac(1));
        assert_ne!(both().check_mac(1), both().check_mac(2));
    }

    #[test]
    fn malformed_rings_are_refused() {
        for text in ["", "AAAA", "x:AAAA", "1:AAAA", "1:!"] {
            assert!(KeyRing::parse(text).is_err(), "{text}");
        }
        for end in [&format!(",{ONE}"), ",", ":next", ":last", ":next:next"] {
            let text = format!("{ONE}{end}");
            assert!(KeyRing::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_material() {
        assert_eq!(format!("{:?}", both()), "KeyRing { versions: [1, 2], .. }");
    }

    #[test]
    fn a_generated_file_is_private_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let made = KeyRing::load_or_generate(&path, &SeededRandomness::new(5)).unwrap();
        let permissions = fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        let read = KeyRing::load_or_generate(&path, &SeededRandomness::new(6)).unwrap();
        assert_eq!(made.mac(1, "t", b"d"), read.mac(1, "t", b"d"));
    }
}
