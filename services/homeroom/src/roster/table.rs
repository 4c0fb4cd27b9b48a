//! A CSV file with a header, read a row at a time.

use std::io::{self, BufRead, Read};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::{
    cells::{is_blank_or_iso_8601, unguarded},
    findings::{Findings, Left, Problem},
    text::Text,
};

/// The most rows of all files of an import.
const ROWS_MAX: u64 = 2_000_000;
/// The most bytes of all files of an import, unpacked: a zip file of some kilobytes may hold gigabytes.
const BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The most bytes of a cell.
const CELL_BYTES_MAX: usize = 4 * 1024;
/// The most columns of a file.
const COLUMNS_MAX: usize = 500;

/// The separators of spreadsheets in different languages.
const SEPARATORS: [u8; 3] = *b"\t;,";

/// How the names of a header are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As they are written.
    Exact,
    /// Whatever their case.
    AnyCase,
}

/// A column; None if the file lacks it, so that all its cells are blank.
pub(crate) type Column = Option<usize>;

pub(crate) struct Table<'files> {
    file: String,
    columns: Vec<String>,
    reader: Reader<Text<Box<dyn Read + 'files>>>,
    record: StringRecord,
    line: u64,
    rows: u64,
    bytes_counted: u64,
    /// Blank cells at the end of a row may be left out.
    pub(crate) rows_may_be_short: bool,
}

/// Reads empty lines up to a header, and returns the separator of which the header has most.
fn separator(text: &mut impl BufRead) -> io::Result<u8> {
    loop {
        let line = text.fill_buf()?;
        if line.is_empty() || !line.trim_ascii().is_empty() {
            let count = |separator: &u8| line.split(|byte| byte == separator).count();
            return Ok(SEPARATORS.into_iter().max_by_key(count).unwrap_or(b','));
        }
        let blank = line.len();
        text.consume(blank);
    }
}

impl<'files> Table<'files> {
    /// Reads the header.
    pub(crate) fn open(
        file: &str,
        read: Box<dyn Read + 'files>,
        names: Names,
    ) -> Result<Self, Problem> {
        let mut text = Text::new(read);
        let separator = separator(&mut text).map_err(|error| failed(file, error.into()))?;
        let mut table = Self {
            file: file.to_owned(),
            columns: Vec::new(),
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(separator)
                .from_reader(text),
            record: StringRecord::new(),
            line: 0,
            rows: 0,
            bytes_counted: 0,
            rows_may_be_short: false,
        };
        if !table.read()? {
            let fix = "give it a header, a first line with the names of its columns";
            return Err(table.of_file("the file is empty", fix));
        }
        if table.record.iter().any(|name| name.contains('\n')) {
            let what = "a name in the header goes over several lines";
            let fix = "write it in one line, or close its quotation mark";
            return Err(table.of_file(what, fix));
        }
        if table.record.len() > COLUMNS_MAX {
            let what = format!("the header has more than {COLUMNS_MAX} columns");
            return Err(table.of_file(what, "check that it is a CSV file"));
        }
        let columns = table.record.iter().map(|name| match names {
            Names::Exact => name.trim().to_owned(),
            Names::AnyCase => name.trim().to_ascii_lowercase(),
        });
        table.columns = columns.collect();
        for (index, name) in table.columns.iter().enumerate() {
            let before = table.columns.iter().take(index);
            if !name.is_empty() && before.into_iter().any(|other| other == name) {
                let what = format!("the header has two columns {name}");
                return Err(table.of_file(what, "remove or rename one of them"));
            }
        }
        Ok(table)
    }

    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(crate) fn column(&self, name: &str) -> Column {
        self.columns.iter().position(|column| column == name)
    }

    /// Checks that the header has these columns; what is missing is one problem of the file.
    pub(super) fn require(&self, names: &[&str]) -> Result<(), Problem> {
        let missing = names.iter().filter(|name| self.column(name).is_none());
        let missing: Vec<String> = missing
            .map(|name| {
                let mut columns = self.columns.iter();
                match columns.find(|column| column.eq_ignore_ascii_case(name)) {
                    Some(other) => format!("{name} (it has {other}, and the case counts)"),
                    None => (*name).to_owned(),
                }
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let what = format!("the header lacks {}", missing.join(", "));
        Err(self.of_file(what, "add the column, with blank cells if it has no values"))
    }

    /// Notes which columns the format does not know, with what is said of those it does, and whether the others stand in
    /// another order than there. They are read by name all the same.
    pub(super) fn compare(&self, known: &str, said: &str, findings: &mut Findings) {
        let unknown = |column: &&String| {
            !known.split(',').any(|name| name == column.as_str())
                && !column.starts_with("metadata.")
                && !column.is_empty()
        };
        let unknown: Vec<&str> = self
            .columns
            .iter()
            .filter(unknown)
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let what = format!("columns that are not read: {}", unknown.join(", "));
            findings.note(self.of_file(what, said));
        }
        let places: Vec<usize> = known
            .split(',')
            .filter_map(|name| self.column(name))
            .collect();
        if !places.is_sorted() {
            let what =
                "the columns are in another order than in the standard; they are read by name";
            findings.note(self.of_file(what, ""));
        }
    }

    /// Reads the next row that can be read; the others are left out. Returns false at the end.
    pub(crate) fn advance(&mut self, findings: &mut Findings) -> Result<bool, Problem> {
        while self.read()? {
            let bytes = self.reader.position().byte();
            findings.bytes_read += bytes - std::mem::replace(&mut self.bytes_counted, bytes);
            if findings.bytes_read > BYTES_MAX {
                let what = format!("the files have more than {} MiB", BYTES_MAX / 1024 / 1024);
                return Err(self.of_file(what, "import them in parts"));
            }
            if self.record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            self.rows += 1;
            findings.rows_read += 1;
            if findings.rows_read > ROWS_MAX {
                let what = format!("the files have more than {ROWS_MAX} rows");
                return Err(self.of_file(what, "import them in parts"));
            }
            let Some((what, fix)) = self.wrong_row() else {
                return Ok(true);
            };
            findings.leave_out(Left::Unreadable, self.problem(what, fix));
        }
        Ok(false)
    }

    /// Returns what makes the row unreadable.
    fn wrong_row(&self) -> Option<(String, &'static str)> {
        let (cells, columns) = (self.record.len(), self.columns.len());
        if self.record.iter().any(|cell| cell.contains('\n')) {
            let what = "a cell goes over several lines".to_owned();
            return Some((what, "remove the line break, or close the quotation mark"));
        }
        if cells > columns || cells < columns && !self.rows_may_be_short {
            let what = format!("the row has {cells} cells, and the header {columns}");
            return Some((what, "put cells that hold the separator in quotation marks"));
        }
        if self.record.iter().any(|cell| cell.len() > CELL_BYTES_MAX) {
            let what = format!("a cell has more than {CELL_BYTES_MAX} bytes");
            return Some((what, "shorten it"));
        }
        None
    }

    /// Returns the number of rows that were read, those left out among them.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns a cell of the row without blanks at its ends.
    pub(crate) fn cell(&self, column: Column) -> &str {
        self.raw(column).trim()
    }

    /// Returns a cell of the row as it is.
    pub(super) fn raw(&self, column: Column) -> &str {
        let cell = column.and_then(|column| self.record.get(column));
        unguarded(cell.unwrap_or_default())
    }

    pub(crate) fn line(&self) -> u32 {
        u32::try_from(self.line).unwrap_or(u32::MAX)
    }

    /// Returns a problem of the row.
    pub(crate) fn problem(&self, what: impl Into<String>, fix: &str) -> Problem {
        Problem {
            line: self.line,
            ..self.of_file(what, fix)
        }
    }

    /// Keeps a note if a date of the row is not written as in the standard. No date is used.
    pub(super) fn note_dates(&self, dates: [&str; 2], findings: &mut Findings) {
        if let Some(date) = dates.into_iter().find(|date| !is_blank_or_iso_8601(date)) {
            let note =
                || self.problem(format!("{date} is no date of ISO 8601; it is not used"), "");
            findings.note_once("dates", note);
        }
    }

    pub(super) fn of_file(&self, what: impl Into<String>, fix: &str) -> Problem {
        Problem::of_file(&self.file, what, fix)
    }

    /// Reads a record, and finds the line on which it begins. The text is read a line at a time, so that the last
    /// one that was read ends the record.
    fn read(&mut self) -> Result<bool, Problem> {
        self.reader.get_mut().begin_row();
        let read = self.reader.read_record(&mut self.record);
        let read = read.map_err(|error| failed(&self.file, error))?;
        let breaks = self.record.iter().flat_map(str::bytes);
        let breaks = breaks.filter(|&byte| byte == b'\n').count() as u64;
        self.line = self.reader.get_ref().line() - breaks;
        Ok(read)
    }
}

fn failed(file: &str, error: csv::Error) -> Problem {
    let ErrorKind::Io(error) = error.into_kind() else {
        let what = "the file cannot be read";
        return Problem::of_file(file, what, "check that it is a CSV file");
    };
    match error.downcast::<Problem>() {
        Ok(problem) => Problem {
            file: file.to_owned(),
            ..problem
        },
        Err(error) => Problem::of_file(file, error.to_string(), "check the file"),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
