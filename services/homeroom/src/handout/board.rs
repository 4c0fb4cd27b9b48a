//! A page with one code in large letters, for the board or a projector.

use super::{
    page::{MONOSPACE, MONOSPACE_WIDTH, Paper, document, escaped, numbered},
    qr::{Qr, QrError},
};

/// The smallest and the largest font of the code, in points.
const CODE_POINTS_MIN: f64 = 28.0;
const CODE_POINTS_MAX: f64 = 96.0;
/// Texts longer than this, such as addresses, are set in several lines.
const LINE_CHARS_MAX: usize = 24;
/// The largest font of a text in several lines: three of them leave space for the square.
const LINES_POINTS_MAX: f64 = 48.0;
/// Names longer than this are set smaller.
const NAME_CHARS_LARGE_MAX: usize = 40;
/// The margin of the page, in millimeters.
const MARGIN_MM: f64 = 12.0;
const POINTS_OF_A_MM: f64 = 72.0 / 25.4;

const STYLE: &str = "
.board { text-align: center; }
h1 { font-size: 32pt; }
h2 { font-size: 18pt; font-weight: normal; }
.long { font-size: 14pt; }
.code { font-weight: bold; line-height: 1.15; margin: 5mm 0; }
.how { display: grid; grid-template-columns: 92mm 1fr; column-gap: 8mm; align-items: center; text-align: start; }
.how ol { font-size: 26pt; padding-left: 1.3em; }
.how li { margin: 3mm 0; }
@media screen { .board { max-width: 297mm; margin: 5mm auto; } }
";

/// Holds what the page shows.
#[derive(Debug, Clone)]
pub(super) struct Board<'text> {
    pub(super) school: &'text str,
    /// Empty if the code is the school's own.
    pub(super) class: &'text str,
    /// The code or address in large letters.
    pub(super) code: &'text str,
    /// The text of the QR code.
    pub(super) scanned: &'text str,
    /// What to do, as HTML.
    pub(super) steps: [String; 3],
    pub(super) paper: Paper,
}

/// Returns the page, in landscape.
pub(super) fn html(board: &Board) -> Result<String, QrError> {
    let paper = board.paper.css();
    let size = code_points(board.code, board.paper);
    let style = format!(
        "@page {{ size: {paper} landscape; margin: {MARGIN_MM}mm; }}\n\
         .code {{ font-family: {MONOSPACE}; font-size: {size}pt; }}{STYLE}"
    );
    let heading = |tag: &str, text: &str| match text.chars().count() {
        0 => String::new(),
        1..=NAME_CHARS_LARGE_MAX => format!("<{tag} dir=\"auto\">{}</{tag}>\n", escaped(text)),
        _ => format!(
            "<{tag} class=\"long\" dir=\"auto\">{}</{tag}>\n",
            escaped(text)
        ),
    };
    let names = if board.class.is_empty() {
        heading("h1", board.school)
    } else {
        heading("h2", board.school) + &heading("h1", board.class)
    };
    let code = escaped(board.code);
    let square = Qr::of(board.scanned)?.svg_element();
    let steps = numbered(&board.steps);
    let body = format!(
        "<main class=\"board\">\n{names}<p class=\"code\">{code}</p>\n\
         <div class=\"how\">\n<div>{square}</div>\n{steps}</div>\n</main>\n"
    );
    let title = if board.class.is_empty() {
        board.school
    } else {
        board.class
    };
    Ok(document(title, &style, &body))
}

/// Returns the font size, in whole points, with which a code fills its line, and a longer text two lines.
fn code_points(code: &str, paper: Paper) -> f64 {
    let (_, long_side) = paper.millimeters();
    let width = (long_side - 2.0 * MARGIN_MM) * POINTS_OF_A_MM;
    let characters = code.chars().count();
    let (lines, most) = if characters > LINE_CHARS_MAX {
        (2, LINES_POINTS_MAX)
    } else {
        (1, CODE_POINTS_MAX)
    };
    let in_line = u32::try_from(characters.div_ceil(lines)).unwrap_or(u32::MAX);
    let fills = width / (f64::from(in_line.max(1)) * MONOSPACE_WIDTH);
    fills.floor().clamp(CODE_POINTS_MIN, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "7K3M-9PQ2-XW4T";

    fn board(class: &'static str) -> Board<'static> {
        Board {
            school: "Hamilton",
            class,
            code: CODE,
            scanned: "https://join.example/c/7K3M9PQ2XW4T",
            steps: ["One.", "Two.", "Three."].map(str::to_owned),
            paper: Paper::A4,
        }
    }

    #[test]
    fn the_page_shows_class_school_code_and_steps() {
        let page = html(&board("<Biology>")).unwrap();
        for part in [
            "<title>&lt;Biology&gt;</title>",
            "@page { size: A4 landscape; margin: 12mm; }",
            "<h2 dir=\"auto\">Hamilton</h2>",
            "<h1 dir=\"auto\">&lt;Biology&gt;</h1>",
            ">7K3M-9PQ2-XW4T</p>",
            "<svg role=\"img\"",
            "<ol><li>One.</li><li>Two.</li><li>Three.</li></ol>",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn a_code_of_the_school_itself_names_no_class() {
        let page = html(&board("")).unwrap();
        assert!(page.contains("<h1 dir=\"auto\">Hamilton</h1>"), "{page}");
        assert!(!page.contains("<h2"), "{page}");
    }

    #[test]
    fn the_code_has_28_to_96_points_and_fits_its_line() {
        assert!(code_points("BIO", Paper::A4) >= CODE_POINTS_MAX);
        for paper in [Paper::A4, Paper::Letter] {
            let points = code_points(CODE, paper);
            assert!((80.0..CODE_POINTS_MAX).contains(&points), "{points}");
            let (_, long_side) = paper.millimeters();
            let needs = points * MONOSPACE_WIDTH * 14.0 / POINTS_OF_A_MM;
            assert!(needs <= long_side - 2.0 * MARGIN_MM, "{needs}");
        }
        let of = |characters: usize| code_points(&"x".repeat(characters), Paper::Letter);
        assert!(of(LINE_CHARS_MAX) > CODE_POINTS_MIN);
        assert!(of(LINE_CHARS_MAX + 1) <= LINES_POINTS_MAX);
        assert!(of(1_000) <= CODE_POINTS_MIN);
    }
}
