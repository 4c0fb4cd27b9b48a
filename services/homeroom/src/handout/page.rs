//! HTML pages to print: the one template, escaping, and sizes of paper.

use clap::ValueEnum;

/// The width of a character of [`MONOSPACE`], as a part of its font size; the widest such fonts have 0.61.
pub(super) const MONOSPACE_WIDTH: f64 = 0.62;
/// Fonts of the system whose characters are equally wide, and whose O and 0 differ.
pub(super) const MONOSPACE: &str =
    "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace";

/// Fonts come from the system, and nothing is loaded from anywhere.
const STYLE: &str = "
* { box-sizing: border-box; margin: 0; padding: 0; }
body { color: #000; background: #fff; font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; line-height: 1.25; }
h1, h2, p, li { overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; }
";

/// A size of paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Paper {
    /// 210 × 297 mm.
    A4,
    /// 8.5 × 11 inches.
    Letter,
}

impl Paper {
    /// Returns the name of the size in CSS.
    pub(super) const fn css(self) -> &'static str {
        match self {
            Self::A4 => "A4",
            Self::Letter => "letter",
        }
    }

    /// Returns the width and the height in millimeters, upright.
    pub(super) const fn millimeters(self) -> (f64, f64) {
        match self {
            Self::A4 => (210.0, 297.0),
            Self::Letter => (215.9, 279.4),
        }
    }
}

/// Returns a whole page; `title` is a text, `style` is CSS, and `body` is HTML.
pub(super) fn document(title: &str, style: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// Returns the HTML of a text.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Returns the HTML of a text within a line, whose direction does not change that of the line.
pub(super) fn isolated(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

/// Returns the HTML of numbered steps, which are HTML too.
pub(super) fn numbered(steps: &[String]) -> String {
    format!("<ol><li>{}</li></ol>\n", steps.join("</li><li>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<script>\"Ada's\" & more</script>"),
            "&lt;script&gt;&quot;Ada&#39;s&quot; &amp; more&lt;/script&gt;"
        );
        assert_eq!(isolated("עדה <b>"), "<bdi>עדה &lt;b&gt;</bdi>");
        let page = document("</title><script>", "", "");
        assert!(!page.contains("<script>"), "{page}");
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = document("Biology", "", "");
        assert!(page.contains("default-src 'none'"), "{page}");
        for loads in ["http:", "https:", "url(", "@import", "<link", "src="] {
            assert!(!page.contains(loads), "{loads}");
        }
    }
}
