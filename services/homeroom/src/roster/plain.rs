//! A plain CSV file: a row for each membership, by the names in its header.

use super::{
    cells::name,
    files::Files,
    findings::{Left, Problem, Refused, UNKNOWN_ROLE, Wrong},
    rows::{Class, Index, Meaning, Person, Read, Reading, Role, Roster, What, external_id},
    table::{Column, Names, Table},
};

/// The column of user ids.
pub(super) const USER: &str = "user";
const COLUMNS: &str = "user,class,role,name,email,external_id";
/// Says which columns there are.
pub(super) const KNOWN: &str = "a CSV file needs the column user, or the one that --user-id names, and may have class, \
    role, name, email and external_id";

/// Reads the files of these names.
pub(super) fn read(
    files: &mut dyn Files,
    names: &[String],
    reading: &Reading,
) -> Result<Roster, Refused> {
    let mut plain = Plain {
        reading,
        roster: Roster::new("CSV", true),
        classes: Index::new(),
        users: Index::new(),
    };
    for file in names {
        let mut table = Table::open(file, files.open(file)?, Names::AnyCase)?;
        let index = plain.roster.file(file);
        plain.read_rows(&mut table, index)?;
        if table.rows() == 0 {
            Err(table.of_file("it has a header and no rows", "export it again"))?;
        }
    }
    Ok(plain.roster)
}

struct Plain<'a> {
    reading: &'a Reading,
    roster: Roster,
    classes: Index,
    users: Index,
}

impl Plain<'_> {
    fn read_rows(&mut self, table: &mut Table<'_>, file: u16) -> Result<(), Problem> {
        let user = self.reading.user_column.as_deref().unwrap_or(USER);
        let user = user.to_ascii_lowercase();
        table.require(&[&user])?;
        table.compare(COLUMNS, KNOWN, &mut self.roster.findings);
        let columns = [&*user, "class", "role", "name", "email", "external_id"]
            .map(|name| table.column(name));
        while table.advance(&mut self.roster.findings)? {
            let read = self.read_row(table, columns);
            self.roster.take(table, file, read);
        }
        Ok(())
    }

    fn read_row(&mut self, table: &Table<'_>, columns: [Column; 6]) -> Result<Read, Wrong> {
        let [user, class, role, shown, email, external] = columns.map(|column| table.cell(column));
        let unreadable = |what| (Left::Unreadable, what, "correct the row");
        let person = Person {
            user: self.reading.user(user).map_err(unreadable)?,
            display_name: name(&[shown]),
            email: email.into(),
            external_id: external_id(external).map_err(unreadable)?,
        };
        let of_class = external_id(class).map_err(unreadable)?;
        let person = self
            .users
            .get_or_add(&mut self.roster.people, user, || person);
        let class = (!class.is_empty()).then(|| {
            let new = || Class {
                id: Some(class.into()),
                external_id: of_class,
                title: Box::default(),
            };
            self.classes
                .get_or_add(&mut self.roster.classes, class, new)
        });
        let what = match self
            .reading
            .meaning(role, |role| meaning(role, class.is_some()))
        {
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
        Ok((class, person, what))
    }
}

fn meaning(role: &str, in_class: bool) -> Meaning {
    match (role.to_ascii_lowercase().as_str(), in_class) {
        ("", false) => Meaning::Member(Role::Unstated),
        ("" | "student", _) => Meaning::Member(Role::Student),
        ("teacher", _) | ("co-teacher" | "co_teacher", true) => Meaning::Member(Role::Teacher),
        ("ta", true) => Meaning::Member(Role::Assistant),
        ("owner", true) => Meaning::Member(Role::Owner),
        ("admin", false) => Meaning::Member(Role::Administrator),
        _ => Meaning::Unknown,
    }
}
