//! One attempt: an endpoint is called at the address that was judged.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use homeroom_kit::http_client::HttpClient;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::time::timeout;

use super::{address::may_call, config::Endpoint, schedule::Outcome};
/// The longest time until an endpoint has answered, in seconds.
const ATTEMPT_SECONDS_MAX: u64 = 15;
/// The most bytes of an answer that are read. Nothing needs them, but some servers complain otherwise.
const ANSWER_BYTES_MAX: usize = 4_096;
/// The longest time for which they are read, in seconds.
const ANSWER_SECONDS_MAX: u64 = 2;
/// The name of this client.
const USER_AGENT: &str = concat!("homeroom-webhooks/", env!("CARGO_PKG_VERSION"));

/// Sends a body to an endpoint.
pub(crate) async fn send(
    client: &HttpClient,
    endpoint: &Endpoint,
    id: &str,
    body: String,
    now: DateTime<Utc>,
) -> Outcome {
    let limit = Duration::from_secs(ATTEMPT_SECONDS_MAX);
    let attempt = attempt(client, endpoint, id, body, now.timestamp());
    let cause = match timeout(limit, attempt).await {
        Ok(Ok((status, headers))) => return judge(status, &headers, now),
        Ok(Err(cause)) => cause,
        Err(_) => format!("it did not answer within {ATTEMPT_SECONDS_MAX} seconds"),
    };
    let retry_after = None;
    Outcome::Failed { cause, retry_after }
}

async fn attempt(
    client: &HttpClient,
    endpoint: &Endpoint,
    id: &str,
    body: String,
    timestamp: i64,
) -> Result<(StatusCode, HeaderMap), String> {
    let request = request(endpoint, id, body, timestamp)?;
    let permitted = |addresses| permitted(endpoint, addresses);
    let answer = client.send(&endpoint.url, request, permitted).await?;
    let (status, headers) = (answer.head.status, answer.head.headers.clone());
    // A short answer is read, so that its server can send all of it.
    let read = answer.body(ANSWER_BYTES_MAX);
    drop(timeout(Duration::from_secs(ANSWER_SECONDS_MAX), read).await);
    Ok((status, headers))
}

/// Returns the addresses that may be called.
fn permitted(endpoint: &Endpoint, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
    let (is_https, private) = (endpoint.is_https(), endpoint.allow_private_networks);
    let may = |one: &SocketAddr| may_call(is_https, one.ip(), private);
    let permitted: Vec<_> = addresses.into_iter().filter(may).collect();
    if !permitted.is_empty() {
        return Ok(permitted);
    }
    let why = if is_https {
        "its host has no public address, and allow_private_networks is not set"
    } else {
        "its host has a public address, which is called by https:// only"
    };
    Err(why.to_owned())
}

fn request(
    endpoint: &Endpoint,
    id: &str,
    body: String,
    timestamp: i64,
) -> Result<Request<Full<Bytes>>, String> {
    let signature = endpoint.secrets.sign(id, timestamp, &body);
    Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(Full::from(body))
        .map_err(|error| error.to_string())
}

fn judge(status: StatusCode, headers: &HeaderMap, now: DateTime<Utc>) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    if status == StatusCode::GONE {
        return Outcome::Gone;
    }
    let mut cause = format!("it answered {status}");
    if status.is_redirection() {
        cause.push_str("; redirects are not followed");
    }
    let retry_after = retry_after(headers, now);
    Outcome::Failed { cause, retry_after }
}

/// Returns the pause that an answer asks for, in seconds: a number, or the time until a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<u32> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(u32::MAX));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    let seconds = (date.to_utc() - now).num_seconds().max(0);
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
