//! Files of secrets that only their owner may read: whole or not there, and never written over.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use zeroize::Zeroizing;

use crate::{
    key_files::read_text,
    random::{Randomness as _, SystemRandomness},
};

/// Reads a file of secrets, or makes one that only its owner may read (0600).
pub(crate) fn read_or_make_private<E: From<io::Error>>(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<String>, E>,
) -> Result<Zeroizing<String>, E> {
    match read_text(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let text = make()?;
    match write_private(path, text.as_bytes()) {
        Ok(()) => Ok(text),
        // Another process made it first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read_text(path)?),
        Err(error) => Err(error.into()),
    }
}

/// Writes a file that only its owner may read (0600), unless there is one of that name.
pub fn write_if_missing(path: &Path, text: &str) -> io::Result<()> {
    match write_private(path, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

/// Writes a file that must not exist yet, whole or not at all.
///
/// A crash leaves at most a file of another name beside it, private too, whose key nothing uses.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut suffix = [0; 8];
    SystemRandomness.fill(&mut suffix);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:016x}.tmp", u64::from_be_bytes(suffix)));
    let temporary = Path::new(&temporary);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        // Unlike a rename, a link never replaces a file that is there.
        .and_then(|()| fs::hard_link(temporary, path));
    let removed = fs::remove_file(temporary);
    written.and(removed)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        write_private(&path, b"first").unwrap();
        let refused = write_private(&path, b"second").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_another_process_made_meanwhile_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let read: io::Result<_> = read_or_make_private(&path, || {
            write_private(&path, b"theirs")?;
            Ok(Zeroizing::new("ours".to_owned()))
        });
        assert_eq!(read.unwrap().as_str(), "theirs");
    }
}
