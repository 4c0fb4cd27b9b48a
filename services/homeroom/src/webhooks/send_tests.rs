use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::webhooks::config;

const BODY: &str = r#"{"type":"member.joined"}"#;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn endpoint(url: &str, allow_private_networks: bool) -> Endpoint {
    let folder = tempfile::tempdir().unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    std::fs::write(folder.path().join("secret"), secret).unwrap();
    let file = folder.path().join("webhooks.json");
    let endpoint = serde_json::json!({
        "id": "crm", "url": url, "secret_file": "secret", "allow_private_networks": allow_private_networks
    });
    let config = serde_json::json!({"endpoints": [endpoint]});
    std::fs::write(&file, config.to_string()).unwrap();
    config::load(&file).unwrap().remove(0)
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Reads a request, sends this answer, and returns the request.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).ends_with(BODY) {
        let mut part = [0; 4_096];
        let count = stream.read(&mut part).await.unwrap();
        assert!(count > 0, "the request ends early");
        read.extend_from_slice(&part[..count]);
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(read).unwrap()
}

async fn sent(endpoint: &Endpoint) -> Outcome {
    let client = HttpClient::new(false).unwrap();
    send(&client, endpoint, "id-1", BODY.to_owned(), now()).await
}

/// Sends to a server that answers this; returns the outcome and the request.
async fn answered(text: &str) -> (Outcome, String) {
    let (listener, port) = listen().await;
    let endpoint = endpoint(&format!("http://localhost:{port}/hook?a=b"), true);
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream, text).await
    };
    tokio::join!(sent(&endpoint), server)
}

fn failed(cause: &str, retry_after: Option<u32>) -> Outcome {
    let cause = cause.to_owned();
    Outcome::Failed { cause, retry_after }
}

#[tokio::test]
async fn a_webhook_is_a_signed_post_to_the_url() {
    let (outcome, request) = answered("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(outcome, Outcome::Delivered);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, BODY);
    assert!(head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{head}");
    let signature = endpoint("https://crm.example/", false).secrets;
    let signature = signature.sign("id-1", 1_700_000_000, BODY);
    for line in [
        "webhook-id: id-1",
        "webhook-timestamp: 1700000000",
        &format!("webhook-signature: {signature}"),
        "content-type: application/json",
        &format!("content-length: {}", BODY.len()),
    ] {
        assert!(head.lines().any(|found| found == line), "{line}:\n{head}");
    }
    let host = head.lines().find_map(|line| line.strip_prefix("host: "));
    assert!(host.unwrap().starts_with("localhost:"), "{head}");
}

#[tokio::test]
async fn what_an_answer_means() {
    let length = "content-length: 0\r\n\r\n";
    for (answer, expected) in [
        ("200 OK\r\n", Outcome::Delivered),
        ("299 Fine\r\n", Outcome::Delivered),
        ("410 Gone\r\n", Outcome::Gone),
        (
            "500 Oh\r\n",
            failed("it answered 500 Internal Server Error", None),
        ),
        (
            "302 Found\r\nlocation: http://10.0.0.1/\r\n",
            failed("it answered 302 Found; redirects are not followed", None),
        ),
        (
            "429 Slow\r\nretry-after: 120\r\n",
            failed("it answered 429 Too Many Requests", Some(120)),
        ),
        (
            "503 Later\r\nretry-after: Tue, 14 Nov 2023 22:14:20 GMT\r\n",
            failed("it answered 503 Service Unavailable", Some(60)),
        ),
        (
            "503 Later\r\nretry-after: Mon, 14 Nov 2022 22:14:20 GMT\r\n",
            failed("it answered 503 Service Unavailable", Some(0)),
        ),
        (
            "503 Later\r\nretry-after: 99999999999\r\n",
            failed("it answered 503 Service Unavailable", Some(u32::MAX)),
        ),
        (
            "503 Later\r\nretry-after: soon\r\n",
            failed("it answered 503 Service Unavailable", None),
        ),
    ] {
        let (outcome, _) = answered(&format!("HTTP/1.1 {answer}{length}")).await;
        assert_eq!(outcome, expected, "{answer}");
    }
    let (outcome, _) = answered("SSH-2.0-server\r\n").await;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    // An answer counts by its status, however long the rest of it is.
    let long = "a".repeat(ANSWER_BYTES_MAX * 4);
    let (outcome, _) = answered(&format!("HTTP/1.1 200 OK\r\n\r\n{long}")).await;
    assert_eq!(outcome, Outcome::Delivered);
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_even_connected_to() {
    let (listener, port) = listen().await;
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let endpoint = endpoint(&format!("https://{host}:{port}/"), false);
        let outcome = sent(&endpoint).await;
        let cause = "its host has no public address, and allow_private_networks is not set";
        assert_eq!(outcome, failed(cause, None), "{host}");
    }
    let http = endpoint("http://1.1.1.1/", true);
    let outcome = sent(&http).await;
    let cause = "its host has a public address, which is called by https:// only";
    assert_eq!(outcome, failed(cause, None));
    let none = timeout(Duration::from_millis(1), listener.accept()).await;
    assert!(none.is_err());
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let (listener, port) = listen().await;
    drop(listener);
    let endpoint = endpoint(&format!("http://127.0.0.1:{port}/"), true);
    let outcome = sent(&endpoint).await;
    let Outcome::Failed { cause, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        cause.starts_with("it does not accept connections"),
        "{cause}"
    );
}
