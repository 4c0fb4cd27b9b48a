//! A set of `OneRoster` 1.2 CSV files, which `homeroom import` reads back without a change.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Utc};
use homeroom_api::{
    common::v1::Role,
    membership::v1::{Member, Organization},
};

use super::{Roster, Written, id_of};
use crate::{
    Failure,
    roster::{
        CLASS_COLUMNS, COURSE_COLUMNS, ENROLLMENT_COLUMNS, EXPORTED_EXTERNAL_ID, EXPORTED_NAME,
        ORG_COLUMNS, ROLE_COLUMNS, SESSION_COLUMNS, USER_COLUMNS_1_2, guarded,
    },
};

/// The files that are written.
const BULK: [&str; 7] = [
    "academicSessions",
    "classes",
    "courses",
    "enrollments",
    "orgs",
    "roles",
    "users",
];
/// The other files of the standard.
const ABSENT: [&str; 14] = [
    "categories",
    "classResources",
    "courseResources",
    "demographics",
    "lineItemLearningObjectiveIds",
    "lineItems",
    "lineItemScoreScales",
    "resources",
    "resultLearningObjectiveIds",
    "results",
    "resultScoreScales",
    "scoreScales",
    "userProfiles",
    "userResources",
];

/// Returns the files. `people` are the members of the organization; members of classes that are not among them are added.
pub(super) fn files(
    school: &Organization,
    people: Vec<Member>,
    rosters: &[Roster],
    now: DateTime<Utc>,
) -> Result<Vec<Written>, Failure> {
    let school_id = id_of(&school.name);
    let year = now.year().to_string();
    let mut orgs = Csv::new("orgs", ORG_COLUMNS)?;
    orgs.row(&[
        ("sourcedId", school_id),
        ("name", &school.display_name),
        ("type", "school"),
    ])?;
    // Homeroom knows no terms, and a class needs one.
    let mut sessions = Csv::new("academicSessions", SESSION_COLUMNS)?;
    sessions.row(&[
        ("sourcedId", &year),
        ("title", &year),
        ("type", "schoolYear"),
        ("startDate", &format!("{year}-01-01")),
        ("endDate", &format!("{year}-12-31")),
        ("schoolYear", &year),
    ])?;
    let class_columns = format!("{CLASS_COLUMNS},{EXPORTED_EXTERNAL_ID}");
    let mut courses = Csv::new("courses", COURSE_COLUMNS)?;
    let mut classes = Csv::new("classes", &class_columns)?;
    let mut enrollments = Csv::new("enrollments", ENROLLMENT_COLUMNS)?;
    let mut of_school: BTreeMap<String, Member> = BTreeMap::new();
    for Roster { class, members } in rosters {
        let id = id_of(&class.name);
        courses.row(&[
            ("sourcedId", id),
            ("schoolYearSourcedId", &year),
            ("title", &class.display_name),
            ("courseCode", &class.external_id),
            ("orgSourcedId", school_id),
        ])?;
        classes.row(&[
            ("sourcedId", id),
            ("title", &class.display_name),
            ("courseSourcedId", id),
            ("classCode", &class.external_id),
            ("classType", "scheduled"),
            ("schoolSourcedId", school_id),
            ("termSourcedIds", &year),
            (EXPORTED_EXTERNAL_ID, &class.external_id),
        ])?;
        for member in members {
            let (role, primary) = match member.role() {
                Role::Owner => ("teacher", "true"),
                Role::CoTeacher => ("teacher", "false"),
                _ => ("student", "false"),
            };
            enrollments.row(&[
                ("sourcedId", &format!("{id}:{}", member.user)),
                ("classSourcedId", id),
                ("schoolSourcedId", school_id),
                ("userSourcedId", &member.user),
                ("role", role),
                ("primary", primary),
            ])?;
            let person = || member.clone();
            of_school.entry(member.user.clone()).or_insert_with(person);
        }
    }
    let people = people.into_iter();
    of_school.extend(people.map(|person| (person.user.clone(), person)));
    let [users, roles] = people_files(school_id, of_school.values())?;
    let manifest = manifest(school_id)?;
    [
        manifest,
        sessions,
        classes,
        courses,
        enrollments,
        orgs,
        roles,
        users,
    ]
    .into_iter()
    .map(Csv::written)
    .collect()
}

fn manifest(school_id: &str) -> Result<Csv, Failure> {
    let mut manifest = Csv::new("manifest", "propertyName,value")?;
    let bulk = BULK.iter().map(|file| (format!("file.{file}"), "bulk"));
    let absent = ABSENT.iter().map(|file| (format!("file.{file}"), "absent"));
    let modes: BTreeMap<String, &str> = bulk.chain(absent).collect();
    let before = [("manifest.version", "1.0"), ("oneroster.version", "1.2")];
    let after = [
        ("source.systemName", "Homeroom"),
        ("source.systemCode", school_id),
    ];
    let modes = modes.iter().map(|(name, mode)| (name.as_str(), *mode));
    for (name, value) in before.into_iter().chain(modes).chain(after) {
        manifest.row(&[("propertyName", name), ("value", value)])?;
    }
    Ok(manifest)
}

/// Returns the files of users and of their roles in the organization.
fn people_files<'m>(
    school_id: &str,
    people: impl Iterator<Item = &'m Member>,
) -> Result<[Csv; 2], Failure> {
    let user_columns = format!("{USER_COLUMNS_1_2},{EXPORTED_EXTERNAL_ID},{EXPORTED_NAME}");
    let mut users = Csv::new("users", &user_columns)?;
    let mut roles = Csv::new("roles", ROLE_COLUMNS)?;
    for person in people {
        let name = &person.display_name;
        // The whole name is in a column of its own, since Homeroom has no parts of it.
        let (given, family) = name.trim().rsplit_once(' ').unwrap_or((name, ""));
        users.row(&[
            ("sourcedId", &person.user),
            ("enabledUser", "true"),
            ("username", &person.user),
            ("givenName", given),
            ("familyName", family),
            ("identifier", &person.external_id),
            ("email", &person.email),
            ("primaryOrgSourcedId", school_id),
            (EXPORTED_EXTERNAL_ID, &person.external_id),
            (EXPORTED_NAME, name),
        ])?;
        let role = match person.role() {
            Role::Admin => "siteAdministrator",
            Role::Teacher | Role::Owner | Role::CoTeacher => "teacher",
            _ => "student",
        };
        roles.row(&[
            ("sourcedId", &person.user),
            ("userSourcedId", &person.user),
            ("roleType", "primary"),
            ("role", role),
            ("orgSourcedId", school_id),
        ])?;
    }
    Ok([users, roles])
}

/// A CSV file whose cells no spreadsheet runs.
struct Csv {
    name: &'static str,
    columns: Vec<String>,
    writer: csv::Writer<Vec<u8>>,
}

impl Csv {
    fn new(name: &'static str, header: &str) -> Result<Self, Failure> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        let columns: Vec<String> = header.split(',').map(str::to_owned).collect();
        writer.write_record(&columns)?;
        Ok(Self {
            name,
            columns,
            writer,
        })
    }

    /// Writes a row with these cells; the others are blank.
    fn row(&mut self, cells: &[(&str, &str)]) -> Result<(), Failure> {
        let record = self.columns.iter().map(|column| {
            let cell = cells.iter().find(|(name, _)| name == column);
            guarded(cell.map_or("", |(_, value)| value)).into_owned()
        });
        Ok(self.writer.write_record(record)?)
    }

    fn written(self) -> Result<Written, Failure> {
        let name = format!("{}.csv", self.name);
        let content = self.writer.into_inner()?;
        Ok(Written { name, content })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use homeroom_api::membership::v1::Class;

    use super::*;
    use crate::roster::{
        self, Files, Problem, Reading,
        Role::{Owner, Student},
        What,
    };

    struct Memory(Vec<Written>);

    impl Files for Memory {
        fn names(&self) -> Vec<String> {
            self.0.iter().map(|file| file.name.clone()).collect()
        }

        fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, Problem> {
            let file = self.0.iter().find(|file| file.name == name).unwrap();
            Ok(Box::new(file.content.as_slice()))
        }
    }

    fn member(user: &str, name: &str, external_id: &str, role: Role) -> Member {
        Member {
            user: user.to_owned(),
            display_name: name.to_owned(),
            email: "a@school.example".to_owned(),
            external_id: external_id.to_owned(),
            role: role.into(),
            ..Member::default()
        }
    }

    fn exported(people: Vec<Member>, members: Vec<Member>) -> Vec<Written> {
        let school = Organization {
            name: "organizations/hamilton".to_owned(),
            display_name: "Hamilton, \"the\" school".to_owned(),
            ..Organization::default()
        };
        let class = Class {
            name: "organizations/hamilton/classes/biology".to_owned(),
            display_name: "@Biology".to_owned(),
            external_id: "=BIO".to_owned(),
            ..Class::default()
        };
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        files(&school, people, &[Roster { class, members }], now).unwrap()
    }

    #[test]
    fn what_is_exported_is_read_back_the_same() {
        let people = [
            ("admin", "Cy", "", Role::Admin),
            ("a%2Fb", "=cmd|' /C calc'!A0", "-1", Role::Student),
            ("@bob", "'+Zoe\u{308}  van der Bob ", "", Role::Student),
            ("teacher", "", "'=x", Role::Teacher),
        ]
        .map(|(user, name, external_id, role)| member(user, name, external_id, role));
        let mut members = people[1..].to_vec();
        members[2].role = Role::Owner.into();
        let written = exported(people.to_vec(), members);
        let read = roster::read(&mut Memory(written), &Reading::default()).unwrap();
        assert_eq!(read.format, "OneRoster 1.2, bulk");
        assert!(read.findings.problems.is_empty(), "{:?}", read.findings);
        assert!(read.findings.notes.is_empty(), "{:?}", read.findings);
        for person in &people {
            let found = read
                .people
                .iter()
                .find(|one| *one.user == *person.user)
                .unwrap();
            assert_eq!(*found.display_name, *person.display_name);
            assert_eq!(*found.external_id, *person.external_id);
            assert_eq!(*found.email, *person.email);
        }
        let class = &read.classes[0];
        assert_eq!(
            (class.id.as_deref(), &*class.external_id),
            (Some("biology"), "=BIO")
        );
        assert_eq!(&*class.title, "@Biology");
        let whats: Vec<What> = read.rows.iter().map(|row| row.what).collect();
        let role = |role| What::Enroll(role);
        assert_eq!(whats, [role(Student), role(Student), role(Owner)]);
    }

    #[test]
    fn no_cell_runs_in_a_spreadsheet() {
        let people = ["=", "+", "-", "@", "\t", "\r"].map(|beginning| {
            let text = format!("{beginning}1");
            member(
                &format!("u{}", beginning.escape_default()),
                &text,
                &text,
                Role::Student,
            )
        });
        for file in exported(people.to_vec(), people.to_vec()) {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(&*file.content);
            for record in reader.records() {
                let record = record.unwrap();
                let runs = record
                    .iter()
                    .find(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
                assert_eq!(runs, None, "{}", file.name);
            }
        }
    }

    #[test]
    fn a_class_alone_is_exported_with_its_own_people() {
        let written = exported(
            Vec::new(),
            vec![member("ada", "Ada Lovelace", "", Role::Student)],
        );
        let users = written
            .iter()
            .find(|file| file.name == "users.csv")
            .unwrap();
        let users = String::from_utf8(users.content.clone()).unwrap();
        assert!(
            users.contains("\r\nada,,,true,ada,,Ada,Lovelace,"),
            "{users}"
        );
    }
}
