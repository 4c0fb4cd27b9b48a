//! The trace of a call: the W3C trace context that the call names, passed on to the calls that are made for it, and the
//! spans of this process, if it exports them.
//!
//! A span has the name of a method, a statement or a batch, and no value of a caller: no id of a user, no resource name
//! and no credential reaches the traces.

use std::{collections::HashSet, future::Future, sync::OnceLock};

use http::HeaderMap;
pub use opentelemetry::{Context, trace::SpanKind};
use opentelemetry::{
    KeyValue,
    context::FutureExt as _,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{Link, Status, TraceContextExt, TraceId, Tracer as _},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};

/// The provider of this process's spans, and its tracer; empty if no spans are exported.
static EXPORTED: OnceLock<(SdkTracerProvider, SdkTracer)> = OnceLock::new();

/// Exports the spans of this process by the provider from now on. Only the first provider counts.
pub(crate) fn export(provider: SdkTracerProvider, tracer: SdkTracer) {
    let _ = EXPORTED.set((provider, tracer));
}

/// Returns the provider by which spans are exported.
pub(crate) fn provider() -> Option<SdkTracerProvider> {
    EXPORTED.get().map(|(provider, _)| provider.clone())
}

/// Returns the trace context in which this task works.
#[must_use]
pub fn current() -> Context {
    Context::current()
}

/// Runs `work` within the trace context.
pub async fn within<F: Future>(context: Context, work: F) -> F::Output {
    work.with_context(context).await
}

/// Returns the trace context that a call names, or an empty one.
#[must_use]
pub fn named_by(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Names the current trace context in the metadata of a call.
pub fn inject(metadata: &mut MetadataMap) {
    TraceContextPropagator::new().inject(&mut Metadata(metadata));
}

/// Returns the id of the current trace.
#[must_use]
pub fn id() -> Option<TraceId> {
    Context::map_current(|context| {
        let span = context.span();
        let of_span = span.span_context();
        of_span.is_valid().then(|| of_span.trace_id())
    })
}

/// Runs `work` as a span of the current trace. `attributes` are names and values of OpenTelemetry's conventions.
pub async fn span<F: Future>(
    kind: SpanKind,
    name: &'static str,
    attributes: &[(&'static str, &'static str)],
    work: F,
) -> F::Output {
    spanned(kind, name, attributes, Vec::new(), work).await
}

/// Runs `work` on items of several calls as a span: a child of the first call's span that is linked to the others'.
pub async fn batch<F: Future>(name: &'static str, callers: Vec<Context>, work: F) -> F::Output {
    let links = if EXPORTED.get().is_some() {
        links(&callers)
    } else {
        Vec::new()
    };
    let first = callers.into_iter().next().unwrap_or_default();
    let work = spanned(SpanKind::Internal, name, &[], links, work);
    within(first, work).await
}

/// Returns a link to each call but the first. A call that has several items in the batch is linked once, since a span
/// keeps 128 links.
fn links(callers: &[Context]) -> Vec<Link> {
    let mut seen = HashSet::new();
    let calls = callers
        .iter()
        .map(|caller| caller.span().span_context().clone())
        .enumerate()
        .filter(|(_, call)| call.is_valid() && seen.insert(call.span_id()));
    let others = calls.filter(|(place, _)| *place > 0);
    others.map(|(_, call)| Link::with_context(call)).collect()
}

async fn spanned<F: Future>(
    kind: SpanKind,
    name: &'static str,
    attributes: &[(&'static str, &'static str)],
    links: Vec<Link>,
    work: F,
) -> F::Output {
    let Some((_, tracer)) = EXPORTED.get() else {
        return work.await;
    };
    let attributes = attributes
        .iter()
        .map(|(name, value)| KeyValue::new(*name, *value));
    let builder = tracer.span_builder(name).with_kind(kind);
    let span = builder
        .with_attributes(attributes)
        .with_links(links)
        .start(tracer);
    let context = Context::current_with_span(span);
    let output = within(context.clone(), work).await;
    // Tasks that outlive the work hold its context.
    context.span().end();
    output
}

/// Adds an attribute to the current span.
pub fn set(name: &'static str, value: &'static str) {
    if EXPORTED.get().is_some() {
        let attribute = KeyValue::new(name, value);
        Context::map_current(|context| context.span().set_attribute(attribute));
    }
}

/// Marks the current span as failed, with the kind of the error.
pub fn failed(error_type: &'static str) {
    if EXPORTED.get().is_some() {
        set("error.type", error_type);
        Context::map_current(|context| context.span().set_status(Status::error("")));
    }
}

struct Headers<'call>(&'call HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // `tracestate` is text of the caller's own, of any kind and up to 16 KB long.
        if key != "traceparent" {
            return None;
        }
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

struct Metadata<'call>(&'call mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        let key = AsciiMetadataKey::from_bytes(key.as_bytes());
        // A trace without a state needs no empty one.
        if let (Ok(key), false, Ok(value)) = (key, value.is_empty(), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use opentelemetry::trace::SpanId;

    use super::*;
    use crate::tasks::Writes;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    fn call(parent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_str(parent).unwrap());
        headers.insert("tracestate", HeaderValue::from_static("vendor=text"));
        headers
    }

    /// Returns what a call within the context names as its parent.
    async fn passed_on(context: Context) -> Option<String> {
        let mut metadata = MetadataMap::new();
        within(context, async { inject(&mut metadata) }).await;
        assert!(metadata.get("tracestate").is_none());
        let parent = metadata.get("traceparent")?;
        Some(parent.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_well_formed_parent_is_passed_on_and_no_other() {
        let good = format!("00-{ID}-b7ad6b7169203331-01");
        assert_eq!(passed_on(named_by(&call(&good))).await, Some(good.clone()));
        let wrong = [
            String::new(),
            "00-short-b7ad6b7169203331-01".to_owned(),
            format!("{good}-more"),
            format!("ff{}", &good[2..]),
            good.to_uppercase(),
        ];
        for text in wrong {
            assert_eq!(passed_on(named_by(&call(&text))).await, None, "{text}");
        }
    }

    #[test]
    fn a_batch_is_linked_once_to_each_call_but_its_parent() {
        let call = |span: &str| named_by(&call(&format!("00-{ID}-{span}-01")));
        let (first, second) = ("b7ad6b7169203331", "b7ad6b7169203332");
        let callers = [first, first, second, second].map(call);
        let linked = links(&[&callers[..], &[Context::new()]].concat());
        let linked: Vec<_> = linked
            .iter()
            .map(|link| link.span_context.span_id())
            .collect();
        assert_eq!(linked, [SpanId::from_hex(second).unwrap()]);
    }

    #[tokio::test]
    async fn a_write_that_outlives_its_caller_stays_part_of_the_trace() {
        let parent = named_by(&call(&format!("00-{ID}-b7ad6b7169203331-01")));
        let writes = Writes::new();
        let (sender, told) = tokio::sync::oneshot::channel();
        let ran = within(parent, async {
            writes.spawn(async { sender.send(id()).unwrap() });
            writes.run(async { id() }).await
        });
        let expected = TraceId::from_hex(ID).ok();
        assert_eq!(ran.await, expected);
        assert_eq!(told.await.unwrap(), expected);
        assert_eq!(id(), None);
    }
}
