//! `homeroom backup`: copies both databases of a data folder as they were at one moment, even while they are served.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use anstream::println;
use homeroom_kit::key_files::write_if_missing;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    Failure,
    arguments::BackupArguments,
    data_folder::{DataFolder, INVITATIONS_DATABASE_FILE, MEMBERSHIP_DATABASE_FILE},
};

/// The longest wait for the writes in progress to end, in seconds.
const LOCK_SECONDS_MAX: u64 = 30;
/// Both databases, in the order in which they are locked.
const DATABASES: [&str; 2] = [MEMBERSHIP_DATABASE_FILE, INVITATIONS_DATABASE_FILE];

pub(crate) async fn run(arguments: &BackupArguments) -> Result<(), Failure> {
    let to = DataFolder::open_or_create(&arguments.to)?;
    for name in DATABASES {
        let copy = to.file(name);
        if copy.exists() {
            let copy = copy.display();
            return Err(format!("{copy} is there already: give an empty folder").into());
        }
    }
    let whole = tempfile::tempdir_in(to.path())?;
    copy(&arguments.data, whole.path()).await?;
    for name in DATABASES {
        fs::rename(whole.path().join(name), to.file(name))?;
        println!("{}", to.file(name).display());
    }
    File::open(to.path())?.sync_all()?;
    println!(
        "The key files are not among them: keep a copy of those apart, of invitations.keys above all."
    );
    Ok(())
}

/// Copies both databases. Writes to both are locked out meanwhile, since a redemption changes one after the other.
async fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let [membership, invitations] = DATABASES.map(|name| from.join(name));
    let mut held = open(&membership).await?;
    sqlx::query("ATTACH $1 AS invitations")
        .bind(text(&invitations)?)
        .execute(&mut held)
        .await?;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut held).await?;
    for name in DATABASES {
        let copy = to.join(name);
        // SQLite fills an existing empty file, which here is accessible to its owner only.
        write_if_missing(&copy, "")?;
        let mut read = open(&from.join(name)).await?;
        sqlx::query("VACUUM INTO $1")
            .bind(text(&copy)?)
            .execute(&mut read)
            .await?;
        read.close().await?;
        File::open(copy)?.sync_all()?;
    }
    held.close().await?;
    Ok(())
}

async fn open(file: &Path) -> Result<SqliteConnection, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(LOCK_SECONDS_MAX));
    let opened = options.connect().await;
    opened.map_err(|error| format!("{} cannot be read: {error}", file.display()).into())
}

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}
