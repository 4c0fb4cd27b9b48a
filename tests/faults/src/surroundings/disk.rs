//! A small disk that is filled on demand.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use homeroom_tests::postgres::is_root;

const CHUNK_BYTES: usize = 64 * 1024;
const PAGE_BYTES: usize = 4 * 1024;

/// A separate file system in memory. It is unmounted when dropped; everything that has files on it
/// must be dropped before.
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts a file system of this many bytes.
    ///
    /// # Errors
    /// Returns a message if the process is not root.
    pub fn mount(bytes: u64) -> Result<Self, String> {
        if !is_root() {
            return Err("a disk of limited size is mounted by root alone".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("homeroom-disk-").tempdir();
        let folder = folder.map_err(|error| error.to_string())?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=755")])
            .arg("homeroom-disk")
            .arg(folder.path())
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned());
        }
        Ok(Self { folder })
    }

    /// Returns the mount point.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all remaining space. Every file that grows from now on fails (ENOSPC).
    pub fn fill(&self) {
        let mut filler = File::options();
        let mut filler = filler
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        for size in [CHUNK_BYTES, PAGE_BYTES] {
            let full = loop {
                if let Err(error) = filler.write_all(&vec![0; size]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
    }

    /// Frees the space that was taken.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The unmount is lazy, since an open file must not keep the mount.
        let mut unmount = Command::new("umount");
        drop(unmount.arg("--lazy").arg(self.folder()).status());
    }
}
