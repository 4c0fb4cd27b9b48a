//! Reads and checks the settings of TLS, the same for every service, and loads their files.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf};

use super::{
    ClientTls, ServerTls, TlsFileErrors,
    files::{IdentityFiles, Names, SERVER_NAMES},
};
use crate::config::Reader;

impl Names {
    /// Returns the identity, whether any part of it was set, and the authorities.
    fn read(&self, reader: &mut Reader) -> (Option<IdentityFiles>, bool, Option<PathBuf>) {
        let [certificate, key, authorities] = [self.certificate, self.key, self.authorities]
            .map(|name| reader.optional(name, |path| Ok::<_, Infallible>(PathBuf::from(path))));
        let missing =
            |with| format!("is required but not set, since {with} is: set both or neither");
        match (&certificate, &key) {
            (Some(_), None) => reader.error(self.key, missing(self.certificate)),
            (None, Some(_)) => reader.error(self.certificate, missing(self.key)),
            _ => {}
        }
        let given = certificate.is_some() || key.is_some();
        let identity = certificate.zip(key);
        let identity = identity.map(|(certificate, key)| IdentityFiles { certificate, key });
        (identity, given, authorities)
    }
}

/// Reads TLS of the server that listens on `listen`; returns `None` for plaintext. Beyond loopback
/// that is an error of `LISTEN_ADDRESS`, unless `insecure_plaintext`.
pub fn read_server(
    reader: &mut Reader,
    listen: SocketAddr,
    insecure_plaintext: bool,
) -> Option<ServerTls> {
    match SERVER_NAMES.read(reader) {
        (Some(identity), _, authorities) => loaded(reader, ServerTls::load(identity, authorities)),
        (None, false, Some(_)) => {
            reader.error(
                SERVER_NAMES.authorities,
                "is set, but TLS_CERT_FILE and TLS_KEY_FILE are not: without them this server does not speak TLS",
            );
            None
        }
        (None, false, None) if !insecure_plaintext && !listen.ip().to_canonical().is_loopback() => {
            reader.error(
                "LISTEN_ADDRESS",
                "is reachable from other machines and TLS is not set up: set TLS_CERT_FILE and TLS_KEY_FILE, \
                 listen on 127.0.0.1, or put a proxy that ends TLS before it and set INSECURE_PLAINTEXT to true",
            );
            None
        }
        _ => None,
    }
}

/// Reads TLS of the client for the address `url`, which the setting `url_name` holds; returns
/// `None` for plaintext. `https://` requires authorities, and files require `https://`.
pub fn read_client(
    reader: &mut Reader,
    names: &Names,
    url_name: &str,
    url: Option<&str>,
) -> Option<ClientTls> {
    let (identity, given, authorities) = names.read(reader);
    let secure = url?.starts_with("https://");
    let needless = match authorities {
        Some(authorities) if secure => {
            return loaded(reader, ClientTls::load(*names, authorities, identity));
        }
        None if secure => {
            reader.error(
                names.authorities,
                format_args!(
                    "is required but not set, since {url_name} begins with https://: name the file of the \
                     authority that signs that server's certificate"
                ),
            );
            return None;
        }
        None if !given => return None,
        None => names.certificate,
        Some(_) => names.authorities,
    };
    reader.error(
        url_name,
        format_args!("must begin with https://, since the certificates of {needless} are for TLS"),
    );
    None
}

fn loaded<T>(reader: &mut Reader, loaded: Result<T, TlsFileErrors>) -> Option<T> {
    let TlsFileErrors(mistakes) = match loaded {
        Ok(loaded) => return Some(loaded),
        Err(mistakes) => mistakes,
    };
    reader.mistakes(mistakes);
    None
}
