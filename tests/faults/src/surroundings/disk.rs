//! A small disk that is filled on demand.

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::process::{is_root, run};

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
        let folder = tempfile::Builder::new()
            .prefix("homeroom-disk-")
            .tempdir()
            .map_err(|error| error.to_string())?;
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
        let mut filler = File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        for size in [CHUNK_BYTES, PAGE_BYTES] {
            let zeros = vec![0; size];
            loop {
                match filler.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Takes all remaining space except this many bytes.
    pub fn fill_but(&self, bytes: u64) {
        self.fill();
        let filler = File::options().write(true).open(self.filler()).unwrap();
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(bytes)).unwrap();
    }

    /// Frees the space that was taken.
    pub fn free(&self) {
        match fs::remove_file(self.filler()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => panic!("the disk cannot be freed: {error}"),
        }
    }

    /// Creates a folder on it to which every user may write.
    #[must_use]
    pub fn shared_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        folder
    }

    fn filler(&self) -> PathBuf {
        self.folder().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The unmount is lazy, since an open file must not keep the mount.
        let unmount = || run(Command::new("umount").arg("--lazy").arg(self.folder()));
        if std::thread::panicking() {
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
                unmount,
            )));
        } else {
            unmount();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use sqlx::{Connection as _, Executor as _, PgConnection};

    use super::SmallDisk;
    use crate::surroundings::{Postgres, PostgresOptions};

    fn disk(mebibytes: u64) -> SmallDisk {
        SmallDisk::mount(mebibytes << 20).unwrap()
    }

    #[test]
    #[ignore = "mounts a file system: as root, with `--include-ignored`"]
    fn a_full_disk_takes_nothing_until_it_is_freed() {
        let disk = disk(1);
        let path = disk.shared_folder("files").join("file");
        let write = |bytes: usize| std::fs::write(&path, vec![1; bytes]);
        write(1000).unwrap();
        disk.fill();
        assert_eq!(write(10_000).unwrap_err().kind(), ErrorKind::StorageFull);
        disk.fill_but(16 << 10);
        write(10_000).unwrap();
        assert_eq!(write(50_000).unwrap_err().kind(), ErrorKind::StorageFull);
        disk.free();
        write(50_000).unwrap();
        let folder = disk.folder().to_owned();
        drop(disk);
        assert!(!folder.exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "mounts a file system: as root, with `--include-ignored`"]
    async fn postgres_fails_on_a_full_disk_and_goes_on_when_it_is_freed() {
        let disk = disk(128);
        let mut postgres = Postgres::start(PostgresOptions {
            folder: Some(disk.folder().to_owned()),
            ..PostgresOptions::default()
        })
        .await;
        let url = postgres.url("postgres");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let table = "CREATE TABLE pages (text TEXT)";
        connection.execute(table).await.unwrap();
        let insert = "INSERT INTO pages SELECT repeat('x', 500) FROM generate_series(1, 1000)";
        connection.execute(insert).await.unwrap();
        disk.fill();
        let mut inserts = 0;
        while connection.execute(insert).await.is_ok() {
            inserts += 1;
            assert!(inserts < 100, "the disk never was full");
        }
        disk.free();
        postgres.start_again().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.execute(insert).await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM pages")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(rows, (inserts + 2) * 1000);
    }
}
