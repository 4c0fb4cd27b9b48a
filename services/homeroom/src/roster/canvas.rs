//! Canvas SIS CSV: files of users, courses, sections and enrollments, which their headers tell apart.

use std::collections::BTreeSet;

use super::{
    cells::name,
    files::Files,
    findings::{Left, Problem, Refused, UNKNOWN_ROLE, Wrong},
    rows::{Class, Index, Meaning, Person, Read, Reading, Role, Roster, What, external_id},
    table::{Column, Names, Table},
};

/// The value that empties a field.
const DELETE: &str = "<delete>";

/// The kind of a file, in the order in which the kinds are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Courses,
    Sections,
    Users,
    Enrollments,
}

/// Returns the kind of a file with these columns, in small letters; None for files that hold no enrollments.
pub(super) fn kind(columns: &[String]) -> Option<Kind> {
    let has = |name: &str| columns.iter().any(|column| column == name);
    let place = has("section_id") || has("course_id");
    if has("user_id") && has("login_id") {
        Some(Kind::Users)
    } else if place && (has("user_id") || has("user_integration_id")) {
        Some(Kind::Enrollments)
    } else if has("section_id") && has("name") {
        Some(Kind::Sections)
    } else if has("course_id") && (has("long_name") || has("short_name")) {
        Some(Kind::Courses)
    } else {
        None
    }
}

/// Reads the files of these kinds.
pub(super) fn read(
    files: &mut dyn Files,
    mut kinds: Vec<(Kind, String)>,
    reading: &Reading,
) -> Result<Roster, Refused> {
    kinds.sort();
    let mut canvas = Canvas {
        reading,
        roster: Roster::new("Canvas SIS", true),
        classes: Index::new(),
        users: Index::new(),
        inactive_classes: BTreeSet::new(),
        inactive_users: BTreeSet::new(),
    };
    for (kind, file) in &kinds {
        let mut table = Table::open(file, files.open(file)?, Names::AnyCase)?;
        match kind {
            Kind::Courses => {
                canvas.read_classes(&mut table, "course_id", &["long_name", "short_name"])?;
            }
            Kind::Sections => canvas.read_classes(&mut table, "section_id", &["name"])?,
            Kind::Users => canvas.read_users(&mut table)?,
            Kind::Enrollments => {
                let file = canvas.roster.file(file);
                canvas.read_enrollments(&mut table, file)?;
            }
        }
        if table.rows() == 0 {
            Err(table.of_file(
                "it has a header and no rows",
                "leave the file out, or export it again",
            ))?;
        }
    }
    if !kinds.iter().any(|(kind, _)| *kind == Kind::Enrollments) {
        let files = kinds.first().map_or("", |(_, file)| file);
        Err(Problem::of_file(
            files,
            "there is no file of enrollments beside it",
            "add one",
        ))?;
    }
    Ok(canvas.roster)
}

struct Canvas<'a> {
    reading: &'a Reading,
    roster: Roster,
    /// Sections and courses: an enrollment without a section is in the course's own one.
    classes: Index,
    users: Index,
    inactive_classes: BTreeSet<u32>,
    inactive_users: BTreeSet<u32>,
}

/// Returns the key of a class: a section and a course may have the same id.
fn class_key(column: &str, id: &str) -> String {
    format!("{column} {id}")
}

impl Canvas<'_> {
    fn read_classes(
        &mut self,
        table: &mut Table<'_>,
        id_column: &str,
        names: &[&str],
    ) -> Result<(), Problem> {
        table.require(&[id_column, "status"])?;
        let (id, status) = (table.column(id_column), table.column("status"));
        let names: Vec<Column> = names.iter().map(|name| table.column(name)).collect();
        while table.advance(&mut self.roster.findings)? {
            let titles = names.iter().map(|column| value(table, *column));
            let title = titles.into_iter().find(|title| !title.is_empty());
            let id = table.cell(id);
            let class = external_id(id).and_then(|external_id| {
                if external_id.is_empty() {
                    return Err("it is empty".to_owned());
                }
                let title = name(&[title.unwrap_or_default()]);
                let class = Class {
                    id: None,
                    external_id,
                    title,
                };
                let key = class_key(id_column, id);
                let added = self.classes.add(&mut self.roster.classes, &key, class);
                added.ok_or_else(|| format!("{id} is there already"))
            });
            match class {
                Ok(class) if !table.cell(status).eq_ignore_ascii_case("active") => {
                    self.inactive_classes.insert(class);
                }
                Ok(_) => {}
                Err(what) => {
                    let problem = table.problem(format!("{id_column}: {what}"), "correct the id");
                    self.roster.findings.leave_out(Left::Unreadable, problem);
                }
            }
        }
        Ok(())
    }

    fn read_users(&mut self, table: &mut Table<'_>) -> Result<(), Problem> {
        let user_column = self.reading.user_column.as_deref().unwrap_or("user_id");
        let user_column = user_column.to_ascii_lowercase();
        table.require(&["user_id", "login_id", "status", &user_column])?;
        let [id, user, status, email, short, full, first, last] = [
            "user_id",
            &user_column,
            "status",
            "email",
            "short_name",
            "full_name",
            "first_name",
            "last_name",
        ]
        .map(|name| table.column(name));
        while table.advance(&mut self.roster.findings)? {
            let [short, full, first, last, email] =
                [short, full, first, last, email].map(|column| value(table, column));
            let shown = if !short.is_empty() {
                name(&[short])
            } else if !full.is_empty() {
                name(&[full])
            } else {
                name(&[first, last])
            };
            let key = table.cell(id);
            let added = self.reading.user(table.cell(user)).and_then(|user| {
                let person = Person {
                    user,
                    display_name: shown,
                    email: email.into(),
                    external_id: external_id(key)?,
                };
                self.roster.add_person(&mut self.users, key, person)
            });
            match (added, table.cell(status).to_ascii_lowercase().as_str()) {
                (Ok(_), "active") => {}
                (Ok(person), "suspended" | "deleted") => {
                    self.inactive_users.insert(person);
                }
                (Ok(_), other) => {
                    let problem = table.problem(
                        format!("the status is {other:?}"),
                        "write active, suspended or deleted",
                    );
                    self.roster.findings.leave_out(Left::Unreadable, problem);
                }
                (Err(what), _) => {
                    let problem = table.problem(format!("user_id: {what}"), "correct the id");
                    self.roster.findings.leave_out(Left::Unreadable, problem);
                }
            }
        }
        Ok(())
    }

    fn read_enrollments(&mut self, table: &mut Table<'_>, file: u16) -> Result<(), Problem> {
        let role = if table.column("role").is_some() {
            "role"
        } else {
            "role_id"
        };
        // An integration id is no user id.
        table.require(&["user_id", "status", role])?;
        let columns = [
            "user_id",
            "course_id",
            "section_id",
            "status",
            role,
            "start_date",
            "end_date",
        ]
        .map(|name| table.column(name));
        while table.advance(&mut self.roster.findings)? {
            let read = self.read_enrollment(table, columns);
            self.roster.take(table, file, read);
        }
        Ok(())
    }

    fn read_enrollment(&mut self, table: &Table<'_>, columns: [Column; 7]) -> Result<Read, Wrong> {
        let unreadable = |what: String, fix| (Left::Unreadable, what, fix);
        let [user, course, section, status, role, start, end] =
            columns.map(|column| table.cell(column));
        table.note_dates([start, end], &mut self.roster.findings);
        let status = status.to_ascii_lowercase();
        if ![
            "active",
            "deleted",
            "completed",
            "inactive",
            "deleted_last_completed",
        ]
        .contains(&&*status)
        {
            let fix = "write active, deleted, completed, inactive or deleted_last_completed";
            return Err(unreadable(format!("the status is {status:?}"), fix));
        }
        // The section decides, where a row names both.
        let (column, id) = if section.is_empty() {
            ("course_id", course)
        } else {
            ("section_id", section)
        };
        let class = self
            .class(column, id)
            .map_err(|what| unreadable(what, "name the section or course"))?;
        let person = self
            .person(user)
            .map_err(|(left, what)| (left, what, "correct the id"))?;
        let findings = &mut self.roster.findings;
        let is_inactive =
            self.inactive_classes.contains(&class) || self.inactive_users.contains(&person);
        let what = match (status.as_str(), self.reading.meaning(role, meaning)) {
            ("deleted", _) => What::Remove,
            ("active", Meaning::Member(role)) if !is_inactive => What::Enroll(role),
            ("active", Meaning::Other) => {
                findings.count(Left::OtherRole);
                What::Keep
            }
            ("active", Meaning::Unknown) => {
                let problem = table.problem(format!("the role {role} is not known"), UNKNOWN_ROLE);
                findings.leave_out(Left::UnknownRole, problem);
                What::Keep
            }
            _ => {
                findings.count(Left::NotActive);
                What::Keep
            }
        };
        Ok((Some(class), person, what))
    }

    /// Returns the class of an enrollment, which Canvas may know from an earlier import.
    fn class(&mut self, column: &str, id: &str) -> Result<u32, String> {
        let external_id = external_id(id)?;
        if external_id.is_empty() {
            return Err("neither section_id nor course_id has a value".to_owned());
        }
        let class = || Class {
            external_id,
            ..Class::default()
        };
        let key = class_key(column, id);
        Ok(self
            .classes
            .get_or_add(&mut self.roster.classes, &key, class))
    }

    /// Returns the person of an enrollment, whom Canvas may know from an earlier import.
    fn person(&mut self, id: &str) -> Result<u32, (Left, String)> {
        if let Some(person) = self.users.get(id) {
            return Ok(person);
        }
        if let Some(column) = &self.reading.user_column {
            return Err((
                Left::Orphan,
                format!("no file of users tells the {column} of {id}"),
            ));
        }
        let read = self
            .reading
            .user(id)
            .and_then(|user| Ok((user, external_id(id)?)));
        let (user, external_id) =
            read.map_err(|what| (Left::Unreadable, format!("user_id: {what}")))?;
        let person = || Person {
            user,
            external_id,
            ..Person::default()
        };
        Ok(self.users.get_or_add(&mut self.roster.people, id, person))
    }
}

/// Returns a cell; blank if it is the word that empties a field.
fn value<'t>(table: &'t Table<'_>, column: Column) -> &'t str {
    let cell = table.cell(column);
    if cell == DELETE { "" } else { cell }
}

fn meaning(role: &str) -> Meaning {
    match role.to_ascii_lowercase().as_str() {
        "student" => Meaning::Member(Role::Student),
        "teacher" => Meaning::Member(Role::Teacher),
        "ta" => Meaning::Member(Role::Assistant),
        "observer" | "designer" => Meaning::Other,
        _ => Meaning::Unknown,
    }
}
