//! Files that their owner alone may read: they hold names, addresses or credentials.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

const OWNER_ALONE: u32 = 0o600;

/// Opens a file for writing, and takes it from others before anything is written, even if it was there before.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.write(true).mode(OWNER_ALONE).open(path)?;
    // A pipe or a terminal is nobody's to change.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(OWNER_ALONE))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn a_file_that_others_could_read_is_taken_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slips.csv");
        fs::write(&path, "earlier").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut file = open(File::options().create(true).truncate(true), &path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ALONE);
        assert!(open(File::options().create(true), Path::new("/dev/null")).is_ok());
    }
}
