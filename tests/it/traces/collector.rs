//! A collector of traces that does what a test tells it to.

use std::collections::BTreeMap;
use std::sync::Mutex;

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message;

/// What it does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Keeps it.
    Take,
    /// Answers this.
    Refuse(u16),
    /// Never answers.
    Hang,
}

/// Takes traces over HTTP and keeps them; ends with the test.
pub struct Collector {
    port: u16,
    kept: web::Data<Kept>,
}

struct Kept {
    conduct: Mutex<Conduct>,
    calls: Mutex<usize>,
    spans: Mutex<Vec<Span>>,
}

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// The service that it is of.
    pub service: String,
    /// Its trace, its own id and that of its parent, in hexadecimal digits.
    pub trace: String,
    pub id: String,
    pub parent: String,
    /// Server, client, or neither.
    pub kind: otlp::span::SpanKind,
    /// What is told of it.
    pub attributes: BTreeMap<String, String>,
    /// The traces that it is linked with.
    pub links: Vec<String>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// All of it as text.
    pub text: String,
}

impl Collector {
    /// Starts it.
    pub fn start(conduct: Conduct) -> Self {
        let kept = web::Data::new(Kept {
            conduct: Mutex::new(conduct),
            calls: Mutex::default(),
            spans: Mutex::default(),
        });
        let of_app = kept.clone();
        let app = move || {
            App::new()
                .app_data(of_app.clone())
                .app_data(web::PayloadConfig::new(16 * 1024 * 1024))
                .route("/v1/traces", web::post().to(take))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a port is free");
        let port = server.addrs()[0].port();
        actix_rt::spawn(server.run());
        Self { port, kept }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it does this.
    pub fn now(&self, conduct: Conduct) {
        *self.kept.conduct.lock().expect("not poisoned") = conduct;
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        *self.kept.calls.lock().expect("not poisoned")
    }

    /// All spans that it has got.
    pub fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().expect("not poisoned").clone()
    }

    /// The spans of one trace.
    pub fn trace(&self, trace: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans
    }
}

async fn take(kept: web::Data<Kept>, body: web::Bytes) -> HttpResponse {
    *kept.calls.lock().expect("not poisoned") += 1;
    let conduct = *kept.conduct.lock().expect("not poisoned");
    match conduct {
        Conduct::Take => {}
        Conduct::Refuse(status) => {
            let status = status.try_into().expect("a status code");
            return HttpResponse::build(status).finish();
        }
        Conduct::Hang => std::future::pending().await,
    }
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let mut spans = kept.spans.lock().expect("not poisoned");
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.expect("spans are of a service");
        let service = texts(&resource.attributes)["service.name"].clone();
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.expect("spans have a scope");
            assert_eq!(scope.name, "matchmaker");
            let of_scope = of_scope.spans.into_iter();
            spans.extend(of_scope.map(|span| Span::new(&service, span)));
        }
    }
    HttpResponse::Ok().finish()
}

impl Span {
    fn new(service: &str, span: otlp::Span) -> Self {
        Self {
            text: format!("{span:?}"),
            name: span.name.clone(),
            service: service.to_owned(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            kind: span.kind(),
            attributes: texts(&span.attributes),
            links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
            failed: span
                .status
                .is_some_and(|status| status.code() == otlp::status::StatusCode::Error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: &KeyValue| {
        let value = pair.value.as_ref().and_then(|it| it.value.as_ref());
        (pair.key.clone(), value.map(text).unwrap_or_default())
    };
    attributes.iter().map(pair).collect()
}
