//! Tests of the rows of a CSV file.

use super::*;
use crate::roster::text::ROW_BYTES_MAX;

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
    let mut table = Table::open("users.csv", Box::new(bytes), Names::Exact).unwrap();
    let problem = table.advance(&mut Findings::default());
    let problem = problem.unwrap_err();
    let said = "users.csv:2: byte 3 of the line is not UTF-8; save the file as UTF-8 CSV";
    assert_eq!(problem.to_string(), said);
}

#[test]
fn header_two_columns_of_one_name_are_refused() {
    let refused = open("sourcedId,title,sourcedId\n").err().unwrap();
    assert!(refused.what.contains("two columns sourcedId"), "{refused}");
    for empty in ["", "\n\n"] {
        let refused = open(empty).err().unwrap();
        assert!(refused.to_string().contains("empty; give it a header"));
    }
    let refused = open("\"a\",\"b\n1,2\n").err().unwrap();
    assert!(refused.fix.contains("quotation mark"), "{refused}");
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
    table.compare("a,b,c", "", &mut findings);
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
fn separators_are_what_the_header_has_most_of() {
    for text in ["a,b\n1,2;3\n", "\na;b\n1;2,3\n", "a\tb\n1\t2\n"] {
        let (rows, _) = read(text);
        assert_eq!(rows[0].1.len(), 2, "{text}");
    }
    assert_eq!(open("a\n").unwrap().columns(), ["a"]);
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
