//! HTTP/2 frames (RFC 9113) and header blocks (HPACK, RFC 7541) as bytes, written by hand, so that
//! they can also be invalid.

/// The first bytes of every client.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The size of a frame's header.
pub const FRAME_HEAD_BYTES: usize = 9;
/// The largest payload that a server accepts by default.
pub const PAYLOAD_BYTES_MAX: usize = 16_384;

/// DATA.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// `RST_STREAM`.
pub const RESET_STREAM: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// GOAWAY.
pub const GO_AWAY: u8 = 7;
/// `WINDOW_UPDATE`.
pub const WINDOW_UPDATE: u8 = 8;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;

/// No flag.
pub const NONE: u8 = 0;
/// The flag of DATA and HEADERS for the last frame of its side.
pub const END_STREAM: u8 = 1;
/// The flag of HEADERS and CONTINUATION for a complete header block.
pub const END_HEADERS: u8 = 4;
/// The flag of SETTINGS and PING for an answer.
pub const ACK: u8 = 1;

/// `PROTOCOL_ERROR`.
pub const PROTOCOL_ERROR: u32 = 1;
/// `REFUSED_STREAM`.
pub const REFUSED_STREAM: u32 = 7;
/// CANCEL.
pub const CANCEL: u32 = 8;

/// Encodes one frame, with a payload of any length.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = Vec::with_capacity(FRAME_HEAD_BYTES + payload.len());
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Encodes SETTINGS with these values.
#[must_use]
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(SETTINGS, NONE, 0, &payload)
}

/// Encodes `RST_STREAM` with this error code.
#[must_use]
pub fn reset_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RESET_STREAM, NONE, stream, &code.to_be_bytes())
}

/// Encodes a header block without indexing and without Huffman coding.
#[must_use]
pub fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), 7, 0, &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Encodes the header block of a gRPC call.
#[must_use]
pub fn call(path: &str, token: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "homeroom.test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    if !token.is_empty() {
        fields.push(("authorization", &authorization));
    }
    fields.extend_from_slice(more);
    header_block(&fields)
}

/// Encodes a gRPC message with a prefix of this flag and length.
#[must_use]
pub fn message(compressed: bool, length: u32, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![u8::from(compressed)];
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(bytes);
    message
}

/// Encodes a gRPC message whose prefix has the true length.
#[must_use]
pub fn whole_message(bytes: &[u8]) -> Vec<u8> {
    message(false, u32::try_from(bytes.len()).unwrap(), bytes)
}

/// Encodes an integer after a prefix of this many bits (RFC 7541, 5.1).
fn integer(value: usize, prefix_bits: u32, first: u8, bytes: &mut Vec<u8>) {
    let most = (1_usize << prefix_bits) - 1;
    if value < most {
        bytes.push(first | u8::try_from(value).unwrap());
        return;
    }
    bytes.push(first | u8::try_from(most).unwrap());
    let mut left = value - most;
    while left >= 128 {
        bytes.push(0x80 | u8::try_from(left % 128).unwrap());
        left /= 128;
    }
    bytes.push(u8::try_from(left).unwrap());
}

/// Decodes such an integer. Returns `None` if the bytes end.
fn read_integer(bytes: &mut &[u8], prefix_bits: u32) -> Option<usize> {
    let most = (1_usize << prefix_bits) - 1;
    let mut value = usize::from(take(bytes, 1)?[0]) & most;
    if value < most {
        return Some(value);
    }
    let mut shift = 0;
    loop {
        let byte = take(bytes, 1)?[0];
        value += usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return Some(value);
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = bytes.split_at_checked(count)?;
    *bytes = left;
    Some(taken)
}

/// A field's name or value as it was sent, Huffman-coded or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coded {
    /// An index into the tables (RFC 7541, 2.3).
    Index(usize),
    /// The string as it was sent: its first byte has the coding and the length.
    Bytes(Vec<u8>),
}

/// Splits a header block into its fields, without decoding them. Returns `None` if it is malformed.
#[must_use]
pub fn fields(mut block: &[u8]) -> Option<Vec<(Coded, Coded)>> {
    let mut fields = Vec::new();
    while let Some(&first) = block.first() {
        if first & 0x80 != 0 {
            let index = read_integer(&mut block, 7)?;
            fields.push((Coded::Index(index), Coded::Index(index)));
            continue;
        }
        if first & 0xe0 == 0x20 {
            // This entry is the size of the dynamic table.
            read_integer(&mut block, 5)?;
            continue;
        }
        let prefix_bits = if first & 0x40 == 0 { 4 } else { 6 };
        let name = match read_integer(&mut block, prefix_bits)? {
            0 => Coded::Bytes(string(&mut block)?),
            index => Coded::Index(index),
        };
        fields.push((name, Coded::Bytes(string(&mut block)?)));
    }
    Some(fields)
}

fn string(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let whole = *bytes;
    let length = read_integer(bytes, 7)?;
    take(bytes, length)?;
    Some(whole[..whole.len() - bytes.len()].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_its_length_kind_flags_and_stream() {
        assert_eq!(
            frame(DATA, END_STREAM, 3, b"ab"),
            [0, 0, 2, 0, 1, 0, 0, 0, 3, b'a', b'b']
        );
    }

    #[test]
    fn integers_are_those_of_the_standard_and_are_read_again() {
        for (value, prefix_bits, expected) in [
            (10, 5, vec![10]),
            (1337, 5, vec![31, 154, 10]),
            (42, 8, vec![42]),
            (127, 7, vec![127, 0]),
        ] {
            let mut bytes = Vec::new();
            integer(value, prefix_bits, 0, &mut bytes);
            assert_eq!(bytes, expected);
            assert_eq!(
                read_integer(&mut bytes.as_slice(), prefix_bits),
                Some(value)
            );
        }
    }

    #[test]
    fn a_block_is_split_into_the_fields_it_was_made_of() {
        let long = "v".repeat(300);
        let block = header_block(&[("a", "b"), ("long", &long)]);
        let read = fields(&block).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].0, Coded::Bytes(vec![1, b'a']));
        assert_eq!(
            read[1].1,
            Coded::Bytes([&[127, 173, 1], long.as_bytes()].concat())
        );
        // The block is `:status: 200` of the static table, then `date` with a literal value.
        let read = fields(&[0x88, 0x61, 1, b'x']).unwrap();
        assert_eq!(read[0], (Coded::Index(8), Coded::Index(8)));
        assert_eq!(read[1], (Coded::Index(33), Coded::Bytes(vec![1, b'x'])));
        assert_eq!(fields(&block[..block.len() - 1]), None);
    }
}
