//! Slips to cut: the phrase of a class token for each student.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, SecondsFormat, Utc};
use csv::{Writer, WriterBuilder};
use homeroom_api::invitations::v1::{
    BatchCreateTokensRequest, BatchCreateTokensResponse, CreateTokenRequest, Token,
    batch_create_tokens_response::result::Outcome,
};
use prost::Message as _;
use tonic_types::{RpcStatusExt as _, Status};
use uuid::{Builder, Uuid};

use super::{
    page::{Paper, document, escaped, isolated, numbered},
    qr::{Qr, QrError},
    roster::Student,
    texts,
};
use crate::{refusal::described, roster::guarded};

/// The slips that stand side by side.
const COLUMNS: u32 = 2;
/// The rows of slips of a page, unless a name needs more space.
const ROWS: u32 = 4;
/// The margin of a page, in millimeters: what common printers leave blank.
const MARGIN_MM: f64 = 10.0;
/// Names longer than this are set smaller.
const NAME_CHARS_LARGE_MAX: usize = 30;
/// The columns of the table.
const TABLE: [&str; 4] = ["name", "phrase", "url", "expiry"];

/// A slip is never divided between two pages; a row of slips grows with a long name.
const STYLE: &str = "
.sheet { display: grid; }
.slip { break-inside: avoid; border: 0.3mm dashed #888; padding: 4mm 5mm; display: grid; grid-template-columns: 1fr 30mm; grid-template-rows: auto auto 1fr auto; column-gap: 4mm; row-gap: 1.5mm; }
.place { font-size: 8.5pt; }
.name { font-size: 13pt; }
.long { font-size: 10pt; }
.phrase { font-size: 20pt; font-weight: bold; line-height: 1.1; align-self: center; overflow-wrap: normal; font-variant-ligatures: none; }
.qr { grid-column: 2; grid-row: 1 / 4; }
.steps { grid-column: 1 / 3; font-size: 8.5pt; }
.steps ol { padding-left: 1.3em; margin-bottom: 1mm; }
@media screen { .sheet { max-width: 210mm; margin: 5mm auto; } }
";

/// Holds what a student gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) name: String,
    pub(super) phrase: String,
    pub(super) url: String,
    pub(super) expire_time: DateTime<Utc>,
}

/// Holds what all slips of a sheet have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sheet<'text> {
    pub(super) school: &'text str,
    pub(super) class: &'text str,
    /// Where phrases are typed; None: the address of the links.
    pub(super) site: Option<&'text str>,
    pub(super) paper: Paper,
}

/// Returns the request for a token for each student. The same class and roster make the same request, with the same
/// request id.
pub(super) fn request(class: &str, students: &[Student]) -> BatchCreateTokensRequest {
    let requests = students.iter().map(|student| CreateTokenRequest {
        token: Some(Token {
            display_name: student.name.clone(),
            assigned_email: student.email.clone(),
            external_id: student.external_id.clone(),
            ..Token::default()
        }),
        ..CreateTokenRequest::default()
    });
    let mut request = BatchCreateTokensRequest {
        parent: class.to_owned(),
        requests: requests.collect(),
        request_id: String::new(),
    };
    request.request_id = request_id(&request.encode_to_vec()).to_string();
    request
}

/// Returns an id that depends on the rest of the request alone (a UUID of version 8).
fn request_id(rest: &[u8]) -> Uuid {
    let digest = digest(&SHA256, rest);
    let bytes = digest.as_ref().first_chunk().copied().unwrap_or_default();
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// Returns the slips of an answer in the order of the roster, and why other students have none.
pub(super) fn slips_of(
    students: &[Student],
    answer: BatchCreateTokensResponse,
) -> (Vec<Slip>, Vec<String>) {
    let mut slips = Vec::new();
    let mut without = Vec::new();
    let mut results = answer.results.into_iter();
    for student in students {
        match slip_of(results.next().and_then(|result| result.outcome)) {
            Ok(slip) => slips.push(slip),
            Err(why) => without.push(format!("line {}, {}: {why}", student.line, student.name)),
        }
    }
    (slips, without)
}

fn slip_of(outcome: Option<Outcome>) -> Result<Slip, String> {
    let token = match outcome {
        Some(Outcome::Token(token)) => token,
        Some(Outcome::Status(status)) => return Err(told(&status)),
        None => return Err("the service did not answer this line".to_owned()),
    };
    // A repeated request is answered without the phrases that were revoked meanwhile.
    if token.invite_url.is_empty() {
        return Err(
            "the token of an earlier run was revoked; give a roster with this student alone"
                .to_owned(),
        );
    }
    let end = token.expire_time.unwrap_or_default();
    Ok(Slip {
        name: token.display_name,
        phrase: token.phrase,
        url: token.invite_url,
        expire_time: DateTime::from_timestamp(end.seconds, 0).unwrap_or_default(),
    })
}

/// Returns the message of an error, and what is wrong with each field.
fn told(status: &Status) -> String {
    let fields = status.get_details_bad_request().into_iter();
    let fields = fields.flat_map(|fields| fields.field_violations);
    let lines = fields.map(|one| format!(" {}", described(&one.field, one.description)));
    [status.message.clone()].into_iter().chain(lines).collect()
}

/// Returns the sheet as a page to print.
pub(super) fn html(sheet: &Sheet, slips: &[Slip]) -> Result<String, QrError> {
    let paper = sheet.paper.css();
    let (_, height) = sheet.paper.millimeters();
    // Rounded down, so that the rows of a page fit.
    let row = ((height - 2.0 * MARGIN_MM) / f64::from(ROWS)).floor();
    let style = format!(
        "@page {{ size: {paper}; margin: {MARGIN_MM}mm; }}\n\
         .sheet {{ grid-template-columns: repeat({COLUMNS}, 1fr); grid-auto-rows: minmax({row}mm, auto); }}{STYLE}"
    );
    let slips: Result<String, QrError> = slips.iter().map(|slip| slip_html(sheet, slip)).collect();
    let body = format!("<main class=\"sheet\">\n{}</main>\n", slips?);
    Ok(document(&texts::slips_title(sheet.class), &style, &body))
}

fn slip_html(sheet: &Sheet, slip: &Slip) -> Result<String, QrError> {
    let (school, class) = (isolated(sheet.school), isolated(sheet.class));
    let name_class = if slip.name.chars().count() > NAME_CHARS_LARGE_MAX {
        "name long"
    } else {
        "name"
    };
    let name = escaped(&slip.name);
    let phrase = escaped(&slip.phrase);
    let code = Qr::of(&slip.url)?.svg_element();
    let site = sheet.site.or_else(|| texts::site_of(&slip.url));
    let steps = texts::slip_steps(&escaped(site.unwrap_or(texts::SITE_UNKNOWN)));
    let ends = texts::slip_ends(&slip.expire_time.format("%-d %B %Y, %H:%M UTC").to_string());
    let steps = numbered(&steps);
    Ok(format!(
        "<article class=\"slip\">\n<p class=\"place\">{school} · {class}</p>\n\
         <h2 class=\"{name_class}\" dir=\"auto\">{name}</h2>\n<p class=\"phrase\">{phrase}</p>\n\
         <div class=\"qr\">{code}</div>\n<div class=\"steps\">\n{steps}<p>{ends}</p>\n</div>\n</article>\n"
    ))
}

/// Returns the slips as a table in CSV, which spreadsheets read as UTF-8 because of its byte order mark.
pub(super) fn csv(slips: &[Slip]) -> Result<Vec<u8>, csv::Error> {
    let mut writer: Writer<Vec<u8>> = WriterBuilder::new().from_writer("\u{feff}".into());
    writer.write_record(TABLE)?;
    for slip in slips {
        let expiry = slip.expire_time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let cells = [&slip.name, &slip.phrase, &slip.url, &expiry];
        writer.write_record(cells.map(|cell| guarded(cell).into_owned()))?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use homeroom_api::{
        common::v1::ErrorReason,
        invitations::v1::batch_create_tokens_response::Result as ResultOfOne,
    };
    use homeroom_kit::Error;

    use super::*;

    fn student(name: &str, line: u32) -> Student {
        Student {
            line,
            name: name.to_owned(),
            email: String::new(),
            external_id: String::new(),
        }
    }

    fn slip(name: &str) -> Slip {
        Slip {
            name: name.to_owned(),
            phrase: "amber otter".to_owned(),
            url: "https://join.example/t/amber-otter".to_owned(),
            expire_time: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    fn sheet(paper: Paper) -> Sheet<'static> {
        Sheet {
            school: "Hamilton <High>",
            class: "Biology & Botany",
            site: None,
            paper,
        }
    }

    #[test]
    fn a_slip_has_name_place_phrase_code_and_three_steps() {
        let page = html(&sheet(Paper::A4), &[slip("Ada")]).unwrap();
        for part in [
            "<title>Slips: Biology &amp; Botany</title>",
            "<bdi>Hamilton &lt;High&gt;</bdi> · <bdi>Biology &amp; Botany</bdi>",
            ">Ada</h2>",
            ">amber otter</p>",
            "<svg role=\"img\"",
            "open <b>join.example</b>",
            "15 January 2027, 08:00 UTC",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<li>").count(), 3);
    }

    #[test]
    fn a_page_has_the_size_of_its_paper_and_no_slip_is_divided() {
        for (paper, size, row) in [(Paper::A4, "A4", "69mm"), (Paper::Letter, "letter", "64mm")] {
            let page = html(&sheet(paper), &[slip("Ada")]).unwrap();
            assert!(
                page.contains(&format!("@page {{ size: {size}; margin: 10mm; }}")),
                "{size}"
            );
            assert!(page.contains(&format!("minmax({row}, auto)")), "{row}");
            assert!(page.contains("break-inside: avoid"));
        }
    }

    #[test]
    fn names_are_escaped_small_if_long_and_have_their_own_direction() {
        let of = |name: &str| html(&sheet(Paper::A4), &[slip(name)]).unwrap();
        assert!(
            of("<img src=x onerror=alert(1)>").contains(">&lt;img src=x onerror=alert(1)&gt;</h2>")
        );
        assert!(of("עדה לאבלייס").contains("dir=\"auto\">עדה לאבלייס</h2>"));
        assert!(of(&"x".repeat(NAME_CHARS_LARGE_MAX)).contains("class=\"name\""));
        assert!(of(&"x".repeat(NAME_CHARS_LARGE_MAX + 1)).contains("class=\"name long\""));
    }

    #[test]
    fn the_platform_is_named_as_it_is_asked_for() {
        let named = Sheet {
            site: Some("learn.school.example"),
            ..sheet(Paper::A4)
        };
        let page = html(&named, &[slip("Ada")]).unwrap();
        assert!(page.contains("open <b>learn.school.example</b>"));
    }

    #[test]
    fn an_address_that_is_too_long_for_a_code_is_told() {
        let mut long = slip("Ada");
        long.url = format!("https://join.example/t/{}", "x".repeat(500));
        assert!(matches!(
            html(&sheet(Paper::A4), &[long]),
            Err(QrError::TooLong)
        ));
    }

    #[test]
    fn no_cell_of_the_table_is_a_formula() {
        let names = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "Ada \"A\", L",
            "艾達 = 1",
        ];
        let table = csv(&names.map(slip)).unwrap();
        let text = std::str::from_utf8(&table).unwrap();
        assert!(
            text.starts_with("\u{feff}name,phrase,url,expiry\n"),
            "{text}"
        );
        let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        for (record, name) in read.iter().zip(names) {
            let guard = if name.starts_with(['A', '艾']) {
                ""
            } else {
                "'"
            };
            assert_eq!(record[0], format!("{guard}{name}"));
            assert_eq!(&record[3], "2027-01-15T08:00:00Z");
        }
        assert_eq!(read.len(), names.len());
    }

    #[test]
    fn the_same_class_and_roster_have_the_same_request_id() {
        let id = |class: &str, names: &[&str]| {
            let students: Vec<Student> = names.iter().map(|name| student(name, 2)).collect();
            let id = request(class, &students).request_id;
            assert!(Uuid::try_parse(&id).is_ok());
            id
        };
        assert_eq!(id("a", &["Ada", "Sam"]), id("a", &["Ada", "Sam"]));
        let all = [
            id("a", &["Ada", "Sam"]),
            id("b", &["Ada", "Sam"]),
            id("a", &["Sam", "Ada"]),
            id("a", &["Ada"]),
        ];
        let different: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_student_without_a_slip_is_told_with_line_and_reason() {
        let token = |name: &str, phrase: &str, invite_url: &str| {
            Outcome::Token(Token {
                display_name: name.to_owned(),
                phrase: phrase.to_owned(),
                invite_url: invite_url.to_owned(),
                expire_time: Some(prost_types::Timestamp {
                    seconds: 1_800_000_000,
                    nanos: 0,
                }),
                ..Token::default()
            })
        };
        let refused = Error::new(ErrorReason::InvalidRequest, "Correct the fields.")
            .violation("token.assigned_email", "is no address");
        let outcomes = [
            token("Ada", "amber otter", "https://join.example/t/amber-otter"),
            Outcome::Status(refused.into_row_status()),
            token("Somebody", "", ""),
        ];
        let results = (0..).zip(outcomes).map(|(index, outcome)| ResultOfOne {
            index,
            outcome: Some(outcome),
        });
        let answer = BatchCreateTokensResponse {
            results: results.collect(),
        };
        let students = [
            student("Ada", 2),
            student("Sam", 3),
            student("Somebody", 5),
            student("Mary", 6),
        ];
        let (slips, without) = slips_of(&students, answer);
        assert_eq!(slips, [slip("Ada")]);
        assert_eq!(
            without[0],
            "line 3, Sam: Correct the fields. token.assigned_email: is no address"
        );
        assert!(
            without[1].starts_with("line 5, Somebody: ") && without[1].contains("revoked"),
            "{without:?}"
        );
        assert!(without[2].starts_with("line 6, Mary: "), "{without:?}");
    }
}
