//! The manifest of a set of `OneRoster` files: its version, and how each file is to be read.

use std::collections::BTreeMap;

use super::{
    files::Files,
    findings::{Findings, Refused},
    table::{Names, Table},
};

pub(super) const MANIFEST: &str = "manifest.csv";
pub(super) const CLASSES: &str = "classes.csv";
pub(super) const USERS: &str = "users.csv";
pub(super) const ROLES: &str = "roles.csv";
pub(super) const ENROLLMENTS: &str = "enrollments.csv";

/// How a file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It has every record.
    Bulk,
    /// It has what changed.
    Delta,
    /// There is no such file.
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1_1,
    V1_2,
}

pub(super) struct Manifest {
    pub(super) version: Version,
    modes: BTreeMap<String, Mode>,
}

impl Manifest {
    pub(super) fn mode(&self, file: &str) -> Mode {
        self.modes.get(file).copied().unwrap_or(Mode::Absent)
    }
}

/// Reads the manifest, and compares it with the files that are there.
pub(super) fn read_manifest(files: &mut dyn Files) -> Result<Manifest, Refused> {
    let names = files.names();
    let mut table = Table::open(MANIFEST, files.open(MANIFEST)?, Names::Exact)?;
    table.require(&["propertyName", "value"])?;
    let (property, value) = (table.column("propertyName"), table.column("value"));
    let (mut version, mut modes) = (
        Err("oneroster.version is missing".to_owned()),
        BTreeMap::new(),
    );
    let mut findings = Findings::default();
    let mut problems = Vec::new();
    while table.advance(&mut findings)? {
        let (property, value) = (table.cell(property), table.cell(value));
        if property == "oneroster.version" {
            version = match value {
                "1.1" => Ok(Version::V1_1),
                "1.2" => Ok(Version::V1_2),
                other => Err(format!("OneRoster {other} is not read")),
            };
        }
        let Some(file) = property.strip_prefix("file.") else {
            continue;
        };
        let file = format!("{file}.csv");
        match listed(&file, value, &names) {
            Ok(mode) => {
                modes.insert(file, mode);
            }
            Err((what, fix)) => problems.push(table.problem(what, fix)),
        }
    }
    problems.extend(findings.problems.into_iter().map(|(_, problem)| problem));
    if let Err(what) = &version {
        problems.push(table.of_file(what.as_str(), "export OneRoster 1.1 or 1.2"));
    }
    for file in [CLASSES, USERS, ROLES, ENROLLMENTS] {
        if !modes.contains_key(file) && names.iter().any(|name| name == file) {
            let what = format!("{file} is there, and the manifest does not list it");
            problems.push(table.of_file(what, "add it to the manifest"));
        }
    }
    match version {
        Ok(version) if problems.is_empty() => {
            let manifest = Manifest { version, modes };
            if manifest.mode(ENROLLMENTS) == Mode::Absent {
                Err(table.of_file("there are no enrollments", "add enrollments.csv"))?;
            }
            Ok(manifest)
        }
        _ => Err(Refused(problems)),
    }
}

/// Returns how a file is to be read, or what is wrong with its line of the manifest.
fn listed(file: &str, mode: &str, names: &[String]) -> Result<Mode, (String, &'static str)> {
    let mode = match mode.to_ascii_lowercase().as_str() {
        "bulk" => Mode::Bulk,
        "delta" => Mode::Delta,
        "absent" => Mode::Absent,
        _ => {
            return Err((
                format!("{file} is listed as {mode}"),
                "write bulk, delta or absent",
            ));
        }
    };
    let is_there = names.iter().any(|name| name == file);
    match (mode == Mode::Absent, is_there) {
        (true, true) => {
            let what = format!("{file} is listed as absent, and is there");
            Err((what, "correct the manifest"))
        }
        (false, false) => {
            let what = format!("{file} is listed, and is not there");
            Err((what, "add the file, or list it as absent"))
        }
        _ => Ok(mode),
    }
}
