//! Logs.

use std::{
    io::{self, IsTerminal as _},
    str::FromStr,
};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_DIRECTIVES: &str = "info,sqlx=warn,h2=warn,hyper=warn,tower=warn";

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people, on one line.
    #[default]
    Text,
    /// For collectors: one JSON object on each line.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither `text` nor `json`"),
        }
    }
}

/// Logs could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` does not parse.
    #[error("RUST_LOG is not a list of `target=level`: {0}")]
    Directives(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in this process writes logs already.
    #[error("logs are being written already: {0}")]
    AlreadyStarted(#[from] tracing_subscriber::util::TryInitError),
}

/// Writes logs to standard error, filtered by `RUST_LOG`. Once in a process.
pub fn init(format: Format) -> Result<(), TelemetryError> {
    let directives = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = if directives.is_empty() {
        EnvFilter::try_new(DEFAULT_DIRECTIVES)?
    } else {
        EnvFilter::try_new(directives)?
    };
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => registry
            .with(
                fmt::layer()
                    .with_ansi(io::stderr().is_terminal())
                    .with_writer(io::stderr),
            )
            .try_init()?,
        Format::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(io::stderr),
            )
            .try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named() {
        assert_eq!("text".parse(), Ok(Format::Text));
        assert_eq!("json".parse(), Ok(Format::Json));
        assert!("xml".parse::<Format>().is_err());
    }
}
