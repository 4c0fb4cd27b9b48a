//! The traps of roster files: each has a small file of its own.

mod canvas;
mod oneroster;
mod plain;

use std::io::Read;

use super::{
    HEADER_CHARS_MAX, Problem, Reading, Refused, Roster,
    files::Files,
    findings::Left,
    read,
    rows::{Role, Row, What},
};

/// Files in memory.
struct Memory(Vec<(String, Vec<u8>)>);

impl Files for Memory {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, Problem> {
        let found = self.0.iter().find(|(file, _)| file == name).unwrap();
        Ok(Box::new(found.1.as_slice()))
    }
}

fn read_as(files: &[(&str, &str)], reading: &Reading) -> Result<Roster, Refused> {
    let files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    read(&mut Memory(files.collect()), reading)
}

fn read_files(files: &[(&str, &str)]) -> Result<Roster, Refused> {
    read_as(files, &Reading::default())
}

/// Returns what is said of files that cannot be imported.
fn refused(files: &[(&str, &str)]) -> String {
    read_files(files).expect_err("they are read").to_string()
}

/// Returns each row as `class user what`.
fn told(roster: &Roster) -> Vec<String> {
    let told = |row: &Row| {
        let class = row.class.map(|class| &roster.classes[class as usize]);
        let class = class.map_or("-", |class| &class.external_id);
        let user = &roster.people[row.person as usize].user;
        let what = match row.what {
            What::Remove => "remove",
            What::Keep => "keep",
            What::Enroll(Role::Unstated) => "unstated",
            What::Enroll(Role::Student) => "student",
            What::Enroll(Role::Assistant) => "assistant",
            What::Enroll(Role::Teacher) => "teacher",
            What::Enroll(Role::Owner) => "owner",
            What::Enroll(Role::Administrator) => "administrator",
        };
        format!("{class} {user} {what}")
    };
    roster.rows.iter().map(told).collect()
}

/// Returns what is said of the rows that were left out for this reason.
fn said(roster: &Roster, left: Left) -> Vec<String> {
    let of_kind = roster
        .findings
        .problems
        .iter()
        .filter(|(kind, _)| *kind == left);
    of_kind.map(|(_, problem)| problem.to_string()).collect()
}

fn notes(roster: &Roster) -> String {
    let notes = roster.findings.notes.iter().map(ToString::to_string);
    notes.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_format_that_is_not_known_is_told() {
    let files = [
        ("a.csv", "Users,clas,role\nada,b,student\n"),
        ("b.csv", "size\n1\n"),
    ];
    let said = refused(&files);
    assert_eq!(
        said,
        "a.csv: no format that is read has the header users, clas, role; leave it out\n\
        b.csv: no format that is read has the header size; a CSV file needs the column user, or the one that --user-id \
        names, and may have class, role, name, email and external_id; Canvas and OneRoster files keep the header of their \
        export"
    );
    let header = |letters: usize| format!("{}\n", "x".repeat(letters));
    assert!(refused(&[("a.csv", &header(HEADER_CHARS_MAX))]).contains("x; a CSV"));
    assert!(refused(&[("a.csv", &header(HEADER_CHARS_MAX + 1))]).contains("x…; a CSV"));
    let both = [
        ("a.csv", "user\nada\n"),
        ("b.csv", "user_id,login_id,status\n1,ada,active\n"),
    ];
    assert!(refused(&both).contains("beside each other"));
}

#[test]
fn sds_v2_1_is_not_oneroster_and_is_called_by_its_name() {
    let roles = "userSourcedId,orgSourcedId,role,sessionSourcedId,grade,isPrimary,roleStartDate,roleEndDate\n\
        114001,1,professor,,,TRUE,8/24/2021,\n";
    let enrollments = "classSourcedId,userSourcedId,role\nc1,114001,student\n";
    for (name, text) in [("roles.csv", roles), ("enrollments.csv", enrollments)] {
        let said = refused(&[(name, text)]);
        assert!(
            said.contains("School Data Sync (SDS), which is not OneRoster"),
            "{said}"
        );
    }
}

#[test]
fn version_a_set_without_a_manifest_is_not_guessed() {
    // OneRoster 1.0 has none.
    let enrollments = "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role,status\n1,c,s,u,student,active\n";
    let said = refused(&[("enrollments.csv", enrollments)]);
    assert!(
        said.contains("no manifest.csv to tell the version"),
        "{said}"
    );
}
