//! The values of cells, alike in every format.

use std::borrow::Cow;

use chrono::NaiveDate;
use homeroom_kit::person;
use unicode_normalization::UnicodeNormalization as _;

/// The characters with which a spreadsheet begins a formula.
const FORMULA_BEGINNINGS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// The character that keeps a spreadsheet from running a cell.
const GUARD: char = '\'';

/// Returns true if a spreadsheet would run the cell, but for guards before it.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches(GUARD)
        .starts_with(FORMULA_BEGINNINGS)
}

/// Returns the cell with a `'` before it if a spreadsheet would otherwise run it as a formula.
pub(crate) fn guarded(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) {
        Cow::Owned(format!("{GUARD}{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// Returns the cell without the `'` that [`guarded`] puts before it.
pub(super) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix(GUARD) {
        Some(rest) if is_formula(rest) => rest,
        _ => cell,
    }
}

/// Returns the name of a person from its parts: in NFC, and without the marks of direction that Hebrew and Arabic
/// exports contain.
pub(super) fn name(parts: &[&str]) -> Box<str> {
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect();
    let composed: String = parts.join(" ").nfc().collect();
    person::display_name(&composed).into()
}

/// Returns the one id in a cell, or the reason why there is none.
pub(super) fn one_id(cell: &str) -> Result<&str, &'static str> {
    if cell.is_empty() {
        Err("is empty")
    } else if cell.starts_with('[') {
        Err("holds a JSON list, where one id belongs")
    } else if cell.contains(',') {
        Err("holds several ids, where one belongs")
    } else {
        Ok(cell)
    }
}

/// Returns a Boolean, and true if it is written in the small letters of the standard.
pub(super) fn boolean(cell: &str) -> Option<(bool, bool)> {
    let value = match cell.to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    Some((value, cell.bytes().all(|byte| byte.is_ascii_lowercase())))
}

/// Returns true if the cell is blank, or begins with a date of ISO 8601: of others the order of day and month cannot be
/// known.
pub(super) fn is_blank_or_iso_8601(cell: &str) -> bool {
    let (date, time) = cell.split_at_checked(10).unwrap_or((cell, ""));
    let is_date = date.len() == 10 && NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok();
    cell.is_empty() || is_date && (time.is_empty() || time.starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_guarded_and_read_back() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            // A guard that belongs to the value is kept by another one.
            ("'=1", "''=1"),
            ("''-", "'''-"),
            ("'Ada'", "'Ada'"),
            ("Ada = Lovelace", "Ada = Lovelace"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), written);
            assert_eq!(unguarded(written), cell);
        }
    }

    #[test]
    fn normal_form_names_are_in_nfc() {
        assert_eq!(
            &*name(&["Zoe\u{308}", "", " Nu\u{301}n\u{303}ez "]),
            "Zo\u{eb} N\u{fa}\u{f1}ez"
        );
    }

    #[test]
    fn direction_marks_are_stripped_from_names() {
        assert_eq!(&*name(&["\u{200f}נועם\u{200f}", "\u{200e}לוי"]), "נועם לוי");
    }

    #[test]
    fn one_valued_columns_hold_no_lists() {
        assert_eq!(one_id("c-1"), Ok("c-1"));
        assert!(one_id("").is_err());
        assert!(one_id("c-1,c-2").unwrap_err().contains("several"));
        assert!(one_id("[\"10\"]").unwrap_err().contains("JSON"));
    }

    #[test]
    fn booleans_are_read_in_any_case() {
        assert_eq!(boolean("true"), Some((true, true)));
        assert_eq!(boolean("TRUE"), Some((true, false)));
        assert_eq!(boolean("False"), Some((false, false)));
        assert_eq!([boolean("1"), boolean("yes"), boolean("")], [None; 3]);
    }

    #[test]
    fn dates_are_of_iso_8601_alone() {
        for right in [
            "",
            "2024-08-24",
            "2024-08-24T10:00:00Z",
            "2024-08-24T10:00:00.000Z",
            "2024-08-24T10:00:00-06:00",
            "2024-08-24T10:00:00",
            "2024-08-24T10:00",
        ] {
            assert!(is_blank_or_iso_8601(right), "{right}");
        }
        for wrong in [
            "8/24/2021",
            "24.08.2021",
            "2013-1-03",
            "2013-1-03 00:00:00",
            "2024-08-24 10:00:00",
            "2024-13-01",
            "2024-02-30T10:00:00Z",
            "2024-8-4",
            "tomorrow, é",
        ] {
            assert!(!is_blank_or_iso_8601(wrong), "{wrong}");
        }
    }
}
