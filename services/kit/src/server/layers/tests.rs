use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::*;
use crate::{auth::Signer, clock::SystemClock, random::SystemRandomness, tests::log::Log};

/// A method without authentication.
const OPEN: &str = "/grpc.health.v1.Health/Check";

fn request(headers: &[(&'static str, &str)]) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static(OPEN);
    let grpc = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(CONTENT_TYPE, grpc);
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(*name, value);
    }
    request
}

/// Returns the answer of all steps in front of a service that answers by `handler`.
async fn through<F>(
    request: Request,
    handler: impl Fn(Request) -> F + Clone + Send + 'static,
) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    let inner = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let signer = Signer::generate(&SystemRandomness).unwrap();
    let keys = signer.keys(None).unwrap();
    let clock = Arc::new(SystemClock);
    let verifier = Verifier::new(keys, "issuer", "audience", clock.clone());
    let calls = Calls::new(1);
    let steps = Steps::new(
        calls,
        Arc::new(verifier),
        TrustedProxies::default(),
        clock,
        Arc::new(SystemRandomness),
    );
    steps.layer(inner).oneshot(request).await.unwrap()
}

async fn fine(_request: Request) -> Response {
    Response::new(Body::empty())
}

type Failure = (Code, Option<String>);

fn failure(response: &Response) -> Option<Failure> {
    let status = Status::from_header_map(response.headers())?;
    let reason = status.get_details_error_info().map(|info| info.reason);
    Some((status.code(), reason))
}

fn refused(code: Code, reason: &str) -> Failure {
    (code, Some(reason.to_owned()))
}

#[tokio::test]
async fn a_request_id_is_echoed_to_its_longest_or_made() {
    let id_for = async |sent: &str| {
        let response = through(request(&[(REQUEST_ID_METADATA, sent)]), fine).await;
        response.headers()[REQUEST_ID_METADATA]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(id_for("abc-1").await, "abc-1");
    let longest = "r".repeat(REQUEST_ID_CHARS_MAX);
    assert_eq!(id_for(&longest).await, longest);
    for unfit in ["", "a b", &"r".repeat(REQUEST_ID_CHARS_MAX + 1)] {
        let made = id_for(unfit).await;
        assert_eq!(uuid::Uuid::try_parse(&made).unwrap().get_version_num(), 7);
    }
}

#[tokio::test]
async fn the_deadline_answers_deadline_exceeded_and_says_so() {
    let late = |_request| std::future::pending();
    let response = through(request(&[("grpc-timeout", "5m")]), late).await;
    let expected = Some(refused(Code::DeadlineExceeded, "DEADLINE_TOO_SHORT"));
    assert_eq!(failure(&response), expected);
    let gone = through(request(&[("grpc-timeout", "0n")]), late).await;
    assert_eq!(failure(&gone), expected);
}

#[tokio::test]
async fn methods_learn_of_the_deadline() {
    let seen = |request: Request| async move {
        let mut response = Response::new(Body::empty());
        if request.extensions().get::<Deadline>().is_some() {
            let yes = HeaderValue::from_static("yes");
            response.headers_mut().insert("seen", yes);
        }
        response
    };
    let with = through(request(&[("grpc-timeout", "1H")]), seen).await;
    assert!(with.headers().contains_key("seen"));
    let without = through(request(&[]), seen).await;
    assert!(!without.headers().contains_key("seen"));
}

#[test]
fn timeouts_are_read_in_every_unit_and_malformed_ones_passed_over() {
    let read = |text: &str| timeout(request(&[("grpc-timeout", text)]).headers());
    assert_eq!(read("1H"), Some(Duration::from_hours(1)));
    assert_eq!(read("2M"), Some(Duration::from_mins(2)));
    assert_eq!(read("3S"), Some(Duration::from_secs(3)));
    assert_eq!(read("4m"), Some(Duration::from_millis(4)));
    assert_eq!(read("5u"), Some(Duration::from_micros(5)));
    assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
    for malformed in ["", "S", "1", "1s", "-1S", "+1S", "100000000n", "1.5S"] {
        assert_eq!(read(malformed), None, "{malformed}");
    }
    for (given, less) in [(1_000, 990), (10, 9), (0, 0)] {
        let margin = less_margin(Duration::from_millis(given));
        assert_eq!(margin, Duration::from_millis(less));
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_failure_that_tells_nothing() {
    let panics = |_request| async { panic!("the secret is 42") };
    let response = through(request(&[]), panics).await;
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("42"));
}

#[tokio::test]
async fn what_tonic_refuses_by_itself_gets_a_reason() {
    let answer = async |status: Status| {
        let answers = move |_request| {
            let status = status.clone();
            async move { status.into_http() }
        };
        let response = through(request(&[]), answers).await;
        failure(&response)
    };
    let too_large = refused(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let decompressing = "Error decompressing: size limit, of 1 bytes, exceeded";
    let garbage = "failed to decode Protobuf message: invalid wire type";
    let internal = (Code::Internal, None);
    let invalid = refused(Code::InvalidArgument, "INVALID_REQUEST");
    let ours = Error::new(ErrorReason::TooManyAttempts, "decompressing");
    let too_many = refused(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS");
    for (status, expected) in [
        (Status::out_of_range("length too large"), too_large.clone()),
        (Status::resource_exhausted(decompressing), too_large),
        (Status::internal(garbage), invalid),
        (Status::unimplemented(""), (Code::Unimplemented, None)),
        (ours.into(), too_many),
        (Error::internal("a defect").into(), internal),
    ] {
        assert_eq!(answer(status).await, Some(expected));
    }
}

#[test]
fn the_log_shows_every_methods_path_and_no_more_of_a_strangers() {
    let longest = format!("/{}", "m".repeat(METHOD_LOGGED_BYTES_MAX - 1));
    assert_eq!(logged_method(&longest), longest);
    assert_eq!(logged_method(&format!("{longest}m")), longest);
    let of_two_bytes = "é".repeat(METHOD_LOGGED_BYTES_MAX);
    assert_eq!(logged_method(&of_two_bytes).len(), METHOD_LOGGED_BYTES_MAX);
    let between = format!("/{of_two_bytes}");
    assert_eq!(logged_method(&between).len(), METHOD_LOGGED_BYTES_MAX - 1);
    let set = FileDescriptorSet::decode(homeroom_api::FILE_DESCRIPTOR_SET).unwrap();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                assert_eq!(logged_method(&path), path);
            }
        }
    }
}

#[tokio::test]
async fn a_call_with_a_long_path_leaves_a_short_line() {
    let (log, guard) = Log::of_this_thread();
    let mut call = request(&[]);
    *call.uri_mut() = format!("/grpc.health.v1.Health/{}", "p".repeat(8_000))
        .parse()
        .unwrap();
    let refused = |_request| async { Status::unimplemented("").into_http() };
    through(call, refused).await;
    drop(guard);
    let line = log.text();
    assert!(line.contains("answered") && line.contains("/ppp"), "{line}");
    assert!(line.len() < 500, "{} bytes", line.len());
}

#[tokio::test]
async fn the_log_says_what_a_call_lacks_that_shows_no_access_token() {
    for (headers, expected) in [
        (&[][..], "no metadata `authorization`, or more than one"),
        (
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            "or more than one",
        ),
        (
            &[("authorization", "Basic dXNlcjpodW50ZXIy")],
            "is not `Bearer <token>`",
        ),
        (
            &[("authorization", "dXNlcjpodW50ZXIy")],
            "is not `Bearer <token>`",
        ),
        (
            &[("authorization", "bearer dXNlcjpodW50ZXIy")],
            "is no signed JWT",
        ),
    ] {
        let (log, listening) = Log::of_this_thread();
        let mut call = request(headers);
        *call.uri_mut() = http::Uri::from_static("/homeroom.test/Do");
        let response = through(call, fine).await;
        drop(listening);
        let unauthenticated = refused(Code::Unauthenticated, "ACCESS_TOKEN_INVALID");
        assert_eq!(failure(&response), Some(unauthenticated));
        let log = log.text();
        assert!(log.contains(expected), "{expected}: {log}");
        assert!(!log.contains("dXNlcjpodW50ZXIy"), "{log}");
    }
}

#[tokio::test]
async fn a_call_is_part_of_the_trace_that_it_names() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    for (sent, kept) in [(&*parent, Some(trace)), ("unfit", None)] {
        let seen = |_request| async {
            let mut response = Response::new(Body::empty());
            if let Some(trace) = trace::id() {
                let trace = HeaderValue::try_from(trace.to_string()).unwrap();
                response.headers_mut().insert("seen", trace);
            }
            response
        };
        let response = through(request(&[("traceparent", sent)]), seen).await;
        let seen = response.headers().get("seen");
        assert_eq!(seen.map(|seen| seen.to_str().unwrap()), kept);
    }
}
