//! Logging.

use std::io::{self, IsTerminal as _};

use crate::config::Reader;
use tracing_subscriber::{
    EnvFilter, fmt,
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

/// The log levels without `RUST_LOG`. h2 warns of each connection that it ends for a flood, so attackers could fill the
/// log.
const DEFAULT_DIRECTIVES: &str = "info,sqlx=warn,h2=error,hyper=warn,tower=warn";

/// The settings of the log: levels and format.
#[derive(Debug)]
pub struct Settings {
    /// True for collectors: one JSON object on each line.
    json: bool,
    filter: EnvFilter,
}

impl Settings {
    /// Reads `LOG_FORMAT` and `RUST_LOG`; the reader reports their mistakes.
    pub fn read(reader: &mut Reader) -> Self {
        let json = reader.or_default("LOG_FORMAT", false, |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("must be `text` or `json`"),
        });
        let filter = reader.optional("RUST_LOG", |text| {
            EnvFilter::try_new(text).map_err(|error| {
                format!("must be a list such as `info,sqlx=warn`, levels by target: {error}")
            })
        });
        Self {
            json,
            filter: filter.unwrap_or_else(|| EnvFilter::new(DEFAULT_DIRECTIVES)),
        }
    }
}

/// Starts writing logs to standard error. Works once in a process.
pub fn init(settings: Settings) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry().with(settings.filter);
    let layer = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    if settings.json {
        registry.with(layer.json().flatten_event(true)).try_init()
    } else {
        registry.with(layer).try_init()
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer as _;

    use super::*;
    use crate::tests::log::Log;

    #[test]
    fn both_settings_are_judged_with_all_others() {
        let wrong = [("LOG_FORMAT", "xml"), ("RUST_LOG", "info,sqlx=loudly")];
        let mut reader = Reader::new(&wrong);
        Settings::read(&mut reader);
        let errors = reader.finish().unwrap_err().0;
        assert!(errors.len() == 2 && errors.concat().contains("RUST_LOG must be a list"));
        let right = [("LOG_FORMAT", "json"), ("RUST_LOG", "debug,sqlx=warn")];
        let mut reader = Reader::new(&right);
        assert!(Settings::read(&mut reader).json);
        assert!(reader.finish().is_ok());
    }

    #[test]
    fn a_flood_of_bad_connections_does_not_fill_the_log() {
        let filter = Settings::read(&mut Reader::new(&[])).filter;
        let written = Log::default();
        let log = tracing_subscriber::registry().with(written.layer().with_filter(filter));
        tracing::subscriber::with_default(log, || {
            // h2 logs this when it ends a connection for CVE-2023-44487 or CVE-2025-8671.
            tracing::warn!(target: "h2::proto::streams::recv", "streams reached limit");
            tracing::error!(target: "h2::proto::streams::recv", "broken");
            tracing::info!(target: "homeroom_kit::server", "serving");
        });
        let written = written.text();
        let lines = written.lines().count();
        assert_eq!(lines, 2, "{written}");
        assert!(!written.contains("reached limit"), "{written}");
    }
}
