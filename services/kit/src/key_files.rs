//! The key files that settings name. What is wrong with one completes the sentence "NAME …", names the path,
//! and says nothing of what the file holds.

use std::{fmt, fs, path::Path};

use zeroize::Zeroizing;

use crate::{
    auth::{Keys, Signer},
    keys::KeyRing,
};

/// A JWK set of public keys.
pub fn read_jwks(path: &str) -> Result<Keys, String> {
    Keys::from_jwks(&read(path)?).map_err(|error| unusable(path, error))
}

/// A key ring. The file must be there: a service that made a key of its own could not read what another stored.
pub fn read_key_ring(path: &str) -> Result<KeyRing, String> {
    KeyRing::parse(&read(path)?).map_err(|error| unusable(path, error))
}

/// A service's own Ed25519 signing key.
pub fn read_signing_key(path: &str) -> Result<Signer, String> {
    Signer::from_pem(&read(path)?).map_err(|error| unusable(path, error))
}

/// What is said of a file that was read in vain.
pub(crate) fn unusable(path: &str, error: impl fmt::Display) -> String {
    format!("names {path}, which cannot be used: {error}")
}

fn read(path: &str) -> Result<Zeroizing<String>, String> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| {
            let hint = if Path::new(path).exists() {
                "let this user read it"
            } else {
                "`homeroom keys` makes it"
            };
            format!("names {path}, which cannot be read: {error}; {hint}")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_names_its_path_and_nothing_of_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1:hunter2").unwrap();
        let path = path.to_str().unwrap();
        let errors = [
            read_jwks(path).unwrap_err(),
            read_key_ring(path).unwrap_err(),
            read_signing_key(path).unwrap_err(),
        ];
        for error in errors {
            assert!(
                error.starts_with(&format!("names {path}, which")),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
        let absent = read_key_ring("/nowhere/keys").err().unwrap();
        assert!(absent.contains("/nowhere/keys") && absent.contains("`homeroom keys`"));
    }
}
