use super::*;
use crate::{
    config::{ConfigErrors, Reader},
    tests::certificates::{Authority, Folder, chmod},
};

const LISTEN: &str = "0.0.0.0:50051";
const CLIENT_NAMES: Names = Names {
    certificate: "CLIENT_CERT_FILE",
    key: "CLIENT_KEY_FILE",
    authorities: "CA_FILE",
};

/// A setting that is not read.
const NONE: (&str, &str) = ("NOTHING", "");

/// The files of an identity and of its authority.
struct Files {
    _folder: Folder,
    paths: [String; 3],
}

impl Files {
    fn new() -> Self {
        let folder = Folder::new();
        let authority = Authority::new("one");
        let files = folder.identity("one", &authority.sign("localhost"));
        let ca = folder.write("ca.pem", &authority.pem);
        let paths = [files.certificate, files.key, ca].map(|path| path.display().to_string());
        Self {
            _folder: folder,
            paths,
        }
    }

    /// Returns the settings with these names: of the certificate, the key and the authority.
    fn named(&self, names: [&'static str; 3]) -> [(&str, &str); 3] {
        std::array::from_fn(|index| (names[index], self.paths[index].as_str()))
    }
}

/// Returns the errors in the settings of a server that listens beyond loopback; empty if it may.
fn mistakes(settings: [(&str, &str); 3], insecure_plaintext: bool) -> Vec<String> {
    let mut reader = Reader::new(&settings);
    let tls = read_server(&mut reader, LISTEN.parse().unwrap(), insecure_plaintext);
    match reader.finish() {
        Ok(()) => {
            assert_eq!(tls.is_none(), insecure_plaintext);
            Vec::new()
        }
        Err(ConfigErrors(mistakes)) => {
            assert!(tls.is_none());
            mistakes
        }
    }
}

fn mistakes_of_client(url: &str, settings: [(&str, &str); 3]) -> Vec<String> {
    let mut reader = Reader::new(&settings);
    let tls = read_client(&mut reader, &CLIENT_NAMES, "URL", Some(url));
    let ConfigErrors(mistakes) = match reader.finish() {
        Ok(()) => {
            assert_eq!(tls.is_some(), url.starts_with("https://"));
            return Vec::new();
        }
        Err(mistakes) => mistakes,
    };
    assert!(tls.is_none());
    mistakes
}

fn is_one_of(mistakes: &[String], name: &str, what: &str) {
    let [mistake] = mistakes else {
        panic!("{mistakes:?}");
    };
    assert!(
        mistake.starts_with(name) && mistake.contains(what),
        "{mistake}"
    );
}

#[test]
fn beyond_loopback_a_server_takes_a_certificate_and_its_key_or_the_word_of_its_operator() {
    let files = Files::new();
    let [certificate, key, ca] =
        files.named(["TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CLIENT_CA_FILE"]);
    assert!(mistakes([certificate, key, NONE], false).is_empty());
    assert!(mistakes([certificate, key, ca], false).is_empty());
    assert!(mistakes([NONE; 3], true).is_empty());
    for (given, insecure_plaintext, name, what) in [
        ([NONE; 3], false, "LISTEN_ADDRESS", "INSECURE_PLAINTEXT"),
        (
            [certificate, NONE, NONE],
            false,
            "TLS_KEY_FILE",
            "both or neither",
        ),
        ([NONE, key, NONE], false, "TLS_CERT_FILE", "both or neither"),
        (
            [NONE, NONE, ca],
            true,
            "TLS_CLIENT_CA_FILE",
            "does not speak TLS",
        ),
    ] {
        is_one_of(&mistakes(given, insecure_plaintext), name, what);
    }
}

#[test]
fn every_file_that_cannot_be_used_is_named_at_once_and_nothing_of_what_it_holds() {
    let folder = Folder::new();
    let wrong = folder.write("wrong.pem", "hunter2");
    let cut = folder.write("cut.pem", "-----BEGIN CERTIFICATE-----\nhunter2");
    let settings = [
        ("TLS_CERT_FILE", cut.to_str().unwrap()),
        ("TLS_KEY_FILE", wrong.to_str().unwrap()),
        ("TLS_CLIENT_CA_FILE", "/nowhere/ca.pem"),
    ];
    let mistakes = mistakes(settings, false);
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    for ((name, path), mistake) in settings.iter().zip(&mistakes) {
        let start = format!("{name} names {path}, which cannot be used: ");
        assert!(mistake.starts_with(&start), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
}

#[test]
fn a_private_key_that_others_can_use_is_refused_whoever_they_are() {
    let folder = Folder::new();
    let files = folder.identity("server", &Authority::new("one").sign("localhost"));
    for mode in [0o644, 0o604, 0o620, 0o601] {
        chmod(&files.key, mode);
        let TlsFileErrors(told) = ServerTls::load(files.clone(), None).unwrap_err();
        is_one_of(&told, "TLS_KEY_FILE", &format!("(mode {mode:04o})"));
    }
    for mode in [0o600, 0o400] {
        chmod(&files.key, mode);
        assert!(ServerTls::load(files.clone(), None).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let folder = Folder::new();
    let authority = Authority::new("one");
    let mut files = folder.identity("one", &authority.sign("localhost"));
    files.key = folder.identity("two", &authority.sign("localhost")).key;
    let TlsFileErrors(told) = ServerTls::load(files, None).unwrap_err();
    is_one_of(&told, "TLS_CERT_FILE", "not that of the private key in");
}

#[test]
fn an_https_address_takes_whom_to_believe_and_files_take_an_https_address() {
    let files = Files::new();
    let [certificate, key, ca] = files.named(["CLIENT_CERT_FILE", "CLIENT_KEY_FILE", "CA_FILE"]);
    let none = NONE;
    let (secure, plain) = ("https://membership:1", "http://membership:1");

    assert!(mistakes_of_client(plain, [none, none, none]).is_empty());
    assert!(mistakes_of_client(secure, [none, none, ca]).is_empty());
    assert!(mistakes_of_client(secure, [certificate, key, ca]).is_empty());
    for (url, given, name) in [
        (secure, [none, none, none], "CA_FILE"),
        (secure, [certificate, key, none], "CA_FILE"),
        (plain, [none, none, ca], "URL"),
        (plain, [certificate, key, none], "URL"),
    ] {
        is_one_of(&mistakes_of_client(url, given), name, "https");
    }
}

#[test]
fn what_is_wrong_with_changed_files_is_seen_once_until_they_change_again() {
    let folder = Folder::new();
    let authority = Authority::new("one");
    let files = folder.identity("server", &authority.sign("localhost"));
    let tls = ServerTls::load(files.clone(), None).unwrap();
    assert_eq!(tls.reload(), Reload::Unchanged);
    for broken in ["", "-----BEGIN CERTIFICATE-----\nhalf"] {
        folder.write("server.pem", broken);
        assert_eq!(tls.reload(), Reload::Kept);
        assert_eq!(tls.reload(), Reload::Unchanged);
    }
    // Half-way through a change, the certificate belongs to the new key and the key file does not.
    let next = authority.sign("localhost");
    folder.write("server.pem", &next.certificate);
    assert_eq!(tls.reload(), Reload::Kept);
    folder.write("server.key", &next.key);
    assert_eq!(tls.reload(), Reload::Changed);
    chmod(&files.key, 0o644);
    assert_eq!(tls.reload(), Reload::Kept);
    std::fs::remove_file(&files.key).unwrap();
    assert_eq!(tls.reload(), Reload::Kept);
    assert_eq!(tls.reload(), Reload::Unchanged);
    folder.write("server.key", &next.key);
    assert_eq!(tls.reload(), Reload::Changed);
}
