//! A JWK set at a URL: fetched by one GET over its own connection, with limits of time and size. Redirects are not
//! followed and proxies not used.

use std::{error::Error, fmt, iter::successors, sync::Arc, time::Duration};

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use crate::{key_files::KEY_FILE_BYTES_MAX, tls::provider};

/// Maximum size of a key set in bytes.
pub const KEY_SET_BYTES_MAX: usize = KEY_FILE_BYTES_MAX;
/// The time limit of one fetch, in seconds.
pub const FETCH_SECONDS_MAX: u64 = 10;
/// The time limit for its connection, in seconds.
const CONNECT_SECONDS_MAX: u64 = 3;
/// Maximum size of the response head in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The requirements on an address.
const EXPECTED: &str =
    "must be https://host/path, or http:// on this machine's loopback, without user or fragment";

/// The address of a JWK set.
#[derive(Clone)]
pub(super) struct JwksUrl {
    url: Url,
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// The address without the query, which may hold a secret.
impl fmt::Display for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.url.clone();
        shown.set_query(None);
        shown.fmt(formatter)
    }
}

impl fmt::Debug for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JwksUrl({self})")
    }
}

impl JwksUrl {
    /// Parses an address: `https://`, or `http://` on loopback. The error completes the sentence "NAME …".
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with(text, system_authorities)
    }

    /// Does the same with other certificate authorities than the system's.
    pub(super) fn parse_with(
        text: &str,
        authorities: impl FnOnce() -> Result<RootCertStore, String>,
    ) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|_| EXPECTED)?;
        let uri = Uri::try_from(url.as_str()).map_err(|_| EXPECTED)?;
        let encrypted = url.scheme() == "https";
        let plaintext = url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host));
        let with_user = !url.username().is_empty() || url.password().is_some();
        if !(encrypted || plaintext) || with_user || url.fragment().is_some() {
            return Err(EXPECTED.to_owned());
        }
        let authorities = if encrypted {
            authorities()?
        } else {
            RootCertStore::empty()
        };
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(Duration::from_secs(CONNECT_SECONDS_MAX)));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build((connector, Arc::new(tls)).into());
        Ok(Self { url, uri, client })
    }

    /// Fetches the text of the set.
    pub(super) async fn fetch(&self) -> Result<String, String> {
        let limit = Duration::from_secs(FETCH_SECONDS_MAX);
        timeout(limit, self.ask()).await.unwrap_or_else(|_| {
            Err(format!(
                "it did not answer within {FETCH_SECONDS_MAX} seconds"
            ))
        })
    }

    async fn ask(&self) -> Result<String, String> {
        let request = Request::get(self.uri.clone())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .header(header::USER_AGENT, "homeroom")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| with_causes(&error))?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(format!(
                "it answered {status} and not 200; redirects are not followed"
            ));
        }
        let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX);
        let bytes = body.collect().await.map_err(|error| {
            format!("at most {KEY_SET_BYTES_MAX} bytes are read of it: {error}")
        })?;
        let bytes = bytes.to_bytes();
        String::from_utf8(bytes.into()).map_err(|_| "its answer is not UTF-8".to_owned())
    }
}

/// Returns an error's message with those of its causes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |&error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

/// Returns true if a host is this machine's loopback.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(domain) => *domain == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

/// Returns the authorities that this machine trusts, or those of the file that `SSL_CERT_FILE` names.
fn system_authorities() -> Result<RootCertStore, String> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(
            "needs TLS, and this machine has no certificates of authorities: install ca-certificates, or \
             name a file of them in SSL_CERT_FILE"
                .to_owned(),
        );
    }
    Ok(authorities)
}
