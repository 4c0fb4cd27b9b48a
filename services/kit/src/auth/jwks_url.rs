//! A JWK set at a URL: fetched by one GET, with limits of time and size.

use std::{io::Read as _, time::Duration};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tokio::time::timeout;
use url::{Host, Url};

use crate::{http_client::HttpClient, key_files::KEY_FILE_BYTES_MAX};

/// The time limit of one fetch, in seconds.
const FETCH_SECONDS_MAX: u64 = 10;
/// The first bytes of gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The requirements on an address.
const EXPECTED: &str =
    "must be https://host/path, or http:// on this machine's loopback, without user or fragment";

/// Parses an address: `https://`, or `http://` on loopback. The error completes the sentence "NAME …".
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| EXPECTED)?;
    let is_private = match (url.scheme(), url.host()) {
        ("https", _) => true,
        ("http", Some(Host::Domain(domain))) => domain == "localhost",
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.to_canonical().is_loopback(),
        _ => false,
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !is_private || has_user || url.fragment().is_some() {
        return Err(EXPECTED);
    }
    Ok(url)
}

/// Fetches the text of the set. Trusts the authorities that this machine trusts, or those of the file that
/// `SSL_CERT_FILE` names.
pub(super) async fn fetch(url: &Url) -> Result<String, String> {
    fetch_by(HttpClient::new(url.scheme() == "https")?, url).await
}

/// Fetches the text of the set by a client.
pub(super) async fn fetch_by(client: HttpClient, url: &Url) -> Result<String, String> {
    let limit = Duration::from_secs(FETCH_SECONDS_MAX);
    let asked = timeout(limit, ask(client, url)).await;
    asked.unwrap_or_else(|_| {
        Err(format!(
            "it did not answer within {FETCH_SECONDS_MAX} seconds"
        ))
    })
}

async fn ask(client: HttpClient, url: &Url) -> Result<String, String> {
    let request = Request::builder()
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, "homeroom")
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    let answer = client.send(url, request, Ok).await?;
    let status = answer.head.status;
    if status != StatusCode::OK {
        return Err(format!(
            "it answered {status} and not 200; redirects are not followed"
        ));
    }
    let bytes = unpacked(answer.body(KEY_FILE_BYTES_MAX).await?)?;
    String::from_utf8(bytes.into()).map_err(|_| "its answer is not UTF-8".to_owned())
}

/// Returns the bytes, uncompressed if they are of gzip: some servers send it to clients that did not ask for it, with or
/// without a header that says so.
fn unpacked(bytes: Bytes) -> Result<Bytes, String> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    let mut most = MultiGzDecoder::new(&*bytes).take(KEY_FILE_BYTES_MAX as u64 + 1);
    most.read_to_end(&mut text)
        .map_err(|error| format!("its gzip cannot be read: {error}"))?;
    if text.len() > KEY_FILE_BYTES_MAX {
        return Err(format!("it has more than {KEY_FILE_BYTES_MAX} bytes"));
    }
    Ok(text.into())
}
