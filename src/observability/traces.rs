//! Spans: made where a collector is configured, and sent to it from threads of their own.
//!
//! Whoever makes one never waits: it is put into a queue with a bound, and dropped and counted where
//! there is no room, because the collector is away or slow.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::counter;
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
    SpanExporter as Export, SpanProcessor,
};
use tracing::{info, warn};

use super::{Cause, SPANS_LOST, SPANS_SENT};
use settings::{Sampling, Traces as Settings};

/// Where a collector takes traces.
const PATH: &str = "/v1/traces";
/// Spans that may wait to be sent; some 2 kB each.
const WAITING_MAX: usize = 8_192;
/// Spans that are sent together.
const BATCH_MAX: usize = 512;
/// Longest wait of a span for others to be sent with.
const SEND_EVERY: Duration = Duration::from_secs(2);

/// Makes the spans of this process.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The spans of this process on their way to the collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends spans from now on, through `client`. A second call in one process changes nothing for
    /// those who make them.
    ///
    /// # Errors
    ///
    /// [`ExporterBuildError`] where the address cannot be called.
    pub fn start(
        settings: &Settings,
        client: impl HttpClient + 'static,
    ) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(format!("{}{PATH}", settings.endpoint.expose()))
            .build()?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let sending = Sending {
            exporter,
            waiting: Arc::clone(&waiting),
            is_away: AtomicBool::new(false),
        };
        let config = BatchConfigBuilder::default()
            // Never full: the bound is kept before.
            .with_max_queue_size(WAITING_MAX + BATCH_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(SEND_EVERY)
            .build();
        let queue = Queue {
            batches: BatchSpanProcessor::builder(sending)
                .with_batch_config(config)
                .build(),
            waiting,
            was_full: AtomicBool::new(false),
        };
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(sampler(settings.sampling))
            .with_resource(resource)
            .build();
        let _ = TRACER.set(provider.tracer("matchmaker"));
        Ok(Self(provider))
    }

    /// Sends what waits, but not for longer than `within`. No spans are made after that.
    pub fn stop(&self, within: Duration) {
        if let Err(reason) = self.0.shutdown_with_timeout(within) {
            let reason = reason.to_string();
            warn!(reason, "the last traces were not sent: {reason}");
        }
    }
}

fn sampler(sampling: Sampling) -> Sampler {
    let own = Sampler::TraceIdRatioBased(sampling.share);
    match sampling.caller_decides {
        true => Sampler::ParentBased(Box::new(own)),
        false => own,
    }
}

/// Whether there is a collector.
pub(super) fn are_sent() -> bool {
    TRACER.get().is_some()
}

/// A span that has begun.
#[derive(Debug)]
pub(super) struct Span(opentelemetry_sdk::trace::Span);

/// Begins a span, if there is a collector.
pub(super) fn begin(
    cause: &Cause,
    kind: SpanKind,
    other: Option<&SpanContext>,
    name: &'static str,
) -> Option<Box<Span>> {
    let tracer = TRACER.get()?;
    let parent = match &cause.span {
        Some(span) => Context::new().with_remote_span_context(SpanContext::clone(span)),
        None => Context::new(),
    };
    let request = cause.request.as_ref();
    let request = request.map(|id| KeyValue::new("request_id", id.to_string()));
    let link = other.map(|other| Link::with_context(other.clone()));
    let builder = SpanBuilder {
        span_kind: Some(kind),
        name: name.into(),
        attributes: Some(request.into_iter().collect()),
        links: Some(link.into_iter().collect()),
        ..SpanBuilder::default()
    };
    Some(Box::new(Span(tracer.build_with_context(builder, &parent))))
}

impl Span {
    pub(super) fn context(&self) -> SpanContext {
        self.0.span_context().clone()
    }

    pub(super) fn tell(&mut self, key: &'static str, value: Value) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    pub(super) fn rename(&mut self, name: Cow<'static, str>) {
        self.0.update_name(name);
    }

    pub(super) fn fail(&mut self, reason: String) {
        self.0.set_status(Status::error(reason));
    }
}

/// Takes spans that have ended, up to a bound.
#[derive(Debug)]
struct Queue {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    was_full: AtomicBool,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return self.batches.on_end(span);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        counter!(SPANS_LOST).increment(1);
        // Said once: under load it would be said for every batch, and the counter says the rest.
        if !self.was_full.swap(true, Ordering::Relaxed) {
            warn!("spans are dropped, because {WAITING_MAX} wait for the collector");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends spans, counts them, and says once that they cannot be sent.
struct Sending<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    is_away: AtomicBool,
}

impl<E> fmt::Debug for Sending<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

impl<E: Export> Export for Sending<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let sent = self.exporter.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        match &sent {
            Ok(()) => {
                counter!(SPANS_SENT).increment(count as u64);
                if self.is_away.swap(false, Ordering::Relaxed) {
                    info!("traces are sent again");
                }
            }
            Err(reason) => {
                counter!(SPANS_LOST).increment(count as u64);
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    let reason = reason.to_string();
                    warn!(reason, "traces are lost: {reason}");
                }
            }
        }
        sent
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
