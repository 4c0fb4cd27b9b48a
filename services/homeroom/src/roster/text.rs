//! The text of a roster file: UTF-8 with line feeds, and bounded.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// The bytes that are read at once.
const CHUNK_BYTES: usize = 8 * 1024;
/// The byte order mark in UTF-8, which Excel writes.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The reason why a text cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TextError {
    /// A byte is no part of UTF-8 text.
    #[error("byte {byte} of the line is not UTF-8")]
    Encoding {
        /// The line, from 1.
        line: u64,
        /// The byte of the line, from 1.
        byte: u64,
    },
    /// A row has more bytes than the reader of rows allows.
    #[error("the row does not end")]
    RowTooLong,
}

/// Reads UTF-8 text: skips one byte order mark, refuses other encodings and zero bytes by their place, turns every line
/// end into a line feed, ends the last line, and stops at the bounds.
pub(super) struct Text<R> {
    inner: R,
    /// The bytes that were read; those of an incomplete character stay for the next time.
    raw: Vec<u8>,
    ready: Vec<u8>,
    taken: usize,
    line: u64,
    byte: u64,
    begun: bool,
    after_return: bool,
    ended: bool,
    /// The bytes that may still be read for the current row.
    row_bytes: Rc<Cell<usize>>,
}

impl<R: Read> Text<R> {
    pub(super) fn new(inner: R, row_bytes: Rc<Cell<usize>>) -> Self {
        Self {
            inner,
            raw: Vec::with_capacity(CHUNK_BYTES),
            ready: Vec::with_capacity(CHUNK_BYTES),
            taken: 0,
            line: 1,
            byte: 0,
            begun: false,
            after_return: false,
            ended: false,
            row_bytes,
        }
    }

    /// Reads the next chunk into `ready`.
    fn fill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.taken = 0;
        let mut chunk = [0; CHUNK_BYTES];
        let read = self.inner.read(&mut chunk)?;
        if read == 0 {
            self.ended = true;
            if !self.raw.is_empty() {
                return Err(self.wrong_byte());
            }
            if self.byte > 0 {
                self.ready.push(b'\n');
            }
            return Ok(());
        }
        let left = self.row_bytes.get().checked_sub(read);
        self.row_bytes
            .set(left.ok_or_else(|| failed(TextError::RowTooLong))?);
        self.raw.extend(chunk.iter().take(read));
        let (valid, wrong) = match std::str::from_utf8(&self.raw) {
            Ok(_) => (self.raw.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some()),
        };
        let rest = self.raw.split_off(valid);
        let text = std::mem::replace(&mut self.raw, rest);
        self.accept(&text)?;
        if wrong {
            return Err(self.wrong_byte());
        }
        Ok(())
    }

    fn accept(&mut self, text: &[u8]) -> io::Result<()> {
        let marked = !self.begun && text.starts_with(BYTE_ORDER_MARK);
        self.begun |= !text.is_empty();
        let skipped = if marked { BYTE_ORDER_MARK.len() } else { 0 };
        for &byte in text.iter().skip(skipped) {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.byte = 0;
                    self.ready.push(b'\n');
                }
                // UTF-16 without a mark would otherwise pass as UTF-8.
                0 => return Err(self.wrong_byte()),
                other => {
                    self.byte += 1;
                    self.ready.push(other);
                }
            }
        }
        Ok(())
    }

    /// Returns the error of the byte after the accepted ones.
    fn wrong_byte(&self) -> io::Error {
        failed(TextError::Encoding {
            line: self.line,
            byte: self.byte + 1,
        })
    }
}

fn failed(error: TextError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() && !self.ended {
            self.fill()?;
        }
        let rest = self.ready.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text that is read of these bytes, a byte at a time and all at once.
    fn read(bytes: &[u8]) -> Result<String, TextError> {
        let whole = read_by(bytes);
        assert_eq!(read_by(OneByOne(bytes)), whole);
        whole
    }

    fn read_by(bytes: impl Read) -> Result<String, TextError> {
        let mut text = String::new();
        let allowed = Rc::new(Cell::new(usize::MAX));
        match Text::new(bytes, allowed).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error
                .get_ref()
                .unwrap()
                .downcast_ref::<TextError>()
                .unwrap()
                .clone()),
        }
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
        let at = |line, byte| Err(TextError::Encoding { line, byte });
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
