//! Files of keys and secrets: all are read in the same way, and written so that only their owner may read them,
//! atomically and never over an existing file. An error completes the sentence "NAME …", names the path, and reveals
//! nothing of the file's content.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// Maximum size of a file of keys or of a secret in bytes, so that a wrong file does not fill the memory.
pub const KEY_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Reads a whole file of keys or of a secret. The text is wiped from memory when it is dropped.
pub fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // Allocated at once: a text that grows leaves copies behind.
    let room = length.min(KEY_FILE_BYTES_MAX) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let mut most = file.take(KEY_FILE_BYTES_MAX as u64 + 1);
    most.read_to_string(&mut text)?;
    if text.len() > KEY_FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {KEY_FILE_BYTES_MAX} bytes"),
        ));
    }
    Ok(text)
}

/// Reads the file that a setting names, and parses its content.
pub fn read_named<T, E: fmt::Display>(
    path: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, String> {
    let text = read_text(Path::new(path)).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; `homeroom keys` makes it",
            io::ErrorKind::PermissionDenied => "; let this user read it",
            _ => "",
        };
        format!("names {path}, which cannot be read: {error}{hint}")
    })?;
    parse(&text).map_err(|error| format!("names {path}, which cannot be used: {error}"))
}

/// Reads a file of secrets, or creates one that only its owner may read (0600).
pub(crate) fn read_or_make_private<E: From<io::Error>>(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<String>, E>,
) -> Result<Zeroizing<String>, E> {
    match read_text(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return Ok(read?),
    }
    write_if_missing(path, &make()?)?;
    // Another process may have created it first.
    Ok(read_text(path)?)
}

/// Writes a file that only its owner may read (0600), atomically, unless a file of that name exists. A crash leaves at
/// most a file of another name beside it, also private, whose key nothing uses.
pub fn write_if_missing(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        persisted => persisted?,
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

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
        // A file that reports no length and never ends.
        let endless = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_wrong_with_a_file_names_its_path_and_nothing_of_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1:hunter2").unwrap();
        let path = path.to_str().unwrap();
        let refused = |text: &str| Err::<(), _>(format!("{} bytes", text.len()));
        let error = read_named(path, refused).unwrap_err();
        let expected = format!("names {path}, which cannot be used: 9 bytes");
        assert_eq!(error, expected);
        let absent = read_named("/nowhere/keys", refused).unwrap_err();
        assert!(absent.contains("/nowhere/keys") && absent.contains("`homeroom keys`"));
    }

    #[test]
    fn a_file_is_written_whole_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        // The second one is of another process, which came first.
        let read: io::Result<_> = read_or_make_private(&path, || {
            write_if_missing(&path, "theirs")?;
            Ok(Zeroizing::new("ours".to_owned()))
        });
        assert_eq!(read.unwrap().as_str(), "theirs");
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
