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

/// Returns the first bytes of a client: the preface and empty settings.
#[must_use]
pub fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, NONE, 0, &[])].concat()
}

/// Encodes a header block without indexing and without Huffman coding.
#[must_use]
pub fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Encodes the header block of a gRPC call.
#[must_use]
pub fn call(path: &str, token: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "homeroom.test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &authorization),
    ];
    header_block(&[&fields, more].concat())
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

/// Encodes an integer after a prefix of 7 bits (RFC 7541, 5.1).
fn integer(value: usize, bytes: &mut Vec<u8>) {
    let Some(mut left) = value.checked_sub(127) else {
        bytes.push(u8::try_from(value).unwrap());
        return;
    };
    bytes.push(127);
    while left >= 128 {
        bytes.push(0x80 | u8::try_from(left % 128).unwrap());
        left /= 128;
    }
    bytes.push(u8::try_from(left).unwrap());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_integers_are_those_of_the_standards() {
        assert_eq!(
            frame(DATA, END_STREAM, 3, b"ab"),
            [0, 0, 2, 0, 1, 0, 0, 0, 3, b'a', b'b']
        );
        for (value, expected) in [
            (10, vec![10]),
            (127, vec![127, 0]),
            (300, vec![127, 173, 1]),
        ] {
            let mut bytes = Vec::new();
            integer(value, &mut bytes);
            assert_eq!(bytes, expected);
        }
    }
}
