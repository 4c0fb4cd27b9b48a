//! A proxy in front of PostgreSQL that counts round trips and commits.

use std::{
    net::SocketAddr,
    ops::{AddAssign, Sub},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::Failure;

/// The longest message whose content is kept: the tag of a command is short.
const KEPT_BYTES_MAX: usize = 64;

/// The addresses of a proxy and of PostgreSQL, as `LISTEN=TARGET`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    listen: SocketAddr,
    target: SocketAddr,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listen, target) = text.split_once('=').ok_or("write LISTEN=TARGET")?;
        let [listen, target] = [listen, target].map(str::parse);
        let wrong = |error: std::net::AddrParseError| error.to_string();
        Ok(Self {
            listen: listen.map_err(wrong)?,
            target: target.map_err(wrong)?,
        })
    }
}

/// The counts of a proxy so far.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Counts {
    /// The times that the client waited for an answer.
    pub(crate) round_trips: u64,
    /// The round trips in which the client only checked that the server answers.
    pub(crate) pings: u64,
    /// The statements that were run, including BEGIN and COMMIT but not pings.
    pub(crate) commands: u64,
    /// The transactions that were committed, including statements that write outside of one.
    pub(crate) commits: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            round_trips: self.round_trips - other.round_trips,
            pings: self.pings - other.pings,
            commands: self.commands - other.commands,
            commits: self.commits - other.commits,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.round_trips += other.round_trips;
        self.pings += other.pings;
        self.commands += other.commands;
        self.commits += other.commits;
    }
}

#[derive(Debug, Default)]
struct Counters {
    round_trips: AtomicU64,
    pings: AtomicU64,
    commands: AtomicU64,
    commits: AtomicU64,
}

/// A proxy that counts.
#[derive(Debug, Clone)]
pub(crate) struct Proxy(Arc<Counters>);

impl Proxy {
    /// Listens, and forwards for as long as the program runs.
    pub(crate) async fn start(route: Route) -> Result<Self, Failure> {
        let listener = TcpListener::bind(route.listen).await?;
        let proxy = Self(Arc::default());
        let counters = Arc::clone(&proxy.0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, route.target, Arc::clone(&counters)));
            }
        });
        Ok(proxy)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            round_trips: self.0.round_trips.load(Ordering::Relaxed),
            pings: self.0.pings.load(Ordering::Relaxed),
            commands: self.0.commands.load(Ordering::Relaxed),
            commits: self.0.commits.load(Ordering::Relaxed),
        }
    }
}

/// Forwards one connection until either side closes it.
async fn connection(
    client: TcpStream,
    target: SocketAddr,
    counters: Arc<Counters>,
) -> Result<(), Failure> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The first answer for which the client waits is the one to its start.
    let waited_for = Arc::new(AtomicU64::new(1));
    let requests = requests(Arc::clone(&counters), Arc::clone(&waited_for));
    let answers = answers(counters, waited_for);
    tokio::try_join!(
        pass_on(from_client, to_server, Messages::new(true), requests),
        pass_on(from_server, to_client, Messages::new(false), answers),
    )?;
    Ok(())
}

/// Counts a round trip if the client sends Sync or Query and is not waiting yet.
fn requests(counters: Arc<Counters>, waited_for: Arc<AtomicU64>) -> impl FnMut(u8, &[u8]) {
    // A Sync that follows nothing is a ping.
    let mut asked = false;
    move |kind, _| {
        if !matches!(kind, b'S' | b'Q') {
            asked = true;
            return;
        }
        if waited_for.fetch_add(1, Ordering::Relaxed) == 0 {
            counters.round_trips.fetch_add(1, Ordering::Relaxed);
        }
        if kind == b'S' && !asked {
            counters.pings.fetch_add(1, Ordering::Relaxed);
        }
        asked = false;
    }
}

/// Counts the statements that the server reports as done.
fn answers(counters: Arc<Counters>, waited_for: Arc<AtomicU64>) -> impl FnMut(u8, &[u8]) {
    let mut in_transaction = false;
    move |kind, content| match kind {
        b'Z' => {
            waited_for.fetch_sub(1, Ordering::Relaxed);
        }
        b'I' => {
            counters.commands.fetch_add(1, Ordering::Relaxed);
        }
        b'C' => {
            counters.commands.fetch_add(1, Ordering::Relaxed);
            let tag = String::from_utf8_lossy(content);
            let mut words = tag.trim_end_matches('\0').split(' ');
            let command = words.next().unwrap_or_default();
            let wrote_rows = words.next_back().is_some_and(|rows| rows != "0");
            let writes = matches!(command, "INSERT" | "UPDATE" | "DELETE") && wrote_rows;
            if command == "COMMIT" || (writes && !in_transaction) {
                counters.commits.fetch_add(1, Ordering::Relaxed);
            }
            match command {
                "BEGIN" => in_transaction = true,
                "COMMIT" | "ROLLBACK" => in_transaction = false,
                _ => {}
            }
        }
        _ => {}
    }
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut messages: Messages,
    mut on_message: impl FnMut(u8, &[u8]),
) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            to.shutdown().await?;
            return Ok(());
        };
        // The message is counted before it is forwarded, so every answer that arrives has been
        // counted.
        messages.read(bytes, &mut on_message);
        to.write_all(bytes).await?;
    }
}

/// Splits a stream of bytes into messages: a kind, a length of four bytes, content.
#[derive(Debug)]
struct Messages {
    /// True for the client's first message, which has no kind.
    without_kind: bool,
    head: Vec<u8>,
    content_left: usize,
    content: Vec<u8>,
}

impl Messages {
    const fn new(without_kind: bool) -> Self {
        Self {
            without_kind,
            head: Vec::new(),
            content_left: 0,
            content: Vec::new(),
        }
    }

    fn read(&mut self, mut bytes: &[u8], on_message: &mut impl FnMut(u8, &[u8])) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.head.is_empty() && self.without_kind {
                self.without_kind = false;
                self.head.push(0);
            }
            if self.head.len() < 5 {
                self.head.push(first);
                bytes = rest;
                if let [_, length @ ..] = self.head.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                    self.content_left = length.saturating_sub(4);
                }
            } else {
                let (content, rest) = bytes.split_at(self.content_left.min(bytes.len()));
                let room = KEPT_BYTES_MAX.saturating_sub(self.content.len());
                self.content.extend(content.iter().take(room));
                self.content_left -= content.len();
                bytes = rest;
            }
            if self.head.len() == 5 && self.content_left == 0 {
                on_message(
                    self.head.first().copied().unwrap_or_default(),
                    &self.content,
                );
                self.head.clear();
                self.content.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), content].concat()
    }

    /// Returns the counts for these messages: the client's after `>`, the server's after `<`, each
    /// a kind and its content.
    fn counted(passing: &str) -> Counts {
        let counters = Arc::new(Counters::default());
        let waited_for = Arc::new(AtomicU64::new(0));
        let mut requests = requests(Arc::clone(&counters), Arc::clone(&waited_for));
        let mut answers = answers(Arc::clone(&counters), waited_for);
        for message in passing.split(", ") {
            let (side, message) = message.split_at(1);
            let (kind, content) = (message.as_bytes()[0], &message.as_bytes()[1..]);
            if side == ">" {
                requests(kind, content);
            } else {
                answers(kind, content);
            }
        }
        Proxy(counters).counts()
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let start = [&12_u32.to_be_bytes()[..], &[0; 8]].concat();
        let long = [b'x'; 300];
        let stream = [start, message(b'Q', &long), message(b'S', b"")].concat();
        for cut in 1..stream.len() {
            let mut messages = Messages::new(true);
            let mut found = Vec::new();
            for bytes in stream.chunks(cut) {
                messages.read(bytes, &mut |kind, content| {
                    found.push((kind, content.len()));
                });
            }
            assert_eq!(found, [(0, 8), (b'Q', KEPT_BYTES_MAX), (b'S', 0)], "{cut}");
        }
    }

    #[test]
    fn a_round_trip_is_counted_where_the_client_waits() {
        let one_by_one =
            counted(">Q, <CBEGIN\0, <ZT, >B, >S, <CINSERT 0 1\0, <ZT, >Q, <CCOMMIT\0, <ZI");
        assert_eq!(
            (
                one_by_one.round_trips,
                one_by_one.commands,
                one_by_one.commits
            ),
            (3, 3, 1)
        );
        let in_a_pipeline =
            counted(">Q, >B, >S, >Q, <CBEGIN\0, <ZT, <CINSERT 0 1\0, <ZT, <CCOMMIT\0, <ZI");
        assert_eq!(
            (
                in_a_pipeline.round_trips,
                in_a_pipeline.commands,
                in_a_pipeline.commits
            ),
            (1, 3, 1)
        );
    }

    #[test]
    fn a_sync_alone_is_a_ping_and_a_round_trip() {
        let counts = counted(">S, <ZI, >B, >E, >S, <CSELECT 1\0, <ZI, >S, <ZI");
        assert_eq!(
            (counts.round_trips, counts.pings, counts.commands),
            (3, 2, 1)
        );
    }

    #[test]
    fn a_write_outside_of_a_transaction_is_a_commit_where_it_wrote() {
        let commits = |tag: &str| counted(&format!(">B, >S, <C{tag}\0, <ZI")).commits;
        assert_eq!(commits("UPDATE 2"), 1);
        assert_eq!(commits("INSERT 0 1"), 1);
        assert_eq!(commits("UPDATE 0"), 0);
        assert_eq!(commits("SELECT 2"), 0);
    }
}
