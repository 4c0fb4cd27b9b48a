//! `OneRoster` 1.1 and 1.2, the CSV binding: the manifest says which version, and how each file is to be read.

use super::{
    cells::{boolean, name, one_id},
    columns::{
        CLASS_COLUMNS, ENROLLMENT_COLUMNS, EXPORTED_EXTERNAL_ID, EXPORTED_NAME, USER_COLUMNS_1_1,
        USER_COLUMNS_1_2,
    },
    files::Files,
    findings::{Findings, Left, Problem, Refused, UNKNOWN_ROLE, Wrong},
    manifest::{CLASSES, ENROLLMENTS, Manifest, Mode, ROLES, USERS, Version, read_manifest},
    rows::{Class, Index, Meaning, Person, Read, Reading, Role, Roster, What, external_id},
    table::{Column, Names, Table},
};

/// Reads a set of files with a manifest.
pub(super) fn read(files: &mut dyn Files, reading: &Reading) -> Result<Roster, Refused> {
    let manifest = read_manifest(files)?;
    let complete = manifest.mode(ENROLLMENTS) == Mode::Bulk;
    let (version, users) = match manifest.version {
        Version::V1_1 => ("1.1", USER_COLUMNS_1_1),
        Version::V1_2 => ("1.2", USER_COLUMNS_1_2),
    };
    let mode = if complete { "bulk" } else { "delta" };
    let mut roster = Roster::new(format!("OneRoster {version}, {mode}"), complete);
    check_headers(files, &manifest, users, reading, &mut roster.findings)?;
    let mut reader = OneRoster {
        manifest,
        reading,
        roster,
        classes: Index::new(),
        users: Index::new(),
    };
    reader.read_classes(files)?;
    reader.read_users(files)?;
    reader.read_enrollments(files)?;
    Ok(reader.roster)
}

/// Checks the headers of all files before any row is read, so that all that is wrong with them is told at once.
fn check_headers(
    files: &mut dyn Files,
    manifest: &Manifest,
    users: &str,
    reading: &Reading,
    findings: &mut Findings,
) -> Result<(), Refused> {
    let user_column = reading.user_column.as_deref().unwrap_or("sourcedId");
    let mut problems = Vec::new();
    for (file, required, known) in [
        (CLASSES, &["sourcedId", "title"][..], CLASS_COLUMNS),
        (
            USERS,
            &["sourcedId", "givenName", "familyName", user_column][..],
            users,
        ),
        (
            ENROLLMENTS,
            &["classSourcedId", "userSourcedId", "role"][..],
            ENROLLMENT_COLUMNS,
        ),
    ] {
        let mode = manifest.mode(file);
        if mode == Mode::Absent {
            continue;
        }
        let status = (file == ENROLLMENTS && mode == Mode::Delta).then_some("status");
        let required: Vec<&str> = required.iter().copied().chain(status).collect();
        let checked = files.open(file).and_then(|read| {
            let table = Table::open(file, read, Names::Exact)?;
            table.require(&required)?;
            table.compare(known, "", findings);
            let old_role = file == USERS && manifest.version == Version::V1_2;
            if old_role && table.column("role").is_some() && manifest.mode(ROLES) == Mode::Absent {
                let what = "it has a column role, as in OneRoster 1.1, and there is no roles.csv; \
                    the roles of enrollments.csv are read alone";
                findings.note(table.of_file(what, ""));
            }
            Ok(())
        });
        problems.extend(checked.err());
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Refused(problems))
    }
}

struct OneRoster<'a> {
    manifest: Manifest,
    reading: &'a Reading,
    roster: Roster,
    classes: Index,
    users: Index,
}

impl OneRoster<'_> {
    fn read_classes(&mut self, files: &mut dyn Files) -> Result<(), Problem> {
        let Some(mut table) = open(files, &self.manifest, CLASSES)? else {
            return Ok(());
        };
        let [id, title, exported] =
            ["sourcedId", "title", EXPORTED_EXTERNAL_ID].map(|name| table.column(name));
        while table.advance(&mut self.roster.findings)? {
            let class = one_id(table.cell(id))
                .map_err(str::to_owned)
                .and_then(|key| {
                    let own = exported.map(|_| table.cell(exported));
                    let external = own.filter(|external| !external.is_empty()).unwrap_or(key);
                    let class = Class {
                        id: exported.map(|_| key.into()),
                        external_id: external_id(external)?,
                        title: name(&[table.cell(title)]),
                    };
                    let added = self.classes.add(&mut self.roster.classes, key, class);
                    added
                        .ok_or_else(|| format!("{key} is there already"))
                        .map(|_| ())
                });
            if let Err(what) = class {
                let problem = table.problem(format!("sourcedId: {what}"), "correct the id");
                self.roster.findings.leave_out(Left::Unreadable, problem);
            }
        }
        has_rows(&table, self.manifest.mode(CLASSES))
    }

    fn read_users(&mut self, files: &mut dyn Files) -> Result<(), Problem> {
        let Some(mut table) = open(files, &self.manifest, USERS)? else {
            return Ok(());
        };
        let id = table.column("sourcedId");
        let user = self.reading.user_column.as_deref().unwrap_or("sourcedId");
        let user = table.column(user);
        let [given, family, email, preferred_given, preferred_family] = [
            "givenName",
            "familyName",
            "email",
            "preferredGivenName",
            "preferredFamilyName",
        ]
        .map(|name| table.column(name));
        let [exported, exported_name] =
            [EXPORTED_EXTERNAL_ID, EXPORTED_NAME].map(|name| table.column(name));
        while table.advance(&mut self.roster.findings)? {
            let first = |preferred, legal| match table.cell(preferred) {
                "" => table.cell(legal),
                preferred => preferred,
            };
            let shown = if exported.is_some() {
                table.raw(exported_name).into()
            } else {
                name(&[
                    first(preferred_given, given),
                    first(preferred_family, family),
                ])
            };
            let (key, subject) = (table.cell(id), table.cell(user));
            let ids = if exported.is_some() {
                Reading::checked(subject).map(|user| (user, table.cell(exported)))
            } else {
                let key = one_id(key).map_err(str::to_owned);
                key.and_then(|key| Ok((self.reading.user(subject)?, key)))
            };
            let person = ids.and_then(|(user, external)| {
                let person = Person {
                    user,
                    display_name: shown,
                    email: table.cell(email).into(),
                    external_id: external_id(external)?,
                };
                self.roster.add_person(&mut self.users, key, person)
            });
            if let Err(what) = person {
                let problem = table.problem(format!("sourcedId: {what}"), "correct the id");
                self.roster.findings.leave_out(Left::Unreadable, problem);
            }
        }
        has_rows(&table, self.manifest.mode(USERS))
    }

    fn read_enrollments(&mut self, files: &mut dyn Files) -> Result<(), Problem> {
        let file = self.roster.file(ENROLLMENTS);
        let Some(mut table) = open(files, &self.manifest, ENROLLMENTS)? else {
            return Ok(());
        };
        let columns = Columns::of(&table);
        while table.advance(&mut self.roster.findings)? {
            let read = self.read_enrollment(&table, &columns);
            self.roster.take(&table, file, read);
        }
        has_rows(&table, self.manifest.mode(ENROLLMENTS))
    }

    /// Reads a row as a class, a person and what it says about them; or why not, and what to do.
    fn read_enrollment(&mut self, table: &Table<'_>, columns: &Columns) -> Result<Read, Wrong> {
        let unreadable = |what: String, fix| (Left::Unreadable, what, fix);
        let ids = [
            ("classSourcedId", columns.class),
            ("userSourcedId", columns.user),
        ];
        let [class, user] = ids.map(|(name, column)| {
            let id = table.cell(column);
            // What was exported may hold any id.
            let is_known = self.users.get(id).or(self.classes.get(id)).is_some();
            let id = if is_known { Ok(id) } else { one_id(id) };
            id.map_err(|what| unreadable(format!("{name} {what}"), "write a row for each"))
        });
        let (class, user) = (class?, user?);
        let dates = [columns.begin, columns.end].map(|date| table.cell(date));
        table.note_dates(dates, &mut self.roster.findings);
        let primary = self.primary(table, columns);
        let status = table.cell(columns.status).to_ascii_lowercase();
        let removed = match (self.manifest.mode(ENROLLMENTS), status.as_str()) {
            (Mode::Bulk, _) | (_, "active") => false,
            (_, "tobedeleted") => true,
            (_, other) => {
                let what = format!("the status is {other:?}");
                return Err(unreadable(what, "write active or tobedeleted"));
            }
        };
        let orphan = |what| (Left::Orphan, what, "add it there, or remove the row");
        let (class, person) = (
            self.class(class).map_err(orphan)?,
            self.person(user).map_err(orphan)?,
        );
        let role = table.cell(columns.role);
        let what = match self.reading.meaning(role, meaning) {
            _ if removed => What::Remove,
            Meaning::Member(Role::Teacher) if primary => What::Enroll(Role::Owner),
            Meaning::Member(role) => What::Enroll(role),
            Meaning::Other => {
                self.roster.findings.count(Left::OtherRole);
                What::Keep
            }
            Meaning::Unknown => {
                let problem = table.problem(format!("the role {role} is not known"), UNKNOWN_ROLE);
                self.roster.findings.leave_out(Left::UnknownRole, problem);
                What::Keep
            }
        };
        Ok((Some(class), person, what))
    }

    /// Returns true for the teacher who is the class's first.
    fn primary(&mut self, table: &Table<'_>, columns: &Columns) -> bool {
        let cell = table.cell(columns.primary);
        let (value, exact) = boolean(cell).unwrap_or((false, cell.is_empty()));
        if !exact {
            let note = || table.problem(format!("primary is {cell}, and is read as {value}"), "");
            self.roster.findings.note_once("primary", note);
        }
        value
    }

    /// Returns the class of an enrollment. In a delta it may be known from before.
    fn class(&mut self, key: &str) -> Result<u32, String> {
        let all = [CLASSES, ENROLLMENTS]
            .iter()
            .all(|file| self.manifest.mode(file) == Mode::Bulk);
        match self.classes.get(key) {
            Some(class) => Ok(class),
            None if all => Err(format!("classes.csv has no {key}")),
            None => {
                let external_id = external_id(key)?;
                let class = || Class {
                    external_id,
                    ..Class::default()
                };
                Ok(self
                    .classes
                    .get_or_add(&mut self.roster.classes, key, class))
            }
        }
    }

    /// Returns the person of an enrollment. In a delta it may be known from before.
    fn person(&mut self, key: &str) -> Result<u32, String> {
        let all = [USERS, ENROLLMENTS]
            .iter()
            .all(|file| self.manifest.mode(file) == Mode::Bulk);
        match self.users.get(key) {
            Some(person) => Ok(person),
            None if all || self.reading.user_column.is_some() => {
                Err(format!("users.csv has no {key}"))
            }
            None => {
                let (user, external_id) = (self.reading.user(key)?, external_id(key)?);
                let person = || Person {
                    user,
                    external_id,
                    ..Person::default()
                };
                Ok(self.users.get_or_add(&mut self.roster.people, key, person))
            }
        }
    }
}

/// The columns of enrollments.
struct Columns {
    status: Column,
    class: Column,
    user: Column,
    role: Column,
    primary: Column,
    begin: Column,
    end: Column,
}

impl Columns {
    fn of(table: &Table<'_>) -> Self {
        Self {
            status: table.column("status"),
            class: table.column("classSourcedId"),
            user: table.column("userSourcedId"),
            role: table.column("role"),
            primary: table.column("primary"),
            begin: table.column("beginDate"),
            end: table.column("endDate"),
        }
    }
}

fn open<'f>(
    files: &'f mut dyn Files,
    manifest: &Manifest,
    file: &str,
) -> Result<Option<Table<'f>>, Problem> {
    if manifest.mode(file) == Mode::Absent {
        return Ok(None);
    }
    Table::open(file, files.open(file)?, Names::Exact).map(Some)
}

/// Checks that a bulk file is not a header alone, which would say that everybody has left.
fn has_rows(table: &Table<'_>, mode: Mode) -> Result<(), Problem> {
    if mode == Mode::Bulk && table.rows() == 0 {
        let what = "it has no rows, though the manifest says bulk";
        return Err(table.of_file(what, "list it as absent, or export it again"));
    }
    Ok(())
}

fn meaning(role: &str) -> Meaning {
    match role {
        "student" => Meaning::Member(Role::Student),
        "teacher" => Meaning::Member(Role::Teacher),
        "administrator"
        | "aide"
        | "counselor"
        | "districtAdministrator"
        | "guardian"
        | "parent"
        | "principal"
        | "proctor"
        | "relative"
        | "siteAdministrator"
        | "systemAdministrator" => Meaning::Other,
        _ => Meaning::Unknown,
    }
}
