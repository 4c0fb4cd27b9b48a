//! Files of keys and secrets, read in one way, and those that settings name. What is wrong with one completes
//! the sentence "NAME …", names the path, and says nothing of what the file holds.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{auth::Signer, keys::KeyRing};

/// Bytes of a file of keys or of a secret at most: a wrong file does not fill the memory.
pub const KEY_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Reads a file of keys or of a secret whole. What is left of it in memory is cleared with the answer.
pub fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let bound = u64::try_from(KEY_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let file = File::open(path)?;
    let length = file.metadata()?.len().min(bound);
    // Of one piece: a text that grows leaves copies behind.
    let room = usize::try_from(length).unwrap_or(KEY_FILE_BYTES_MAX) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(bound.saturating_add(1))
        .read_to_string(&mut text)?;
    if text.len() > KEY_FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {KEY_FILE_BYTES_MAX} bytes"),
        ));
    }
    Ok(text)
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

/// What is said of a file that cannot be read.
pub(crate) fn unreadable(path: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "; `homeroom keys` makes it",
        io::ErrorKind::PermissionDenied => "; let this user read it",
        _ => "",
    };
    format!("names {path}, which cannot be read: {error}{hint}")
}

fn read(path: &str) -> Result<Zeroizing<String>, String> {
    read_text(Path::new(path)).map_err(|error| unreadable(path, &error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let most = "k".repeat(KEY_FILE_BYTES_MAX);
        fs::write(&path, &most).unwrap();
        assert_eq!(*read_text(&path).unwrap(), most);
        fs::write(&path, most + "k").unwrap();
        let refused = read_text(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        // One that tells no length of its own, and never ends.
        let endless = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_wrong_with_a_file_names_its_path_and_nothing_of_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1:hunter2").unwrap();
        let path = path.to_str().unwrap();
        let errors = [
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
