//! An attacker's connection: it writes arbitrary bytes and records the server's frames.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::frames::{
    ACK, END_STREAM, FRAME_HEAD_BYTES, GO_AWAY, HEADERS, RESET_STREAM, SETTINGS, frame, hello,
};

/// The time within which the server must accept a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// The frames of the server so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// True if it has sent its settings.
    pub settings: bool,
    /// True if it has sent GOAWAY.
    pub goes_away: bool,
    /// The number of streams that it has reset.
    pub resets: u64,
    /// The number of streams that it has answered.
    pub answers: u64,
    /// True if it has closed the connection.
    pub closed: bool,
}

impl Seen {
    /// Returns true if the server has ended this connection or is about to.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.closed || self.goes_away
    }

    fn note(&mut self, kind: u8, flags: u8) {
        match kind {
            SETTINGS if flags & ACK == 0 => self.settings = true,
            GO_AWAY => self.goes_away = true,
            RESET_STREAM => self.resets += 1,
            HEADERS if flags & END_STREAM != 0 => self.answers += 1,
            _ => {}
        }
    }
}

/// A connection on which the attacker chooses every byte.
#[derive(Debug)]
pub struct Wire {
    writer: OwnedWriteHalf,
    // The unread half, if nobody reads.
    unread: Option<OwnedReadHalf>,
    reading: Option<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
}

impl Wire {
    /// Connects, and reads all frames of the server.
    pub async fn connect(address: SocketAddr) -> Option<Self> {
        let mut wire = Self::connect_unread(address).await?;
        let reader = wire.unread.take()?;
        let seen = Arc::clone(&wire.seen);
        wire.reading = Some(tokio::spawn(async move {
            let mut reader = reader;
            while let Some((kind, flags)) = read_frame(&mut reader).await {
                seen.lock().unwrap().note(kind, flags);
            }
            seen.lock().unwrap().closed = true;
        }));
        Some(wire)
    }

    /// Connects, and never reads.
    pub async fn connect_unread(address: SocketAddr) -> Option<Self> {
        let stream = timeout(CONNECT, TcpStream::connect(address))
            .await
            .ok()?
            .ok()?;
        stream.set_nodelay(true).ok()?;
        let (unread, writer) = stream.into_split();
        Some(Self {
            writer,
            unread: Some(unread),
            reading: None,
            seen: Arc::default(),
        })
    }

    /// Connects, begins HTTP/2 correctly, and reads all frames of the server.
    pub async fn begin(address: SocketAddr) -> Option<Self> {
        let mut wire = Self::connect(address).await?;
        wire.send(&hello()).await;
        // The server's windows apply only after this.
        wire.sees(Instant::now() + CONNECT, |seen| {
            seen.settings || seen.closed
        })
        .await;
        wire.send(&frame(SETTINGS, ACK, 0, &[])).await;
        Some(wire)
    }

    /// Sends bytes until this time. Returns true if all were accepted.
    pub async fn send_until(&mut self, bytes: &[u8], until: Instant) -> bool {
        matches!(
            timeout_at(until, self.writer.write_all(bytes)).await,
            Ok(Ok(()))
        )
    }

    /// Sends bytes for at most two seconds. Returns true if all were accepted.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.send_until(bytes, Instant::now() + Duration::from_secs(2))
            .await
    }

    /// Returns the frames of the server so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the condition holds. Returns true if it did in time.
    pub async fn sees(&self, until: Instant, done: impl Fn(&Seen) -> bool) -> bool {
        loop {
            if done(&self.seen.lock().unwrap()) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

/// Returns the next frame's type and flags, or `None` once the connection has ended.
async fn read_frame(reader: &mut OwnedReadHalf) -> Option<(u8, u8)> {
    let mut head = [0; FRAME_HEAD_BYTES];
    reader.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    reader.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4]))
}
