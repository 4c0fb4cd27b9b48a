//! Access to the log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{Layer, Registry, fmt, layer::SubscriberExt as _};

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Captures everything that this thread logs while the guard lives.
    pub(crate) fn of_this_thread() -> (Self, DefaultGuard) {
        let log = Self::default();
        let all = tracing_subscriber::registry().with(log.layer());
        let guard = tracing::subscriber::set_default(all);
        (log, guard)
    }

    /// Returns a layer that writes to it.
    pub(crate) fn layer(&self) -> impl Layer<Registry> + use<> {
        let log = self.clone();
        fmt::layer()
            .with_ansi(false)
            .with_writer(move || log.clone())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}
