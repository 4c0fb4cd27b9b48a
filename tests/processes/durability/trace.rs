//! The system calls of a process and its children in `strace`: bytes sent, received and written,
//! and files synced.

use std::{fs, path::Path, time::Duration};

/// Microseconds since 1970, the clock of every trace on one machine.
pub(crate) type Micros = u64;

/// The traced calls.
const CALLS: &str =
    "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync";
/// The number of bytes shown of each string: more than any message or page of a test.
const STRING_BYTES_MAX: u32 = 1024 * 1024;
/// The time within which a tracer must write the end of its trace.
const END_SECONDS: u64 = 30;

/// The effect on a file or a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Bytes were received from it.
    Read,
    /// Bytes were sent or written to it.
    Written,
    /// Its data was synced to disk.
    Synced,
}

/// One system call that has returned.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) deed: Deed,
    /// The time of the call.
    pub(crate) begun: Micros,
    /// The time of its return.
    pub(crate) ended: Micros,
    /// A file's path, or `TCP:[local->remote]`.
    pub(crate) target: String,
    pub(crate) bytes: Vec<u8>,
}

/// Returns the tracer with its arguments and these options; it traces the command that follows into
/// files of that folder.
pub(crate) fn tracer(folder: &Path, options: &[&str]) -> Vec<String> {
    let output = folder.join("trace").display().to_string();
    // With -D the traced program stays our child, so that signals reach it.
    let fixed = "strace -D -f -ff --seccomp-bpf -ttt -T -yy -v -xx -s";
    fixed
        .split(' ')
        .map(str::to_owned)
        .chain([
            STRING_BYTES_MAX.to_string(),
            format!("--trace={CALLS}"),
            format!("--output={output}"),
        ])
        .chain(options.iter().map(|&option| option.to_owned()))
        .chain(["--".to_owned()])
        .collect()
}

/// Reads the traces in that folder, in order, once every traced process has ended.
pub(crate) async fn read(folder: &Path) -> Vec<Call> {
    let ended = async {
        loop {
            let files: Vec<String> = fs::read_dir(folder)
                .unwrap()
                .map(|file| String::from_utf8(fs::read(file.unwrap().path()).unwrap()).unwrap())
                .collect();
            if files.iter().all(|text| text.ends_with("+++\n")) {
                return files;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let files = tokio::time::timeout(Duration::from_secs(END_SECONDS), ended)
        .await
        .expect("what is traced has ended");
    assert!(!files.is_empty(), "strace traced nothing");
    let mut calls: Vec<Call> = files
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(parse)
        .collect();
    calls.sort_by_key(|call| call.begun);
    calls
}

/// Parses one line: `1700000000.000001 pwrite64(7<\x2f\x61>, "\x00", 1, 0) = 1 <0.000010>`. Returns
/// `None` if it is irrelevant, or if the call failed or was not made.
fn parse(line: &str) -> Option<Call> {
    let (time, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once('(')?;
    let deed = match name {
        "read" | "readv" | "recvfrom" | "recvmsg" => Deed::Read,
        "write" | "writev" | "sendto" | "sendmsg" | "pwrite64" | "pwritev" => Deed::Written,
        "fsync" | "fdatasync" => Deed::Synced,
        _ => return None,
    };
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let (value, took) = result.split_once(" <")?;
    let count: usize = value.parse().ok()?;
    let target = arguments.split_once('<')?.1;
    let target = &target[..target.find(">,").or_else(|| target.find(">)"))?];
    // A path is escaped like a string, a connection is not.
    let target = match target.strip_prefix("TCP:") {
        Some(_) => target.to_owned(),
        None => String::from_utf8(unescape(target)).ok()?,
    };
    let mut bytes: Vec<u8> = arguments
        .split('"')
        .skip(1)
        .step_by(2)
        .flat_map(unescape)
        .collect();
    bytes.truncate(count);
    let begun = micros(time)?;
    Some(Call {
        deed,
        begun,
        ended: begun + micros(took.strip_suffix('>')?)?,
        target,
        bytes,
    })
}

/// Decodes bytes such as `\x50\x52`.
fn unescape(text: &str) -> Vec<u8> {
    text.split("\\x")
        .skip(1)
        .filter_map(|digits| u8::from_str_radix(digits.get(..2)?, 16).ok())
        .collect()
}

/// Parses seconds with six decimals.
fn micros(seconds: &str) -> Option<Micros> {
    seconds.replacen('.', "", 1).parse().ok()
}

#[test]
fn a_line_of_a_trace_is_read() {
    let line = r#"1700000000.000001 writev(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="\x50\x52", iov_len=2}, {iov_base="\x49", iov_len=1}], 2) = 3 <0.000010>"#;
    let call = parse(line).unwrap();
    assert_eq!(
        (call.deed, call.target.as_str()),
        (Deed::Written, "TCP:[127.0.0.1:1->127.0.0.1:2]")
    );
    assert_eq!(
        (call.begun, call.ended),
        (1_700_000_000_000_001, 1_700_000_000_000_011)
    );
    assert_eq!(call.bytes, b"PRI");
    let synced = parse(r"1700000000.000001 fdatasync(7<\x2f\x61>) = 0 <0.001000>").unwrap();
    assert_eq!((synced.deed, synced.target.as_str()), (Deed::Synced, "/a"));
    let failed =
        r"1700000000.000001 fdatasync(7<\x2f\x61>) = -1 EIO (Input/output error) <0.001000>";
    assert!(parse(failed).is_none());
}
