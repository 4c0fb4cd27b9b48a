//! A receiver of webhooks over HTTP.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
};

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::eventually;

/// The bytes of the secret.
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// A webhook as it was received.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let mut lines = self.head.lines();
        let found = lines.find_map(|line| line.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn is_signed(&self) -> bool {
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = format!("{id}.{time}.{}", self.body);
        let signature = self
            .header("webhook-signature")
            .strip_prefix("v1,")
            .unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
        let tag = BASE64_STANDARD.decode(signature).unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    }
}

/// A receiver, which answers all webhooks with one status and keeps them.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    pub(crate) fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            status: Arc::new(AtomicU16::new(status)),
            received: Arc::default(),
        };
        let (status, kept) = (Arc::clone(&receiver.status), Arc::clone(&receiver.received));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let webhook = receive(&stream);
                kept.lock().unwrap().push(webhook);
                let status = status.load(Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
        });
        receiver
    }

    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Returns the webhooks of a type in the order in which they came.
    pub(crate) fn of(&self, kind: &str) -> Vec<Received> {
        let received = self.received.lock().unwrap();
        let of_kind = received.iter().filter(|one| one.json()["type"] == kind);
        of_kind.cloned().collect()
    }

    pub(crate) fn wait_for(&self, kind: &str, count: usize) -> Vec<Received> {
        eventually(&format!("{count} of {kind}"), || {
            Some(self.of(kind)).filter(|found| found.len() >= count)
        })
    }
}

fn receive(stream: &TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    Received { head, body }
}
