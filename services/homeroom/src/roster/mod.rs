//! Roster files of other systems: pure readers, a file for each format, which do nothing but read.

mod canvas;
mod cells;
mod columns;
mod files;
mod findings;
mod manifest;
mod oneroster;
mod plain;
mod rows;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use cells::guarded;
pub(crate) use columns::*;
pub(crate) use files::{Files, open};
#[cfg(test)]
pub(crate) use findings::PROBLEMS_SHOWN_MAX;
pub(crate) use findings::{Findings, Left, Problem, Refused};

pub(crate) use rows::{At, Class, Person, Reading, Role, Roster, Row, What};

use manifest::MANIFEST;
pub(crate) use table::{Names, Table};

/// The most of an unknown header that a problem quotes.
const HEADER_CHARS_MAX: usize = 400;

/// Reads files of a format that is found out by manifest and headers.
pub(crate) fn read(files: &mut dyn Files, reading: &Reading) -> Result<Roster, Refused> {
    let note = files.note();
    let mut roster = read_noted(files, reading)?;
    roster.findings.notes.splice(0..0, note);
    Ok(roster)
}

fn read_noted(files: &mut dyn Files, reading: &Reading) -> Result<Roster, Refused> {
    let names = files.names();
    if names.iter().any(|name| name == MANIFEST) {
        return oneroster::read(files, reading);
    }
    let (mut canvas, mut plain, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        let table = Table::open(&name, files.open(&name)?, Names::AnyCase)?;
        let has = |column: &str| table.column(column).is_some();
        let own = reading.user_column.as_deref().unwrap_or(plain::USER);
        if is_sds(has) {
            let what = "this is a file of Microsoft School Data Sync (SDS), which is not OneRoster";
            Err(table.of_file(what, "export OneRoster 1.1 or 1.2, with a manifest"))?;
        }
        if has("sourcedid") {
            let what =
                "this looks like OneRoster, and there is no manifest.csv to tell the version";
            Err(table.of_file(what, "export OneRoster 1.1 or 1.2, and give the whole set"))?;
        }
        if let Some(kind) = canvas::kind(table.columns()) {
            canvas.push((kind, name));
        } else if has(plain::USER) || has(&own.to_ascii_lowercase()) {
            plain.push(name);
        } else {
            let header = table.columns().join(", ");
            let shown: String = header.chars().take(HEADER_CHARS_MAX).collect();
            let cut = if shown == header { "" } else { "…" };
            let what = format!("no format that is read has the header {shown}{cut}");
            unread.push(table.of_file(what, "leave it out"));
        }
    }
    let mut roster = match (canvas.is_empty(), plain.is_empty()) {
        (false, true) => canvas::read(files, canvas, reading)?,
        (true, false) => plain::read(files, &plain, reading)?,
        (false, false) => {
            let what = "there are files of Canvas and others beside each other";
            let file = plain.first().map_or("", |name| name);
            Err(Problem::of_file(
                file,
                what,
                "import them one after the other",
            ))?
        }
        (true, true) => {
            // Once is enough.
            if let Some(last) = unread.last_mut() {
                last.fix = format!(
                    "{}; Canvas and OneRoster files keep the header of their export",
                    plain::KNOWN
                );
            }
            return Err(Refused(unread));
        }
    };
    for problem in unread {
        roster.findings.note(problem);
    }
    Ok(roster)
}

/// Returns true for a file of School Data Sync 2.1, whose files have the names of `OneRoster`'s.
fn is_sds(has: impl Fn(&str) -> bool) -> bool {
    let own = [
        "isprimary",
        "rolestartdate",
        "activedirectorymatchid",
        "sessionsourcedid",
    ];
    let enrollment = has("classsourcedid") && has("usersourcedid") && !has("sourcedid");
    own.into_iter().any(&has) || enrollment
}
