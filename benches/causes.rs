//! What it costs that whatever happens knows its request: at the edge alone, and on the way of an ask
//! through the actors into the store and back; where no traces are made, and where they are.
//!
//! ```text
//! cargo bench --bench causes
//! ```

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use matchmaker::observability::{Cause, RequestId, Traces};
use matchmaker::settings::{Settings, Sources};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// Takes whatever it is told and answers at once.
#[derive(Debug)]
struct Collector;

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, _: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        Ok(Response::new(Bytes::new()))
    }
}

/// A request that the edge answers by itself.
fn answered_at_once() {
    let id = RequestId::fresh();
    let cause = Cause::of_request(id.clone(), None, None);
    let mut step = cause.serve(|_| "GET /sessions/active".into());
    let served = step.cause().clone().within(async { black_box(1) });
    black_box(served.now_or_never());
    let _entered = step.enter();
    step.tell("http.response.status_code", 200);
    black_box(&id);
}

/// An ask that is stored and paired: what each of those does who have a part in it.
fn asked() {
    let id = RequestId::fresh();
    let cause = Cause::of_request(id.clone(), None, None);
    let mut edge = cause.serve(|_| "POST /request".into());
    // The edge is run when the body has come, and when the answer has.
    let command = edge.cause().clone().within(async { Cause::current() });
    let command = command.now_or_never().unwrap_or_default();
    let roster = command.step("roster ask");
    drop((roster.enter(), roster));
    let matchmaker = command.step("matchmaker ask");
    let ticket = write(&matchmaker.enter(), "store ticket");
    drop(matchmaker);
    // The ticket is stored: the matchmaker pairs, and tells the roster.
    let fact = told(&ticket);
    told(&fact);
    let pair = fact.step("matchmaker pair");
    let stored = write(&pair.enter(), "store match");
    drop(pair);
    // The match is stored: the matchmaker tells the roster.
    told(&told(&stored));
    let answered = edge.cause().clone().within(async { black_box(1) });
    black_box(answered.now_or_never());
    let _entered = edge.enter();
    edge.tell("http.response.status_code", 200);
    black_box(&id);
}

/// Hands something to the store; gives what its outcome is reported for.
fn write<T>(_entered: &T, name: &'static str) -> Cause {
    let cause = Cause::current();
    let mut step = cause.call(name);
    step.tell("db.system.name", "postgresql");
    step.tell("db.operation.batch.size", 1);
    step.tell("outcome", "stored");
    let _entered = cause.enter();
    Cause::current()
}

/// Takes a fact in, and reports another one.
fn told(fact: &Cause) -> Cause {
    let _entered = fact.enter();
    Cause::current()
}

fn causes(criterion: &mut Criterion) {
    criterion.bench_function("an id alone", |bench| bench.iter(RequestId::fresh));
    criterion.bench_function("no traces/answered at once", |bench| {
        bench.iter(answered_at_once);
    });
    criterion.bench_function("no traces/asked and paired", |bench| bench.iter(asked));
    let sources = Sources::in_folder(Path::new("/nowhere"));
    let sources = sources.with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let settings = Settings::load(&sources).ok();
    let settings = settings.and_then(|settings| settings.traces);
    let started = settings.and_then(|settings| Traces::start(&settings, Collector).ok());
    assert!(started.is_some(), "traces are made from here on");
    criterion.bench_function("traces/answered at once", |bench| {
        bench.iter(answered_at_once);
    });
    criterion.bench_function("traces/asked and paired", |bench| bench.iter(asked));
}

criterion_group!(benches, causes);
criterion_main!(benches);
