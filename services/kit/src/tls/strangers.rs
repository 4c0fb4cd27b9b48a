//! The TLS of a client whose servers are other people's: they have certificates of the authorities that everybody
//! trusts.

use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

use super::provider;

/// Returns the authorities that this machine trusts, or those of the file that `SSL_CERT_FILE` names.
pub fn machine_authorities() -> Result<RootCertStore, &'static str> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(
            "this machine has no certificates of authorities: install ca-certificates, or name a file of them in \
             SSL_CERT_FILE",
        );
    }
    Ok(authorities)
}

/// Returns the TLS of a client that trusts these authorities alone, and presents no certificate.
pub fn trusting(authorities: RootCertStore) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth())
}
