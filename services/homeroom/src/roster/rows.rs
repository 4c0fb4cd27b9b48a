//! What the readers make of roster files: people, classes, and rows that bring them together.

use std::collections::{BTreeMap, HashMap, HashSet};

use homeroom_api::ids::UserId;
use homeroom_kit::{
    auth::{Namespace, UserSpace},
    person,
};

use super::{
    findings::{Findings, Left, Problem, Wrong},
    table::Table,
};

/// The role of a row, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// None is stated for the organization: the role of a member stays, and somebody new is a student.
    Unstated,
    /// A student of the class, or of the organization.
    Student,
    /// A co-teacher who is not a teacher, such as a teaching assistant.
    Assistant,
    /// A co-teacher of the class, or a teacher of the organization.
    Teacher,
    /// The teacher who owns the class if the import creates it.
    Owner,
    /// An administrator of the organization.
    Administrator,
}

/// What a row says about a person and a class, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// The membership has ended.
    Remove,
    /// The person is known to the class, but is not to be enrolled; a membership that exists stays.
    Keep,
    /// The person is a member.
    Enroll(Role),
}

/// A person of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Person {
    /// Homeroom's user id.
    pub(crate) user: Box<str>,
    pub(crate) display_name: Box<str>,
    pub(crate) email: Box<str>,
    pub(crate) external_id: Box<str>,
}

/// A class of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Class {
    /// The id of the class in Homeroom, if the files may name it.
    pub(crate) id: Option<Box<str>>,
    pub(crate) external_id: Box<str>,
    /// The name of the class; empty if the files do not tell.
    pub(crate) title: Box<str>,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// The index of the file in [`Roster::files`].
    pub(crate) file: u16,
    pub(crate) line: u32,
}

/// A row: a person, and the class or none for the organization itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) at: At,
    /// The index of the class in [`Roster::classes`].
    pub(crate) class: Option<u32>,
    /// The index of the person in [`Roster::people`].
    pub(crate) person: u32,
    pub(crate) what: What,
}

/// What a row of a file says: the index of its class, that of its person, and what about them.
pub(super) type Read = (Option<u32>, u32, What);

/// The content of roster files.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// The format and its version.
    pub(crate) format: String,
    /// The files list every member of their classes, so that others have left.
    pub(crate) complete: bool,
    pub(crate) files: Vec<String>,
    pub(crate) people: Vec<Person>,
    pub(crate) classes: Vec<Class>,
    pub(crate) rows: Vec<Row>,
    pub(crate) findings: Findings,
    /// The user ids of the people that have a row of their own.
    users: HashSet<Box<str>>,
    /// The index of the row of a class and a person.
    by_place: HashMap<(Option<u32>, u32), u32>,
}

impl Roster {
    pub(crate) fn new(format: impl Into<String>, complete: bool) -> Self {
        Self {
            format: format.into(),
            complete,
            ..Self::default()
        }
    }

    /// Returns the index of a file by which rows name it.
    pub(super) fn file(&mut self, name: &str) -> u16 {
        let place = self.files.iter().position(|file| file == name);
        let index = place.unwrap_or_else(|| {
            self.files.push(name.to_owned());
            self.files.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    /// Adds a person that has a row of their own, by the key that other files use.
    pub(super) fn add_person(
        &mut self,
        index: &mut Index,
        key: &str,
        person: Person,
    ) -> Result<u32, String> {
        if index.get(key).is_some() {
            return Err(format!("{key} is there already"));
        }
        if !self.users.insert(person.user.clone()) {
            return Err(format!("the user id {} is there already", person.user));
        }
        Ok(index.get_or_add(&mut self.people, key, || person))
    }

    /// Takes what was read of the table's row, or leaves the row out.
    pub(super) fn take(&mut self, table: &Table<'_>, file: u16, read: Result<Read, Wrong>) {
        match read {
            Ok((class, person, what)) => {
                let at = At {
                    file,
                    line: table.line(),
                };
                self.add(Row {
                    at,
                    class,
                    person,
                    what,
                });
            }
            Err((left, what, fix)) => self.findings.leave_out(left, table.problem(what, fix)),
        }
    }

    /// Adds a row. Of several rows for one person and class the strongest stays, in the place of the first.
    pub(super) fn add(&mut self, row: Row) {
        let place = (row.class, row.person);
        let earlier = self.by_place.get(&place);
        let earlier = earlier.and_then(|&index| self.rows.get_mut(index as usize));
        if let Some(earlier) = earlier {
            if row.what > earlier.what {
                *earlier = row;
            }
            self.findings.count(Left::Duplicate);
        } else {
            self.by_place.insert(place, index(self.rows.len()));
            self.rows.push(row);
        }
    }

    /// Puts the rows of classes into others, by their indexes; of two rows for one person the strongest stays.
    pub(crate) fn unite_classes(&mut self, into: &HashMap<u32, u32>) {
        if into.is_empty() {
            return;
        }
        self.by_place.clear();
        for mut row in std::mem::take(&mut self.rows) {
            row.class = row
                .class
                .map(|class| into.get(&class).copied().unwrap_or(class));
            self.add(row);
        }
    }

    /// Returns the row of a person in a class.
    pub(crate) fn row_of(&self, class: Option<u32>, person: u32) -> Option<&Row> {
        let index = self.by_place.get(&(class, person));
        index.and_then(|&index| self.rows.get(index as usize))
    }

    /// Returns the problem of a row that was read.
    pub(crate) fn problem(&self, at: At, what: impl Into<String>, fix: &str) -> Problem {
        let file = self.files.get(usize::from(at.file)).map_or("", |name| name);
        Problem {
            line: u64::from(at.line),
            ..Problem::of_file(file, what, fix)
        }
    }
}

/// Returns an index in the form in which rows hold it; files are bounded far below its largest value.
pub(super) fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Things that rows name by a key, each once.
#[derive(Debug)]
pub(super) struct Index(HashMap<Box<str>, u32>);

impl Index {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    pub(super) fn get(&self, key: &str) -> Option<u32> {
        self.0.get(key).copied()
    }

    /// Adds what is new to `all`, and returns its index; None if the key is known already.
    pub(super) fn add<T>(&mut self, all: &mut Vec<T>, key: &str, what: T) -> Option<u32> {
        if self.0.contains_key(key) {
            return None;
        }
        let index = index(all.len());
        self.0.insert(key.into(), index);
        all.push(what);
        Some(index)
    }

    /// Returns the index of what a key names, which is added to `all` if it is new.
    pub(super) fn get_or_add<T>(
        &mut self,
        all: &mut Vec<T>,
        key: &str,
        what: impl FnOnce() -> T,
    ) -> u32 {
        match self.get(key) {
            Some(index) => index,
            None => self.add(all, key, what()).unwrap_or_default(),
        }
    }
}

/// What the caller decides about the reading.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// The column of the platform's user ids; None for the format's own.
    pub(crate) user_column: Option<String>,
    /// The name space of the user ids.
    pub(crate) namespace: Option<Namespace>,
    /// The meaning of roles that the format does not know; None for no membership.
    pub(crate) roles: BTreeMap<String, Option<Role>>,
}

impl Reading {
    /// Returns the user id of the subject in a cell.
    pub(super) fn user(&self, subject: &str) -> Result<Box<str>, String> {
        let space = UserSpace::new(self.namespace.as_ref(), [].into_iter());
        Self::checked(&space.user_of(subject))
    }

    /// Returns a user id of Homeroom as it stands in a cell.
    pub(super) fn checked(user: &str) -> Result<Box<str>, String> {
        let user = UserId::parse_person(user);
        user.map(|user| user.as_str().into())
            .map_err(|error| error.to_string())
    }
}

/// Returns an external id as Homeroom stores it.
pub(super) fn external_id(text: &str) -> Result<Box<str>, String> {
    let id = person::external_id(text).map_err(|error| format!("the external id {error}"));
    id.map(String::into_boxed_str)
}

/// The meaning of a role's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Member(Role),
    /// Known, and no membership.
    Other,
    Unknown,
}

impl Reading {
    /// Returns what a role means: as the caller says, or as the format does.
    pub(super) fn meaning(&self, text: &str, of_format: impl Fn(&str) -> Meaning) -> Meaning {
        match self.roles.get(text) {
            Some(Some(role)) => Meaning::Member(*role),
            Some(None) => Meaning::Other,
            None => of_format(text),
        }
    }
}
