//! The log, and the export of traces.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{
    EnvFilter, fmt,
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};
use url::Url;

use crate::{config::Reader, trace};

/// The setting of the collector that receives traces. OpenTelemetry's SDK reads the other variables of this family:
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES` and so on.
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The most seconds for which the end of a process waits for the collector to take the last spans.
const FLUSH_SECONDS_MAX: u64 = 2;
/// The log levels without `RUST_LOG`. h2 warns of each connection that it ends for a flood, so attackers could fill the
/// log.
const DEFAULT_DIRECTIVES: &str = "info,sqlx=warn,h2=error,hyper=warn,tower=warn,opentelemetry=warn";

/// The reason why neither logs nor traces are written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Another part of this process already writes logs.
    #[error(transparent)]
    Log(#[from] TryInitError),
    /// A setting of OpenTelemetry cannot be used.
    #[error("traces cannot be exported: {0}; correct the OTEL_… variables")]
    Traces(#[from] ExporterBuildError),
}

/// The settings of the log, its levels and format, and of the export of traces.
#[derive(Debug)]
pub struct Settings {
    /// The collector that receives traces by OTLP over gRPC; `None` means that no spans are made.
    collector: Option<Url>,
    /// True for collectors: one JSON object on each line.
    json: bool,
    filter: EnvFilter,
}

impl Settings {
    /// Reads `LOG_FORMAT`, `RUST_LOG` and `OTEL_EXPORTER_OTLP_ENDPOINT`; the reader reports their mistakes.
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
        // TLS of tonic's own would take the place of this program's TLS to membership.
        let collector = reader.optional(COLLECTOR, |text| match Url::parse(text) {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(url),
            _ => Err(
                "must be the http:// URL of a collector of OTLP over gRPC, such as http://localhost:4317",
            ),
        });
        Self {
            collector,
            json,
            filter: filter.unwrap_or_else(|| EnvFilter::new(DEFAULT_DIRECTIVES)),
        }
    }
}

/// Starts exporting traces as those of `service` if the settings name a collector, and [`write_logs`]. Works once in a
/// process, inside a runtime.
pub fn init(settings: Settings, service: &'static str) -> Result<(), InitError> {
    if let Some(collector) = &settings.collector {
        let exporter = SpanExporter::builder().with_tonic();
        let exporter = exporter.with_endpoint(collector.as_str()).build()?;
        let resource = Resource::builder().with_service_name(service);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("homeroom");
        trace::export(provider, tracer);
    }
    Ok(write_logs(settings)?)
}

/// Starts writing logs to standard error. Works once in a process.
pub(crate) fn write_logs(settings: Settings) -> Result<(), TryInitError> {
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

/// Sends the spans that are still in memory; to be called at the end of a process.
pub async fn flush() {
    if let Some(provider) = trace::provider() {
        let timeout = Duration::from_secs(FLUSH_SECONDS_MAX);
        // It blocks its thread while the collector is asked.
        let flushed = move || provider.shutdown_with_timeout(timeout);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(flushed).await {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer as _;

    use super::*;
    use crate::tests::log::Log;

    #[test]
    fn every_setting_is_judged_with_all_others() {
        let wrong = [
            ("LOG_FORMAT", "xml"),
            ("RUST_LOG", "info,sqlx=loudly"),
            (COLLECTOR, "https://localhost:4317"),
        ];
        let mut reader = Reader::new(&wrong);
        Settings::read(&mut reader);
        let errors = reader.finish().unwrap_err().0;
        assert!(errors.len() == 3 && errors.concat().contains("RUST_LOG must be a list"));
        let right = [
            ("LOG_FORMAT", "json"),
            ("RUST_LOG", "debug,sqlx=warn"),
            (COLLECTOR, "http://localhost:4317"),
        ];
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
