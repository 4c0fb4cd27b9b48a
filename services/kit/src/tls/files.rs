//! PEM files of certificates and of a private key, read together: the data of one end of TLS.

use std::{
    fmt,
    fs::metadata,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use tokio_rustls::rustls::{
    self, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject as _},
    },
};

use crate::key_files::read_text;

/// The permissions that would let others than the owner use a private key.
const MODE_OF_OTHERS: u32 = 0o077;
/// The same for a file of root, which a service that is not root can only read through its group.
const MODE_OF_OTHERS_WHERE_OF_ROOT: u32 = 0o037;
/// The user id of root.
const ROOT: u32 = 0;

/// The settings, or the flags, of one end's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// The name for its own certificate.
    pub certificate: &'static str,
    /// The name for that certificate's private key.
    pub key: &'static str,
    /// The name for the authorities that it trusts.
    pub authorities: &'static str,
}

/// The names of a server's settings.
pub const SERVER_NAMES: Names = Names {
    certificate: "TLS_CERT_FILE",
    key: "TLS_KEY_FILE",
    authorities: "TLS_CLIENT_CA_FILE",
};

/// All errors in the files of one end, each with the setting or the flag that named the file. They
/// reveal nothing of a key file's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct TlsFileErrors(pub Vec<String>);

/// The files of a certificate and of its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// The private key. Only its owner may have access to the file.
    pub key: PathBuf,
}

/// The files of one end of TLS.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) names: Names,
    pub(super) identity: Option<IdentityFiles>,
    pub(super) authorities: Option<PathBuf>,
}

/// A certificate, with those that lead to its authority, and its private key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The contents of one end's files.
pub(super) struct Contents {
    pub(super) identity: Option<Identity>,
    pub(super) authorities: Option<RootCertStore>,
    /// The digest that distinguishes these contents from others.
    pub(super) digest: [u8; 32],
}

impl Files {
    /// Reads all files.
    pub(super) fn read(&self) -> Result<Contents, TlsFileErrors> {
        let mut reading = Reading {
            digest: digest::Context::new(&digest::SHA256),
            errors: Vec::new(),
        };
        let identity = self.identity.as_ref().and_then(|files| {
            let chain = reading.file(self.names.certificate, &files.certificate, certificates);
            let key = match closed_to_others(&files.key) {
                Ok(()) => reading.file(self.names.key, &files.key, private_key),
                Err(problem) => reading.error(self.names.key, &files.key, problem),
            };
            chain.zip(key)
        });
        let authorities = self
            .authorities
            .as_ref()
            .and_then(|path| reading.file(self.names.authorities, path, authorities));
        if !reading.errors.is_empty() {
            return Err(TlsFileErrors(reading.errors));
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(reading.digest.finish().as_ref());
        Ok(Contents {
            identity,
            authorities,
            digest,
        })
    }

    /// Returns the reason why rustls refuses the identity.
    pub(super) fn refused_identity(&self, error: &rustls::Error) -> TlsFileErrors {
        let files = self.identity.iter();
        let told = files.map(|files| {
            let problem = match error {
                rustls::Error::InconsistentKeys(_) => {
                    let key = files.key.display();
                    format!("its certificate is not that of the private key in {key}")
                }
                error => error.to_string(),
            };
            told(self.names.certificate, &files.certificate, problem)
        });
        TlsFileErrors(told.collect())
    }

    /// Returns the reason why rustls refuses the authorities.
    pub(super) fn refused_authorities(&self, error: impl fmt::Display) -> TlsFileErrors {
        let path = self.authorities.as_deref().unwrap_or(Path::new(""));
        TlsFileErrors(vec![told(self.names.authorities, path, error)])
    }
}

fn told(name: &str, path: &Path, problem: impl fmt::Display) -> String {
    let path = path.display();
    format!("{name} names {path}, which cannot be used: {problem}")
}

/// The files of one end while they are read.
struct Reading {
    digest: digest::Context,
    errors: Vec<String>,
}

impl Reading {
    /// Reads and parses a file, or adds its error to the others.
    fn file<T>(
        &mut self,
        name: &str,
        path: &Path,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => return self.error(name, path, format!("it cannot be read: {error}")),
        };
        self.digest.update(&text.len().to_be_bytes());
        self.digest.update(text.as_bytes());
        match parse(&text) {
            Ok(parsed) => Some(parsed),
            Err(problem) => self.error(name, path, problem),
        }
    }

    fn error<T>(&mut self, name: &str, path: &Path, problem: String) -> Option<T> {
        self.errors.push(told(name, path, problem));
        None
    }
}

/// Refuses a private key that others than its owner can use. A file that is missing is reported
/// when it is read.
fn closed_to_others(path: &Path) -> Result<(), String> {
    let Ok(found) = metadata(path) else {
        return Ok(());
    };
    let mode = found.permissions().mode();
    if others_can_use(mode, found.uid()) {
        let mode = mode & 0o7777;
        return Err(format!(
            "others than its owner can use it (mode {mode:04o}): chmod 0600"
        ));
    }
    Ok(())
}

/// Returns true if the permissions of a private key let others than its owner use it.
fn others_can_use(mode: u32, owner: u32) -> bool {
    let others = if owner == ROOT {
        MODE_OF_OTHERS_WHERE_OF_ROOT
    } else {
        MODE_OF_OTHERS
    };
    mode & others != 0
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate in PEM".to_owned()),
        found => found.map_err(|error| not_pem(&error)),
    }
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        PemError::NoItemsFound => {
            "it holds no private key in PEM that is not encrypted (PKCS#8, SEC1 or PKCS#1)"
                .to_owned()
        }
        error => not_pem(&error),
    })
}

fn authorities(text: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(text)? {
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(store)
}

/// Reports an error of PEM without quoting it, since the file may be a key.
fn not_pem(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "it is PEM that is cut short",
        _ => "it is not PEM",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_owners_or_of_root_and_given_to_one_group_to_read() {
        for (mode, owner, others) in [
            (0o100_600, 1000, false),
            (0o100_400, 1000, false),
            (0o100_640, 1000, true),
            (0o100_604, 1000, true),
            (0o100_600, ROOT, false),
            (0o100_440, ROOT, false),
            (0o100_640, ROOT, false),
            (0o100_660, ROOT, true),
            (0o100_610, ROOT, true),
            (0o100_604, ROOT, true),
        ] {
            assert_eq!(others_can_use(mode, owner), others, "{mode:o} of {owner}");
        }
    }
}
