//! The text of a roster file: UTF-8 with line feeds, and bounded.

use std::{
    io::{self, BufRead, BufReader, Bytes, Read},
    iter::Peekable,
};

use super::findings::Problem;

/// The most bytes of a row: more is a quotation mark that is not closed.
pub(super) const ROW_BYTES_MAX: usize = 128 * 1024;
/// The byte order mark in UTF-8, which Excel writes.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads UTF-8 text, a line at a time: skips one byte order mark, refuses other encodings and zero bytes by their place,
/// turns every line end into a line feed, ends the last line, and stops at the bound of a row. Errors contain a
/// [`Problem`] without the name of the file.
pub(super) struct Text<R: Read> {
    bytes: Peekable<Bytes<BufReader<R>>>,
    /// The line with its line feed.
    line: Vec<u8>,
    taken: usize,
    /// The number of lines that were read.
    lines: u64,
    row_line: u64,
    row_bytes: usize,
}

impl<R: Read> Text<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            bytes: BufReader::new(inner).bytes().peekable(),
            line: Vec::new(),
            taken: 0,
            lines: 0,
            row_line: 1,
            row_bytes: 0,
        }
    }

    /// Returns the number of the last line that was read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines
    }

    /// Bounds the bytes that are read from here to the next call.
    pub(super) fn begin_row(&mut self) {
        self.row_line = self.lines + 1;
        self.row_bytes = 0;
    }

    /// Reads the next line; an empty one, without a line feed, at the end.
    fn read_line(&mut self) -> io::Result<()> {
        self.line.clear();
        self.taken = 0;
        loop {
            match self.bytes.next().transpose()? {
                None if self.line.is_empty() => return Ok(()),
                None | Some(b'\n') => break,
                Some(b'\r') => {
                    self.bytes.next_if(|next| matches!(next, Ok(b'\n')));
                    break;
                }
                Some(byte) => self.line.push(byte),
            }
            if self.row_bytes + self.line.len() > ROW_BYTES_MAX {
                let fix = "close the quotation mark in this row";
                return Err(failed(self.row_line, "the row does not end", fix));
            }
        }
        self.lines += 1;
        if self.lines == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        let valid = std::str::from_utf8(&self.line);
        let valid = valid.map_or_else(|error| error.valid_up_to(), str::len);
        // UTF-16 without a mark would otherwise pass as UTF-8.
        let zero = self.line.iter().position(|byte| *byte == 0);
        let wrong = zero.map_or(valid, |zero| zero.min(valid));
        if wrong < self.line.len() {
            let what = format!("byte {} of the line is not UTF-8", wrong + 1);
            return Err(failed(self.lines, what, "save the file as UTF-8 CSV"));
        }
        self.line.push(b'\n');
        self.row_bytes += self.line.len();
        Ok(())
    }
}

fn failed(line: u64, what: impl Into<String>, fix: &str) -> io::Error {
    let problem = Problem::of_file("", what, fix);
    io::Error::other(Problem { line, ..problem })
}

impl<R: Read> BufRead for Text<R> {
    /// Returns the rest of a line, never of two.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.line.len() {
            self.read_line()?;
        }
        Ok(self.line.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text that is read of these bytes, or what is said of them, a byte at a time and all at once.
    fn read(bytes: &[u8]) -> Result<String, String> {
        let whole = read_by(bytes);
        assert_eq!(read_by(OneByOne(bytes)), whole);
        whole
    }

    fn read_by(bytes: impl Read) -> Result<String, String> {
        let mut text = String::new();
        let read = Text::new(bytes).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| error.to_string())
    }

    struct OneByOne<'a>(&'a [u8]);

    impl Read for OneByOne<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn encoding_one_byte_order_mark_is_skipped() {
        assert_eq!(read(b"\xEF\xBB\xBFa,b\n").unwrap(), "a,b\n");
        assert_eq!(read("Zoë,א".as_bytes()).unwrap(), "Zoë,א\n");
        assert_eq!(read(b"").unwrap(), "");
    }

    #[test]
    fn encoding_another_one_is_refused_by_line_and_byte() {
        let at = |line: u64, byte: u64| {
            let fix = "save the file as UTF-8 CSV";
            Err(format!(
                ":{line}: byte {byte} of the line is not UTF-8; {fix}"
            ))
        };
        assert_eq!(read(b"a,b\r\nZo\xEB,c\r\n"), at(2, 3));
        assert_eq!(read(b"\xFF\xFEa\0"), at(1, 1));
        assert_eq!(read(b"a\0b\0"), at(1, 2));
        assert_eq!(read(b"a\nb\xC3"), at(2, 2));
    }

    #[test]
    fn encoding_every_line_end_is_one() {
        assert_eq!(read(b"a\r\nb\rc\nd").unwrap(), "a\nb\nc\nd\n");
        assert_eq!(read(b"a\r\r\nb\n\n").unwrap(), "a\n\nb\n\n");
    }
}
