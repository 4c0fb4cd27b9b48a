//! QR codes as SVG, PNG and characters.

use anstyle::{AnsiColor, Style};
use png::{BitDepth, ColorType, Encoder, EncodingError};
use qrcode::{
    EcLevel, QrCode,
    render::{svg, unicode::Dense1x2},
};

use super::texts::QR_LABEL;

/// The longest text, in bytes: a longer one would make a code too fine for a phone to read from paper.
pub(super) const QR_TEXT_BYTES_MAX: usize = 512;
/// The light margin, in modules, that a reader needs.
const QUIET_ZONE_MODULES: usize = 4;
/// The side of a module of a PNG, in pixels: a byte of one bit for each pixel.
const MODULE_PIXELS: usize = 8;
/// Dark on light, whatever the colors of the terminal.
const INK: Style = AnsiColor::Black
    .on_default()
    .bg_color(Some(anstyle::Color::Ansi(AnsiColor::BrightWhite)));

/// The error for a text that makes no QR code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QrError {
    #[error("there is no text: write one to standard input, such as an invite URL")]
    Empty,
    #[error(
        "the text has more than {QR_TEXT_BYTES_MAX} bytes: a QR code of it could not be scanned from paper"
    )]
    TooLong,
    #[error("the text makes no QR code: {0}")]
    Impossible(qrcode::types::QrError),
}

/// A QR code with error correction M, which is readable if 15 % of it are damaged.
pub(super) struct Qr(QrCode);

impl Qr {
    /// Returns the code of a text, as it is: letters keep their case.
    pub(super) fn of(text: impl AsRef<[u8]>) -> Result<Self, QrError> {
        match text.as_ref().len() {
            0 => Err(QrError::Empty),
            bytes if bytes > QR_TEXT_BYTES_MAX => Err(QrError::TooLong),
            _ => QrCode::with_error_correction_level(text, EcLevel::M)
                .map(Self)
                .map_err(QrError::Impossible),
        }
    }

    /// Returns an SVG file.
    pub(super) fn svg(&self) -> String {
        self.0.render::<svg::Color>().build()
    }

    /// Returns an SVG element for a page, which its container sizes.
    pub(super) fn svg_element(&self) -> String {
        let drawn = self.0.render::<svg::Color>();
        let file = { drawn }.module_dimensions(1, 1).build();
        let element = file.find("<svg").and_then(|start| file.get(start..));
        let element = element.unwrap_or(&file);
        let labeled = format!("<svg role=\"img\" aria-label=\"{QR_LABEL}\"");
        element.replacen("<svg", &labeled, 1)
    }

    /// Returns a PNG file of one bit for each pixel.
    pub(super) fn png(&self) -> Result<Vec<u8>, EncodingError> {
        let modules = self.0.width() + 2 * QUIET_ZONE_MODULES;
        let light = [u8::MAX];
        let margin = light.repeat(QUIET_ZONE_MODULES);
        let blank = light.repeat(modules);
        let above = vec![blank; QUIET_ZONE_MODULES];
        let colors = self.0.to_colors();
        let lines = colors.chunks(self.0.width()).map(|line| {
            let bytes = line.iter().map(|color| color.select(0, u8::MAX));
            [margin.clone(), bytes.collect(), margin.clone()].concat()
        });
        let lines = above
            .iter()
            .cloned()
            .chain(lines)
            .chain(above.iter().cloned());
        let pixels: Vec<u8> = lines.flat_map(|line| line.repeat(MODULE_PIXELS)).collect();

        let side = u32::try_from(modules * MODULE_PIXELS).unwrap_or(u32::MAX);
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, side, side);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(file)
    }

    /// Returns lines for a terminal, in its colors.
    pub(super) fn text(&self) -> String {
        let (begin, end) = (format!("{INK}"), format!("{INK:#}"));
        let drawn = self.0.render::<Dense1x2>().build();
        let inked = drawn.lines().map(|line| [&begin, line, &end].concat());
        inked.collect::<Vec<String>>().join("\n") + "\n"
    }

    /// Returns true for each dark module, line by line.
    #[cfg(test)]
    fn is_dark(&self) -> Vec<bool> {
        let colors = self.0.to_colors();
        colors
            .iter()
            .map(|color| *color == qrcode::Color::Dark)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://join.example/t/amber-otter";

    #[test]
    fn a_text_has_1_to_512_bytes() {
        assert_eq!(Qr::of("").err().unwrap(), QrError::Empty);
        assert!(Qr::of("x".repeat(QR_TEXT_BYTES_MAX)).is_ok());
        let error = Qr::of("x".repeat(QR_TEXT_BYTES_MAX + 1)).err().unwrap();
        assert_eq!(error, QrError::TooLong);
        assert!(error.to_string().contains("more than 512"), "{error}");
    }

    #[test]
    fn the_code_corrects_errors_of_level_m_and_keeps_case() {
        let code = Qr::of(LINK).unwrap();
        assert_eq!(code.0.error_correction_level(), EcLevel::M);
        let upper = Qr::of(LINK.to_uppercase()).unwrap();
        assert_ne!(code.is_dark(), upper.is_dark());
    }

    #[test]
    fn a_png_has_every_module_and_a_quiet_zone_of_four() {
        let code = Qr::of(LINK).unwrap();
        let file = code.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        let modules = code.0.width() + 8;
        assert_eq!(
            usize::try_from(frame.width).unwrap(),
            modules * MODULE_PIXELS
        );
        assert_eq!(
            (frame.width, frame.bit_depth),
            (frame.height, BitDepth::One)
        );
        let dark = code.is_dark();
        for y in 0..modules * MODULE_PIXELS {
            for x in 0..modules {
                let (row, column) = (y / MODULE_PIXELS, x);
                let inside = |at: usize| (4..modules - 4).contains(&at);
                let expected =
                    inside(row) && inside(column) && dark[(row - 4) * code.0.width() + column - 4];
                assert_eq!(pixels[y * modules + x] == 0, expected, "{x} {y}");
            }
        }
    }

    #[test]
    fn an_svg_has_a_quiet_zone_of_four_and_no_prolog_within_a_page() {
        let code = Qr::of(LINK).unwrap();
        let modules = code.0.width() + 8;
        let element = code.svg_element();
        assert!(element.starts_with("<svg role=\"img\""), "{element}");
        assert!(element.contains(&format!("viewBox=\"0 0 {modules} {modules}\"")));
        // The first module of the code is the corner of a finder.
        assert!(element.contains("\"M4 4h1v1"), "{element}");
        assert!(code.svg().starts_with("<?xml"));
    }

    #[test]
    fn a_terminal_shows_two_lines_of_modules_in_one() {
        let code = Qr::of(LINK).unwrap();
        let plain = anstream::adapter::strip_str(&code.text()).to_string();
        let modules = code.0.width() + 8;
        assert_eq!(plain.lines().count(), modules.div_ceil(2));
        assert!(plain.lines().all(|line| line.chars().count() == modules));
        assert!(plain.lines().take(2).all(|line| line.trim().is_empty()));
    }
}
