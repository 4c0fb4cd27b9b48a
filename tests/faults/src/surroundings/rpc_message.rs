//! A unary call and its reply, read completely so that they can be held, repeated or lost.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, Uri,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};

/// A body that is passed through or was read before.
pub(super) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

const TIMEOUT: &str = "grpc-timeout";
const STATUS: &str = "grpc-status";
/// gRPC's numbers for `CANCELLED` and `DEADLINE_EXCEEDED`.
const GIVEN_UP: [&[u8]; 2] = [b"1", b"4"];
/// gRPC's number for UNAVAILABLE.
const UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");
/// The largest number that gRPC allows in a timeout, 8 digits.
const TIMEOUT_MAX: u128 = 99_999_999;

pub(super) fn boxed(body: Incoming) -> Body {
    body.boxed_unsync()
}

/// Returns the reply in the upstream's place, as gRPC libraries report a lost connection.
pub(super) fn unavailable() -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, UNAVAILABLE);
    headers.insert("grpc-message", HeaderValue::from_static("lost on its way"));
    response
}

/// A request of a unary call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    uri: Uri,
    headers: HeaderMap,
    message: Bytes,
}

impl Call {
    /// Reads a request; returns `None` if it did not arrive completely.
    pub(super) async fn read(request: Request<Incoming>) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let message = body.collect().await.ok()?.to_bytes();
        Some(Self {
            uri: parts.uri,
            headers: parts.headers,
            message,
        })
    }

    pub(super) fn into_request(self) -> Request<Body> {
        let body = Full::new(self.message).map_err(|never| match never {});
        let mut request = Request::post(self.uri).body(body.boxed_unsync()).unwrap();
        *request.headers_mut() = self.headers;
        request
    }

    /// Returns the timeout that the caller set (`grpc-timeout`).
    pub(super) fn timeout(&self) -> Option<Duration> {
        parse_timeout(self.headers.get(TIMEOUT)?.to_str().ok()?)
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        let value = HeaderValue::from_str(&format_timeout(timeout)).unwrap();
        self.headers.insert(TIMEOUT, value);
    }
}

/// A reply to a unary call.
#[derive(Debug)]
pub(super) struct Reply {
    headers: HeaderMap,
    message: Bytes,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// Reads a reply; returns `None` if it did not arrive completely.
    pub(super) async fn read(response: Response<Incoming>) -> Option<Self> {
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.ok()?;
        let trailers = collected.trailers().cloned();
        let message = collected.to_bytes();
        Some(Self {
            headers: parts.headers,
            message,
            trailers,
        })
    }

    /// Returns true if it reports that the time was over: `CANCELLED` or `DEADLINE_EXCEEDED`.
    pub(super) fn was_given_up(&self) -> bool {
        let trailers = self.trailers.as_ref();
        let status = trailers
            .and_then(|trailers| trailers.get(STATUS))
            .or_else(|| self.headers.get(STATUS));
        status.is_some_and(|status| GIVEN_UP.contains(&status.as_bytes()))
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let Self {
            headers,
            message,
            trailers,
        } = self;
        let body = Full::new(message).with_trailers(async move { trailers.map(Ok) });
        let body = body.map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.headers_mut() = headers;
        response
    }
}

/// Parses gRPC's form: at most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = digits.parse().ok()?;
    let number = u64::from(number);
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

fn format_timeout(timeout: Duration) -> String {
    if timeout.as_micros() <= TIMEOUT_MAX {
        format!("{}u", timeout.as_micros())
    } else {
        format!("{}m", timeout.as_millis().min(TIMEOUT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::HeaderMap;

    use super::{Reply, STATUS, format_timeout, parse_timeout};

    #[test]
    fn a_reply_was_given_up_where_its_trailers_or_headers_say_so() {
        let of = |status: &str| {
            HeaderMap::from_iter([(STATUS.parse().unwrap(), status.parse().unwrap())])
        };
        for (status, given_up) in [("0", false), ("1", true), ("4", true), ("14", false)] {
            let message = bytes::Bytes::new();
            let in_trailers = Reply {
                headers: HeaderMap::new(),
                message: message.clone(),
                trailers: Some(of(status)),
            };
            let in_headers = Reply {
                headers: of(status),
                message,
                trailers: None,
            };
            assert_eq!(
                [in_trailers, in_headers].map(|reply| reply.was_given_up()),
                [given_up; 2]
            );
        }
    }

    #[test]
    fn timeouts_are_read_and_written_in_grpcs_form() {
        for (text, timeout) in [
            ("2S", Duration::from_secs(2)),
            ("250m", Duration::from_millis(250)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("1H", Duration::from_hours(1)),
        ] {
            assert_eq!(parse_timeout(text), Some(timeout));
        }
        for text in ["", "S", "2", "2x", "-2S", "é"] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
        assert_eq!(
            format_timeout(Duration::from_micros(99_999_999)),
            "99999999u"
        );
        assert_eq!(format_timeout(Duration::from_secs(100)), "100000m");
    }
}
