//! Reads and checks the settings of TLS, the same for every service, and loads their files.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf};

use super::{
    ClientTls, ServerTls,
    files::{IdentityFiles, Names, SERVER_NAMES},
};
use crate::config::Reader;

impl Names {
    /// Returns the identity, whether any part of it was set, and the authorities.
    fn read(&self, reader: &mut Reader) -> (Option<IdentityFiles>, bool, Option<PathBuf>) {
        let [certificate, key, authorities] = [self.certificate, self.key, self.authorities]
            .map(|name| reader.optional(name, |path| Ok::<_, Infallible>(PathBuf::from(path))));
        let given = certificate.is_some() || key.is_some();
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(IdentityFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                reader.error(self.key, missing(self.certificate));
                None
            }
            (None, Some(_)) => {
                reader.error(self.certificate, missing(self.key));
                None
            }
        };
        (identity, given, authorities)
    }
}

fn missing(with: &str) -> String {
    format!("is required but not set, since {with} is: set both or neither")
}

/// Reads TLS of the server that listens on `listen`; returns `None` for plaintext. Beyond loopback
/// that is an error of `LISTEN_ADDRESS`, unless `insecure_plaintext`.
pub fn read_server(
    reader: &mut Reader,
    listen: SocketAddr,
    insecure_plaintext: bool,
) -> Option<ServerTls> {
    let names = SERVER_NAMES;
    let (identity, given, authorities) = names.read(reader);
    let Some(identity) = identity else {
        if authorities.is_some() && !given {
            reader.error(
                names.authorities,
                format_args!(
                    "is set, but {} and {} are not: without them this server does not speak TLS",
                    names.certificate, names.key
                ),
            );
        } else if !given && !insecure_plaintext && !listen.ip().to_canonical().is_loopback() {
            reader.error(
                "LISTEN_ADDRESS",
                format_args!(
                    "is reachable from other machines and TLS is not set up: set {} and {}, listen on \
                     127.0.0.1, or put a proxy that ends TLS before it and set INSECURE_PLAINTEXT to true",
                    names.certificate, names.key
                ),
            );
        }
        return None;
    };
    let loaded = ServerTls::load(identity, authorities);
    loaded
        .map_err(|errors| tell(reader, errors.told(&names)))
        .ok()
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
    match authorities {
        None if secure => {
            reader.error(
                names.authorities,
                format_args!(
                    "is required but not set, since {url_name} begins with https://: name the file of the \
                     authority that signs that server's certificate"
                ),
            );
            None
        }
        None if given => {
            reader.error(url_name, needless(names.certificate));
            None
        }
        Some(_) if !secure => {
            reader.error(url_name, needless(names.authorities));
            None
        }
        None => None,
        Some(authorities) => {
            let loaded = ClientTls::load(authorities, identity);
            loaded
                .map_err(|errors| tell(reader, errors.told(names)))
                .ok()
        }
    }
}

fn needless(set: &str) -> String {
    format!("must begin with https://, since the certificates of {set} are for TLS")
}

fn tell(reader: &mut Reader, mistakes: impl Iterator<Item = String>) {
    for mistake in mistakes {
        reader.mistake(mistake);
    }
}
