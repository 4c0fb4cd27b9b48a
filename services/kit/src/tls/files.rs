//! PEM files of certificates and of a private key, read together: the data of one end of TLS.

use std::{
    fmt,
    fs::File,
    io::Read as _,
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
use zeroize::Zeroizing;

/// The most bytes of one file: many authorities fit, and a wrong file does not fill the memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The permissions that would let others than the owner use a private key.
const MODE_OF_OTHERS: u32 = 0o077;
/// The same for a file of root, which a service that is not root can only read through its group.
const MODE_OF_OTHERS_WHERE_OF_ROOT: u32 = 0o037;
/// The user id of root.
const ROOT: u32 = 0;

/// The role of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The certificate that this end presents, with those between it and its authority.
    Certificate,
    /// Its private key.
    Key,
    /// The authorities whose certificates this end trusts.
    Authorities,
}

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

impl Names {
    fn of(&self, role: Role) -> &'static str {
        match role {
            Role::Certificate => self.certificate,
            Role::Key => self.key,
            Role::Authorities => self.authorities,
        }
    }
}

/// The error in a file of certificates or of a key. It completes the sentence "NAME …", and reveals
/// nothing of a key file's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("names {}, which cannot be used: {problem}", path.display())]
pub struct TlsFileError {
    pub(super) role: Role,
    path: PathBuf,
    problem: String,
}

impl TlsFileError {
    fn new(role: Role, path: &Path, problem: impl fmt::Display) -> Self {
        Self {
            role,
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// All errors in the files of one end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TlsFileErrors(pub Vec<TlsFileError>);

impl TlsFileErrors {
    /// Formats each error with the setting or the flag that named the file.
    pub fn told<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = String> + 'a {
        self.0
            .iter()
            .map(|error| format!("{} {error}", names.of(error.role)))
    }
}

impl fmt::Display for TlsFileErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&told.join("; "))
    }
}

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
        let mut context = digest::Context::new(&digest::SHA256);
        let mut errors = Vec::new();
        let identity = self.identity.as_ref().map(|files| {
            let chain = taken(
                certificates(Role::Certificate, &files.certificate, &mut context),
                &mut errors,
            );
            let key = taken(private_key(&files.key, &mut context), &mut errors);
            chain.zip(key)
        });
        let authorities = self
            .authorities
            .as_ref()
            .map(|path| taken(authorities(path, &mut context), &mut errors));
        if !errors.is_empty() {
            return Err(TlsFileErrors(errors));
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok(Contents {
            identity: identity.flatten(),
            authorities: authorities.flatten(),
            digest,
        })
    }

    /// Returns the reason why rustls refuses the identity.
    pub(super) fn refused_identity(&self, error: &rustls::Error) -> TlsFileErrors {
        let Some(files) = &self.identity else {
            return TlsFileErrors(Vec::new());
        };
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "its certificate is not that of the private key in {}",
                files.key.display()
            ),
            error => error.to_string(),
        };
        let error = TlsFileError::new(Role::Certificate, &files.certificate, problem);
        TlsFileErrors(vec![error])
    }

    /// Returns the reason why rustls refuses the authorities.
    pub(super) fn refused_authorities(&self, error: impl fmt::Display) -> TlsFileErrors {
        let path = self.authorities.as_deref().unwrap_or(Path::new(""));
        TlsFileErrors(vec![TlsFileError::new(Role::Authorities, path, error)])
    }
}

/// Returns the value, or adds the error to the others.
fn taken<T>(read: Result<T, TlsFileError>, errors: &mut Vec<TlsFileError>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
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

/// Reads a whole file; a private key only if nobody but its owner can.
fn read(
    role: Role,
    path: &Path,
    context: &mut digest::Context,
) -> Result<Zeroizing<Vec<u8>>, TlsFileError> {
    let unreadable = |error: std::io::Error| {
        TlsFileError::new(role, path, format_args!("it cannot be read: {error}"))
    };
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let mode = found.permissions().mode();
    if role == Role::Key && others_can_use(mode, found.uid()) {
        return Err(TlsFileError::new(
            role,
            path,
            format_args!(
                "others than its owner can use it (mode {:04o}): chmod 0600",
                mode & 0o7777
            ),
        ));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > FILE_BYTES_MAX {
        let problem = format_args!("it has more than {FILE_BYTES_MAX} bytes");
        return Err(TlsFileError::new(role, path, problem));
    }
    context.update(&length.to_be_bytes());
    context.update(&bytes);
    Ok(bytes)
}

fn certificates(
    role: Role,
    path: &Path,
    context: &mut digest::Context,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let bytes = read(role, path, context)?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| not_pem(role, path, &error))?;
    if found.is_empty() {
        return Err(TlsFileError::new(
            role,
            path,
            "it holds no certificate in PEM",
        ));
    }
    Ok(found)
}

fn private_key(
    path: &Path,
    context: &mut digest::Context,
) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let bytes = read(Role::Key, path, context)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        PemError::NoItemsFound => TlsFileError::new(
            Role::Key,
            path,
            "it holds no private key in PEM that is not encrypted (PKCS#8, SEC1 or PKCS#1)",
        ),
        error => not_pem(Role::Key, path, &error),
    })
}

fn authorities(path: &Path, context: &mut digest::Context) -> Result<RootCertStore, TlsFileError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(Role::Authorities, path, context)? {
        store
            .add(certificate)
            .map_err(|error| TlsFileError::new(Role::Authorities, path, error))?;
    }
    Ok(store)
}

/// Reports an error of PEM without quoting it, since the file may be a key.
fn not_pem(role: Role, path: &Path, error: &PemError) -> TlsFileError {
    let problem = match error {
        PemError::MissingSectionEnd { .. } => "it is PEM that is cut short",
        _ => "it is not PEM",
    };
    TlsFileError::new(role, path, problem)
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
