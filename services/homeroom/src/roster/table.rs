//! A CSV file with a header, read a row at a time.

use std::{cell::Cell, io::Read, rc::Rc};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::{
    cells::unguarded,
    findings::{Findings, Left, Problem},
    text::{Text, TextError},
};

/// The most rows of all files of an import.
const ROWS_MAX: u64 = 2_000_000;
/// The most bytes of all files of an import, unpacked: a zip file of some kilobytes may hold gigabytes.
const BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The most bytes of a cell.
const CELL_BYTES_MAX: usize = 4 * 1024;
/// The most bytes of a row: more is a quotation mark that is not closed.
const ROW_BYTES_MAX: usize = 128 * 1024;
/// The most columns of a file.
const COLUMNS_MAX: usize = 500;

/// How the names of a header are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// As they are written.
    Exact,
    /// Whatever their case.
    AnyCase,
}

/// A column; None if the file lacks it, so that all its cells are blank.
pub(super) type Column = Option<usize>;

pub(super) struct Table<'files> {
    file: String,
    columns: Vec<String>,
    reader: Reader<Text<Box<dyn Read + 'files>>>,
    row_bytes: Rc<Cell<usize>>,
    record: StringRecord,
    line: u64,
    rows: u64,
    bytes_counted: u64,
}

impl<'files> Table<'files> {
    /// Reads the header.
    pub(super) fn open(
        file: &str,
        read: Box<dyn Read + 'files>,
        names: Names,
    ) -> Result<Self, Problem> {
        let row_bytes = Rc::new(Cell::new(ROW_BYTES_MAX));
        let text = Text::new(read, Rc::clone(&row_bytes));
        let mut table = Self {
            file: file.to_owned(),
            columns: Vec::new(),
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text),
            row_bytes,
            record: StringRecord::new(),
            line: 0,
            rows: 0,
            bytes_counted: 0,
        };
        if !table.read()? {
            return Err(table.of_file("the file is empty", "give it a header"));
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

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn column(&self, name: &str) -> Column {
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

    /// Notes which columns the format does not know, and whether the others stand in another order than there. They are
    /// read by name all the same.
    pub(super) fn compare(&self, known: &str, findings: &mut Findings) {
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
            findings.note(self.of_file(what, ""));
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
    pub(super) fn advance(&mut self, findings: &mut Findings) -> Result<bool, Problem> {
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
        if cells != columns {
            let what = format!("the row has {cells} cells, and the header {columns}");
            return Some((what, "put cells that hold a comma in quotation marks"));
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
    pub(super) fn cell(&self, column: Column) -> &str {
        self.raw(column).trim()
    }

    /// Returns a cell of the row as it is.
    pub(super) fn raw(&self, column: Column) -> &str {
        let cell = column.and_then(|column| self.record.get(column));
        unguarded(cell.unwrap_or_default())
    }

    pub(super) fn line(&self) -> u32 {
        u32::try_from(self.line).unwrap_or(u32::MAX)
    }

    /// Returns a problem of the row.
    pub(super) fn problem(&self, what: impl Into<String>, fix: &str) -> Problem {
        Problem {
            line: self.line,
            ..self.of_file(what, fix)
        }
    }

    pub(super) fn of_file(&self, what: impl Into<String>, fix: &str) -> Problem {
        Problem::of_file(&self.file, what, fix)
    }

    /// Reads a record, and finds the line on which it begins. Empty lines precede it unseen, so the line is counted back
    /// from its end.
    fn read(&mut self) -> Result<bool, Problem> {
        let first_unread = self.reader.position().line();
        self.row_bytes.set(ROW_BYTES_MAX);
        match self.reader.read_record(&mut self.record) {
            Ok(false) => Ok(false),
            Ok(true) => {
                let breaks = self.record.iter().flat_map(str::bytes);
                let breaks = breaks.filter(|&byte| byte == b'\n').count() as u64;
                let next = self.reader.position().line();
                self.line = next.saturating_sub(breaks + 1);
                Ok(true)
            }
            Err(error) => Err(self.failed(error, first_unread)),
        }
    }

    fn failed(&self, error: csv::Error, line: u64) -> Problem {
        let ErrorKind::Io(error) = error.into_kind() else {
            return self.of_file("the file cannot be read", "check that it is a CSV file");
        };
        let text = error.get_ref().and_then(|error| error.downcast_ref());
        let (line, fix) = match text {
            Some(&TextError::Encoding { line, .. }) => (line, "save the file as UTF-8"),
            Some(TextError::RowTooLong) => (line, "close the quotation mark in this row"),
            None => (0, "check the file"),
        };
        Problem {
            line,
            ..self.of_file(error.to_string(), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Result<Table<'_>, Problem> {
        Table::open("file.csv", Box::new(text.as_bytes()), Names::Exact)
    }

    /// Returns the line and the cells of each row that can be read, and what is said of the others.
    fn read(text: &str) -> (Vec<(u32, Vec<String>)>, Vec<String>) {
        let (mut table, mut findings) = (open(text).unwrap(), Findings::default());
        let mut rows = Vec::new();
        while table.advance(&mut findings).unwrap() {
            let cells = (0..table.columns().len()).map(|column| table.raw(Some(column)).to_owned());
            rows.push((table.line(), cells.collect()));
        }
        let problems = findings.problems.iter();
        (
            rows,
            problems.map(|(_, problem)| problem.to_string()).collect(),
        )
    }

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn encoding_a_byte_order_mark_is_no_part_of_the_first_name() {
        let table = open("\u{feff}sourcedId,title\n").unwrap();
        assert_eq!(table.column("sourcedId"), Some(0));
    }

    #[test]
    fn encoding_another_one_is_told_by_line_and_byte() {
        let bytes: &[u8] = b"a,b\nZo\xEB,c\n";
        let problem = Table::open("users.csv", Box::new(bytes), Names::Exact);
        let problem = problem.err().unwrap();
        let said = "users.csv:2: byte 3 of the line is not UTF-8; save the file as UTF-8";
        assert_eq!(problem.to_string(), said);
    }

    #[test]
    fn header_two_columns_of_one_name_are_refused() {
        let refused = open("sourcedId,title,sourcedId\n").err().unwrap();
        assert!(refused.what.contains("two columns sourcedId"), "{refused}");
        assert!(open("").is_err());
    }

    #[test]
    fn header_what_is_missing_is_one_problem_and_a_wrong_case_is_told() {
        let table = open("SourcedId,title\n").unwrap();
        assert!(table.require(&["title"]).is_ok());
        let missing = table.require(&["sourcedId", "role", "title"]).unwrap_err();
        assert_eq!(missing.line, 0);
        let said = "the header lacks sourcedId (it has SourcedId, and the case counts), role";
        assert_eq!(missing.what, said);
    }

    #[test]
    fn header_another_order_and_unknown_columns_are_noted() {
        let mut findings = Findings::default();
        let table = open("b,ext_room,a,metadata.x\n").unwrap();
        table.compare("a,b,c", &mut findings);
        let notes: Vec<_> = findings.notes.iter().map(|note| &*note.what).collect();
        assert!(notes[0].ends_with("not read: ext_room"), "{notes:?}");
        assert!(notes[1].contains("another order"), "{notes:?}");
        assert_eq!(notes.len(), 2);
    }

    #[test]
    fn blank_columns_a_missing_optional_one_is_blank() {
        let mut table = open("a\n1\n").unwrap();
        assert!(table.advance(&mut Findings::default()).unwrap());
        assert_eq!(table.cell(table.column("b")), "");
    }

    #[test]
    fn row_length_another_one_is_left_out_by_its_line() {
        let (rows, problems) = read("a,b\n1,2\n3\n4,5,6\n7,8\n");
        assert_eq!(rows, [(2, cells(&["1", "2"])), (5, cells(&["7", "8"]))]);
        assert!(problems[0].starts_with("file.csv:3: the row has 1 cells, and the header 2"));
        assert!(problems[1].starts_with("file.csv:4: the row has 3 cells"));
    }

    #[test]
    fn quotes_hold_commas_and_doubled_quotes_and_no_line_breaks() {
        let (rows, problems) =
            read("a,b\n\"Art 105: \"\"Art as a Medium\"\"\",\"x, y\"\n\"two\nlines\",z\n1,2\n");
        let first = cells(&["Art 105: \"Art as a Medium\"", "x, y"]);
        assert_eq!(rows, [(2, first), (5, cells(&["1", "2"]))]);
        assert!(problems[0].starts_with("file.csv:3: a cell goes over several lines"));
    }

    #[test]
    fn quotes_one_that_is_not_closed_does_not_take_the_memory() {
        let text = format!("a,b\n1,2\n\"3,{}", "4\n".repeat(ROW_BYTES_MAX));
        let mut table = open(&text).unwrap();
        let mut findings = Findings::default();
        assert!(table.advance(&mut findings).unwrap());
        let refused = table.advance(&mut findings).unwrap_err();
        assert!(refused.fix.contains("quotation mark"), "{refused}");
        assert_eq!(refused.line, 3);
    }

    #[test]
    fn spaces_around_a_cell_are_no_part_of_it_and_those_inside_are() {
        let mut table = open("a\n  42 b \n").unwrap();
        assert!(table.advance(&mut Findings::default()).unwrap());
        assert_eq!(table.cell(Some(0)), "42 b");
    }

    #[test]
    fn empty_lines_and_rows_of_commas_are_skipped_and_line_numbers_stay_true() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "1,2", "", "", ",", ",,,", "3,4", "\"5\",6"].join(end);
            let (rows, problems) = read(&text);
            let lines: Vec<u32> = rows.iter().map(|(line, _)| *line).collect();
            assert_eq!((lines, problems.len()), (vec![3, 8, 9], 0), "{end:?}");
        }
    }

    #[test]
    fn bounds_a_cell_has_at_most_4096_bytes() {
        let of = |bytes: usize| read(&format!("a,b\n{},1\n", "x".repeat(bytes)));
        assert_eq!(of(CELL_BYTES_MAX).0.len(), 1);
        let (rows, problems) = of(CELL_BYTES_MAX + 1);
        assert!(rows.is_empty() && problems[0].contains("4096 bytes"));
    }

    /// Reads two files of 4 bytes and a row each, after so many rows and bytes; returns what is said of the second.
    fn read_two(rows_read: u64, bytes_read: u64) -> Option<String> {
        let mut findings = Findings {
            rows_read,
            bytes_read,
            ..Findings::default()
        };
        let mut read = || {
            let mut table = open("a\n1\n").unwrap();
            while table.advance(&mut findings)? {}
            Ok::<_, Problem>(())
        };
        read().unwrap();
        read().err().map(|problem| problem.what)
    }

    #[test]
    fn bounds_the_files_of_an_import_have_at_most_two_million_rows_together() {
        assert_eq!(read_two(ROWS_MAX - 2, 0), None);
        let said = read_two(ROWS_MAX - 1, 0).unwrap();
        assert!(said.contains("2000000 rows"), "{said}");
    }

    #[test]
    fn bounds_the_files_of_an_import_have_at_most_512_mib_together_however_small_they_are_packed() {
        assert_eq!(read_two(0, BYTES_MAX - 8), None);
        let said = read_two(0, BYTES_MAX - 7).unwrap();
        assert!(said.contains("512 MiB"), "{said}");
    }

    #[test]
    fn bounds_a_header_has_at_most_500_columns() {
        let header = |count: usize| {
            let names: Vec<String> = (0..count).map(|name| name.to_string()).collect();
            open(&names.join(",")).map(|_| ())
        };
        assert_eq!(header(COLUMNS_MAX), Ok(()));
        assert!(header(COLUMNS_MAX + 1).is_err());
    }
}
