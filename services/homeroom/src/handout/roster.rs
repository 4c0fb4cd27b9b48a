//! The roster of a class, read from CSV.

use std::fmt;

use csv::{ReaderBuilder, StringRecord, Trim};

/// The most bytes of a roster.
pub(super) const ROSTER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most students of a roster: those of one call of `BatchCreateTokens`.
pub(super) const ROSTER_STUDENTS_MAX: usize = 1_000;
/// The most mistakes that are described; the others are counted.
const MISTAKES_SHOWN_MAX: usize = 20;

/// The separators of spreadsheets in different languages.
const SEPARATORS: [char; 3] = [',', ';', '\t'];
const NAME: &str = "name";
const EMAIL: &str = "email";
const EXTERNAL_ID: &str = "external_id";

/// A line of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Student {
    /// The line of the file, from 1.
    pub(super) line: usize,
    /// The name, never empty.
    pub(super) name: String,
    /// The one address that may use the token; empty: any.
    pub(super) email: String,
    /// The one external id that may use the token; empty: any.
    pub(super) external_id: String,
}

/// Everything that is wrong with a roster.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) struct RosterMalformed(Vec<String>);

impl fmt::Display for RosterMalformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the roster cannot be used, and nothing was made")?;
        for mistake in self.0.iter().take(MISTAKES_SHOWN_MAX) {
            write!(formatter, "\n  {mistake}")?;
        }
        match self.0.len().saturating_sub(MISTAKES_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(formatter, "\n  and {more} more"),
        }
    }
}

/// Reads a roster: a line of column names, and a line for each student.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Student>, RosterMalformed> {
    let wrong = |mistake: String| RosterMalformed(vec![mistake]);
    if bytes.len() > ROSTER_BYTES_MAX {
        let mistake = format!("it has more than {ROSTER_BYTES_MAX} bytes: divide it");
        return Err(wrong(mistake));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| wrong("it is not UTF-8: save it as `CSV UTF-8`".to_owned()))?;
    // Spreadsheets begin a file with a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = ReaderBuilder::new()
        .delimiter(u8::try_from(separator(text)).unwrap_or(b','))
        // Some programs leave out the empty cells at the end of a line.
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let columns = match reader.headers() {
        Ok(headers) => Columns::of(headers).map_err(RosterMalformed)?,
        Err(error) => return Err(wrong(error.to_string())),
    };
    let mut students = Vec::new();
    let mut mistakes = Vec::new();
    for record in reader.records() {
        match record {
            // Spreadsheets write lines that have been emptied.
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => match columns.student(&record, line_of(text, &record)) {
                Ok(student) => students.push(student),
                Err(mistake) => mistakes.push(mistake),
            },
            Err(error) => mistakes.push(error.to_string()),
        }
    }
    if students.is_empty() && mistakes.is_empty() {
        mistakes
            .push("it has no students: write a line for each below the column names".to_owned());
    }
    if students.len() > ROSTER_STUDENTS_MAX {
        let count = students.len();
        mistakes.push(format!(
            "it has {count} students, and {ROSTER_STUDENTS_MAX} is the most: divide it"
        ));
    }
    if mistakes.is_empty() {
        Ok(students)
    } else {
        Err(RosterMalformed(mistakes))
    }
}

/// Returns the separator of which the first line has most.
fn separator(text: &str) -> char {
    let head = text.trim_start().lines().next().unwrap_or_default();
    let count = |separator: char| head.matches(separator).count();
    let [first, others @ ..] = SEPARATORS;
    others.into_iter().fold(first, |most, other| {
        if count(other) > count(most) {
            other
        } else {
            most
        }
    })
}

/// Returns the line of a record, from 1. The reader's own count leaves out the ends of lines before the record.
fn line_of(text: &str, record: &StringRecord) -> usize {
    let start = record
        .position()
        .and_then(|place| usize::try_from(place.byte()).ok());
    let (before, from) = text
        .split_at_checked(start.unwrap_or(0))
        .unwrap_or_default();
    let blank = from.len() - from.trim_start_matches(['\r', '\n']).len();
    let ends = |text: &str| text.matches('\n').count();
    1 + ends(before) + ends(from.get(..blank).unwrap_or_default())
}

/// The places of the columns.
struct Columns {
    name: usize,
    email: Option<usize>,
    external_id: Option<usize>,
    count: usize,
}

impl Columns {
    /// Finds the columns. Others are refused, because a misspelled `email` would make tokens that anybody may use.
    fn of(headers: &StringRecord) -> Result<Self, Vec<String>> {
        let known = [NAME, EMAIL, EXTERNAL_ID];
        let headers: Vec<String> = headers.iter().map(str::to_lowercase).collect();
        let mut mistakes: Vec<String> = headers
            .iter()
            .filter(|header| !known.contains(&header.as_str()))
            .map(|header| format!("no column is called `{header}`: remove it, or call it name, email or external_id"))
            .collect();
        let mut place = |column: &str| {
            let mut places = (0..).zip(&headers).filter(|(_, header)| *header == column);
            let place = places.next().map(|(place, _)| place);
            if places.next().is_some() {
                mistakes.push(format!("it has two columns `{column}`: remove one"));
            }
            place
        };
        let [name, email, external_id] = known.map(&mut place);
        if name.is_none() {
            mistakes.push(
                "its first line has no column `name`: write the names of the columns there"
                    .to_owned(),
            );
        }
        match name {
            Some(name) if mistakes.is_empty() => Ok(Self {
                name,
                email,
                external_id,
                count: headers.len(),
            }),
            _ => Err(mistakes),
        }
    }

    fn student(&self, record: &StringRecord, line: usize) -> Result<Student, String> {
        if record.len() > self.count {
            let cells = record.len();
            return Err(format!(
                "line {line} has {cells} cells, and {} is the most: put names that contain the separator in quotation marks",
                self.count
            ));
        }
        let cell = |place: Option<usize>| {
            let cell = place.and_then(|place| record.get(place));
            cell.unwrap_or_default().to_owned()
        };
        let name = cell(Some(self.name));
        if name.is_empty() {
            return Err(format!("line {line} has no name"));
        }
        Ok(Student {
            line,
            name,
            email: cell(self.email),
            external_id: cell(self.external_id),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("name,email\n\"Ada\n(she)\",\n,a\n", 4),
        ] {
            assert_eq!(
                mistakes(text),
                [format!("line {line} has no name")],
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
        assert!(not_utf_8.to_string().contains("CSV UTF-8"), "{not_utf_8}");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        assert_eq!(
            mistakes("name,email\n,a@school.example\nLovelace, Ada,b@school.example\n").len(),
            2
        );
        let columns = mistakes("e-mail,class,email,email\n");
        assert_eq!(columns.len(), 4, "{columns:?}");
        assert!(mistakes("")[0].contains("`name`"));
        assert!(mistakes("name\n")[0].contains("no students"));
        let many = format!("name,email\n{}", ",a\n".repeat(MISTAKES_SHOWN_MAX + 2));
        let told = parse(many.as_bytes()).unwrap_err().to_string();
        assert!(told.ends_with("\n  and 2 more"), "{told}");
    }

    #[test]
    fn a_roster_has_1000_students_and_4_mib_at_most() {
        let roster = |students: usize| format!("name\n{}", "Ada\n".repeat(students));
        assert_eq!(names(&roster(ROSTER_STUDENTS_MAX)).len(), 1_000);
        assert!(mistakes(&roster(ROSTER_STUDENTS_MAX + 1))[0].contains("1001 students"));
        let long = |bytes: usize| format!("name\n{}", "x".repeat(bytes - "name\n".len()));
        assert!(parse(long(ROSTER_BYTES_MAX).as_bytes()).is_ok());
        assert!(parse(long(ROSTER_BYTES_MAX + 1).as_bytes()).is_err());
    }
}
