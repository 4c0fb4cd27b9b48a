//! Keeps the evidence of a round with violations.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use homeroom_kit::database::Url;
use homeroom_tests::databases::Reader;

use crate::stage::Stage;

/// Writes the violations, both logs and both databases to a folder.
pub(crate) fn keep(folder: &Path, stage: &Stage, found: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("found.txt"), found).unwrap();
    for service in &stage.services {
        let log = &service.settings.log;
        drop(fs::copy(log, folder.join(log.file_name().unwrap())));
    }
    for (url, name) in stage.urls.iter().zip(["membership", "invitations"]) {
        match url {
            Url::Postgres(url) => dump(url, &folder.join(format!("{name}.sql"))),
            Url::Sqlite(path) => {
                for suffix in ["", "-wal"] {
                    let from = format!("{}{suffix}", path.display());
                    drop(fs::copy(from, folder.join(format!("{name}.db{suffix}"))));
                }
            }
        }
    }
}

fn dump(url: &str, file: &Path) {
    let Some(program) = pg_dump() else { return };
    let Ok(file) = File::create(file) else { return };
    // The evidence is useful without the dump too.
    let status = Command::new(program)
        .args(["--dbname", url])
        .stdout(file)
        .stderr(Stdio::null())
        .status();
    drop(status);
}

/// Returns the newest installed `pg_dump`.
fn pg_dump() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions
        .flatten()
        .map(|version| version.path().join("bin/pg_dump"));
    programs.filter(|program| program.exists()).max()
}

/// Drops a database, even if clients are connected.
pub(crate) async fn drop_database(url: &str) {
    let mut server = url::Url::parse(url).unwrap();
    let name = server.path().trim_start_matches('/').to_owned();
    server.set_path("postgres");
    let drop_it = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    // A database that remains does no harm: the next round has others.
    if let Ok(mut server) = Reader::open(&Url::Postgres(server.to_string())).await {
        drop(server.execute(&drop_it).await);
    }
}
