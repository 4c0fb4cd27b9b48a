//! The roster of a class, read from CSV.

use crate::roster::{Findings, Left, Names, Problem, Table};

/// The most bytes of a roster.
pub(super) const ROSTER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most students of a roster: those of one call of `BatchCreateTokens`.
pub(super) const ROSTER_STUDENTS_MAX: usize = 1_000;

/// The columns; the first is required.
const COLUMNS: [&str; 3] = ["name", "email", "external_id"];

/// A line of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Student {
    /// The line of the file, from 1.
    pub(super) line: u32,
    /// The name, never empty.
    pub(super) name: String,
    /// The one address that may use the token; empty: any.
    pub(super) email: String,
    /// The one external id that may use the token; empty: any.
    pub(super) external_id: String,
}

/// Everything that is wrong with a roster.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the roster cannot be used, and nothing was made\n  {}", self.0.join("\n  "))]
pub(super) struct RosterMalformed(Vec<String>);

impl From<Problem> for RosterMalformed {
    fn from(problem: Problem) -> Self {
        Self(vec![problem.to_string()])
    }
}

/// Reads a roster: a line of column names, and a line for each student.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Student>, RosterMalformed> {
    if bytes.len() > ROSTER_BYTES_MAX {
        let mistake = format!("it has more than {ROSTER_BYTES_MAX} bytes: divide it");
        return Err(RosterMalformed(vec![mistake]));
    }
    let mut table = Table::open("roster", Box::new(bytes), Names::AnyCase)?;
    // Some programs leave out the empty cells at the end of a line.
    table.rows_may_be_short = true;
    let columns = COLUMNS.map(|name| table.column(name));
    // A misspelled `email` would make tokens that anybody may use.
    let others = table
        .columns()
        .iter()
        .filter(|name| !COLUMNS.contains(&name.as_str()));
    let mut mistakes: Vec<String> = others
        .map(|name| {
            format!(
                "no column is called `{name}`: remove it, or call it name, email or external_id"
            )
        })
        .collect();
    if columns[0].is_none() {
        mistakes.push(
            "its first line has no column `name`: write the names of the columns there".to_owned(),
        );
    }
    if !mistakes.is_empty() {
        return Err(RosterMalformed(mistakes));
    }
    let (mut students, mut findings) = (Vec::new(), Findings::default());
    while table.advance(&mut findings)? {
        let [name, email, external_id] = columns.map(|column| table.cell(column).to_owned());
        if name.is_empty() {
            findings.leave_out(
                Left::Unreadable,
                table.problem("the student has no name", ""),
            );
        } else {
            students.push(Student {
                line: table.line(),
                name,
                email,
                external_id,
            });
        }
    }
    mistakes.extend(
        findings
            .problems
            .iter()
            .map(|(_, problem)| problem.to_string()),
    );
    match findings.left(Left::Unreadable) - mistakes.len() as u64 {
        0 => {}
        more => mistakes.push(format!("and {more} more")),
    }
    match students.len() {
        0 if mistakes.is_empty() => {
            mistakes.push(
                "it has no students: write a line for each below the column names".to_owned(),
            );
        }
        count if count > ROSTER_STUDENTS_MAX => mistakes.push(format!(
            "it has {count} students, and {ROSTER_STUDENTS_MAX} is the most: divide it"
        )),
        _ => {}
    }
    if mistakes.is_empty() {
        Ok(students)
    } else {
        Err(RosterMalformed(mistakes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::PROBLEMS_SHOWN_MAX;

    fn names(text: &str) -> Vec<String> {
        let students = parse(text.as_bytes()).unwrap();
        students.into_iter().map(|student| student.name).collect()
    }

    fn mistakes(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap_err().0
    }

    #[test]
    fn a_line_is_a_student_with_or_without_address_and_id() {
        let students =
            parse(b"name,email,external_id\nAda,ada@school.example,s-1\n\nSam\n").unwrap();
        let [ada, sam] = students.as_slice() else {
            panic!("{students:?}");
        };
        assert_eq!(
            (ada.email.as_str(), ada.external_id.as_str(), ada.line),
            ("ada@school.example", "s-1", 2)
        );
        assert_eq!(
            (sam.name.as_str(), sam.email.as_str(), sam.line),
            ("Sam", "", 4)
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line) in [
            ("name,email\n,a\n", 2),
            ("name,email\r\nAda,\r\n,a", 3),
            ("\nname,email\n\n\nAda,\n\n,a\n", 7),
            ("name,email\n\"Ada Lovelace\",\n,a\n", 3),
        ] {
            assert_eq!(
                mistakes(text),
                [format!("roster:{line}: the student has no name")],
                "{text:?}"
            );
        }
    }

    #[test]
    fn files_of_spreadsheets_are_read() {
        for text in [
            "\u{feff}Name,Email\r\nAda,\r\n,\r\nSam,\r\n",
            "name;email\nAda;\nSam;sam@school.example\n",
            "email\tNAME\n\tAda\n\t Sam \n",
            "name\n\"Ada\"\nSam",
        ] {
            assert_eq!(names(text), ["Ada", "Sam"], "{text}");
        }
        assert_eq!(names("name\n\"Lovelace, Ada\"\n"), ["Lovelace, Ada"]);
        let not_utf_8 = parse(b"name\nJos\xe9\n").unwrap_err();
        assert!(not_utf_8.to_string().contains("as UTF-8"), "{not_utf_8}");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        assert_eq!(
            mistakes("name,email\n,a@school.example\nLovelace, Ada,b@school.example\n").len(),
            2
        );
        let columns = mistakes("e-mail,class,email\n");
        assert_eq!(columns.len(), 3, "{columns:?}");
        assert!(mistakes("name,email,email\n")[0].contains("two columns email"));
        assert!(mistakes("")[0].contains("header"));
        assert!(mistakes("name\n")[0].contains("no students"));
        let many = format!("name,email\n{}", ",a\n".repeat(PROBLEMS_SHOWN_MAX + 2));
        let told = parse(many.as_bytes()).unwrap_err().to_string();
        assert!(told.ends_with("\n  and 2 more"), "{told}");
    }

    #[test]
    fn a_roster_has_1000_students_and_4_mib_at_most() {
        let roster = |students: usize| format!("name\n{}", "Ada\n".repeat(students));
        assert_eq!(names(&roster(ROSTER_STUDENTS_MAX)).len(), 1_000);
        assert!(mistakes(&roster(ROSTER_STUDENTS_MAX + 1))[0].contains("1001 students"));
        let long = |bytes: usize| {
            let blank = format!("{}\n", " ".repeat(1_023));
            let mut text = format!("name\nAda\n{}", blank.repeat(bytes / 1_024));
            text.truncate(bytes);
            text
        };
        assert!(parse(long(ROSTER_BYTES_MAX).as_bytes()).is_ok());
        assert!(parse(long(ROSTER_BYTES_MAX + 1).as_bytes()).is_err());
    }
}
