//! Traces: what a collector gets to see of a request, and what it costs when it is away.

pub mod collector;
mod outage;
mod told_on;

use collector::{Collector, Conduct, Span};

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::harness::*;

/// Traces of callers, and the steps of theirs that call the server.
const ADA_ASKS: [&str; 2] = ["a1000000000000000000000000000001", "a100000000000001"];
const BOB_ASKS: [&str; 2] = ["b1000000000000000000000000000001", "b100000000000001"];
const ADA_CONFIRMS: [&str; 2] = ["a2000000000000000000000000000002", "a200000000000002"];
const BOB_CONFIRMS: [&str; 2] = ["b2000000000000000000000000000002", "b200000000000002"];
const BOB_LEAVES: [&str; 2] = ["b3000000000000000000000000000003", "b300000000000003"];

fn parent([trace, span]: [&str; 2]) -> String {
    format!("00-{trace}-{span}-01")
}

/// A request with its caller's trace and its caller's name for it.
fn named(request: Request, trace: [&str; 2], id: &str) -> Request {
    request
        .header("traceparent", parent(trace))
        .header("x-request-id", id)
}

/// The names of the spans below `root`, each after its parent, and the parent's name.
fn tree(spans: &[Span], root: &str) -> BTreeSet<String> {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let name_of = |id: &str| {
        let parent = spans.iter().find(|span| span.id == id);
        parent.map_or("the caller", |span| &span.name).to_owned()
    };
    spans
        .iter()
        .map(|span| {
            let is_known = span.parent == root || ids.contains(span.parent.as_str());
            assert!(is_known, "{} hangs in the air", span.name);
            format!("{} > {}", name_of(&span.parent), span.name)
        })
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[actix_rt::test]
async fn a_trace_goes_from_the_edge_through_the_actors_to_the_store() {
    let collector = Collector::start(Conduct::Take);
    let server = Server::with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .with("OTEL_SERVICE_NAME", "matching")
        .start()
        .await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));

    let asked = named(ada.asking("Easy", "Array"), ADA_ASKS, "ada-asks");
    asked.send().await.expect(200);
    let asked = named(bob.asking("Easy", "Array"), BOB_ASKS, "bob-asks");
    let ticket = asked.send().await;
    let match_id = bob.matched(text(ticket.expect(200), "id")).await;
    let confirmed = named(ada.answering(&match_id, true), ADA_CONFIRMS, "ada-confirms");
    confirmed.send().await.expect(200);
    let confirmed = named(bob.answering(&match_id, true), BOB_CONFIRMS, "bob-confirms");
    let session = confirmed.send().await;
    let session = text(session.expect(200), "session_id").to_owned();
    let left = named(bob.leaving(&session), BOB_LEAVES, "bob-leaves");
    left.send().await.expect(200);
    let screen = bob.connect().await;
    server.terminate().await;
    drop(screen);

    let ask = "POST /api/v1/matching/request";
    let alone = collector.trace(ADA_ASKS[0]);
    let expected = [
        &format!("the caller > {ask}"),
        &format!("{ask} > roster ask"),
        &format!("{ask} > matchmaker ask"),
        "matchmaker ask > store ticket",
    ];
    assert_eq!(tree(&alone, ADA_ASKS[1]), names(&expected));
    let pairing = collector.trace(BOB_ASKS[0]);
    let paired = [
        "matchmaker ask > matchmaker pair",
        "matchmaker pair > store match",
    ];
    let expected = [&expected[..], &paired].concat();
    assert_eq!(tree(&pairing, BOB_ASKS[1]), names(&expected));
    let pair = pairing.iter().find(|span| span.name == "matchmaker pair");
    assert_eq!(
        pair.map(|pair| &pair.links[..]),
        Some(&[ADA_ASKS[0].to_owned()][..])
    );

    let confirm = "POST /api/v1/matching/confirm";
    let half = collector.trace(ADA_CONFIRMS[0]);
    let expected = [
        &format!("the caller > {confirm}"),
        &format!("{confirm} > roster answer"),
        &format!("{confirm} > session answer"),
        "session answer > store confirmation",
    ];
    assert_eq!(tree(&half, ADA_CONFIRMS[1]), names(&expected));
    let opening = collector.trace(BOB_CONFIRMS[0]);
    let opened = [
        "session answer > find question",
        "session answer > share session",
        "session answer > store session",
    ];
    // The confirmation is stored with the session.
    let expected = [&expected[..3], &opened].concat();
    assert_eq!(tree(&opening, BOB_CONFIRMS[1]), names(&expected));

    let leave = "POST /api/v1/matching/sessions/leave";
    let leaving = collector.trace(BOB_LEAVES[0]);
    let expected = [
        &format!("the caller > {leave}"),
        &format!("{leave} > roster leave"),
        &format!("{leave} > session leave"),
        "session leave > store leave",
        "session leave > share leave",
    ];
    assert_eq!(tree(&leaving, BOB_LEAVES[1]), names(&expected));
    told_of_each(&[
        ("ada-asks", alone),
        ("bob-asks", pairing),
        ("ada-confirms", half),
        ("bob-confirms", opening),
        ("bob-leaves", leaving),
    ]);
    nothing_secret(&collector, &server);
}

/// Every span names its request and its service; those of the edge and of the store tell more.
fn told_of_each(traces: &[(&str, Vec<Span>)]) {
    let system = match Backends::under_test() {
        Backends::Embedded => "sqlite",
        Backends::Real(_) => "postgresql",
    };
    for (request, span) in traces
        .iter()
        .flat_map(|(id, spans)| spans.iter().map(move |it| (id, it)))
    {
        assert_eq!(span.attributes["request_id"], **request, "{span:?}");
        assert_eq!(span.service, "matching");
        assert!(!span.failed, "{span:?}");
        let told = |name: &str| span.attributes.get(name).map(String::as_str);
        if span.kind == SpanKind::Server {
            assert_eq!(told("http.request.method"), Some("POST"));
            assert_eq!(told("http.response.status_code"), Some("200"));
            let route = told("http.route").expect("a route");
            assert_eq!(span.name, format!("POST {route}"));
        }
        if span.name.starts_with("store ") {
            assert_eq!(span.kind, SpanKind::Client);
            assert_eq!(told("db.system.name"), Some(system));
            assert_eq!(told("db.operation.batch.size"), Some("1"));
            assert_eq!(told("outcome"), Some("stored"));
        }
    }
}

/// No span has a query, a token or a topic in it.
fn nothing_secret(collector: &Collector, server: &Server) {
    let spans = collector.spans();
    let route = |span: &Span| span.attributes.get("http.route").cloned();
    let routes: BTreeSet<String> = spans.iter().filter_map(route).collect();
    assert!(routes.contains("/ws"), "{routes:?}");
    let templates = "/api/v1/matching/requests/{request_id}/status";
    assert!(routes.contains(templates), "{routes:?}");
    for span in spans {
        for secret in server.api().secrets() {
            assert!(!span.text.contains(&secret), "{span:?}");
        }
        for other in ["token", "?", "eyJ", "Array"] {
            assert!(!span.text.contains(other), "{span:?}");
        }
    }
}

#[actix_rt::test]
async fn whoever_says_nothing_of_a_trace_gets_one_and_a_malformed_one_is_as_good_as_none() {
    let collector = Collector::start(Conduct::Take);
    let server = Server::with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .start()
        .await;

    let malformed = "00-a1000000000000000000000000000001-a1-01";
    let request = server.request(Method::GET, "/health");
    let request = request.header("traceparent", malformed);
    let reply = request.header("x-request-id", "not harmless").send().await;
    reply.expect(200);
    server.get("/nowhere").await.expect(404);
    let other = server.request("STEAL".parse().expect("a method"), "/health");
    other.send().await.expect(405);
    server.terminate().await;

    let id = reply.header("x-request-id").expect("an id");
    assert!(uuid::Uuid::try_parse(id).is_ok(), "{id}");
    let spans = collector.spans();
    let of_request = |span: &&Span| span.attributes["request_id"] == id;
    let health = spans.iter().find(of_request).expect("it is traced");
    assert_eq!((&*health.name, &*health.parent), ("GET /health", ""));
    let called = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!(
        called("GET"),
        1,
        "a path that is none has no name: {spans:?}"
    );
    assert_eq!(called("_OTHER /health"), 1, "nor has a method");
    let (roots, _): (Vec<Span>, Vec<Span>) = spans
        .into_iter()
        .partition(|span| span.kind == SpanKind::Server);
    let traces: BTreeSet<&String> = roots.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), roots.len(), "each is a trace of its own");
    assert_eq!(roots[0].service, "peerprep-matching-service");
}

#[actix_rt::test]
async fn a_caller_who_is_not_sampled_and_the_sampler_decide_what_is_sent() {
    let collector = Collector::start(Conduct::Take);
    let with = |sampler: &str| {
        Server::with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .with("OTEL_TRACES_SAMPLER", sampler)
            .with("OTEL_TRACES_SAMPLER_ARG", "0")
    };
    let unsampled = parent(ADA_ASKS).replace("-01", "-00");

    let server = with("parentbased_traceidratio").start().await;
    server.get("/health").await.expect(200);
    let not_sampled = server.request(Method::GET, "/health");
    let not_sampled = not_sampled.header("traceparent", unsampled.clone());
    not_sampled.send().await.expect(200);
    let sampled = server.user("bob").asking("Easy", "Array");
    let sampled = sampled.header("traceparent", parent(BOB_ASKS));
    sampled.send().await.expect(200);
    server.terminate().await;
    let traces: BTreeSet<String> = collector.spans().into_iter().map(|it| it.trace).collect();
    assert_eq!(traces, names(&[BOB_ASKS[0]]));

    let server = with("always_on").start().await;
    let not_sampled = server.request(Method::GET, "/health");
    let not_sampled = not_sampled.header("traceparent", unsampled);
    not_sampled.send().await.expect(200);
    server.terminate().await;
    assert_eq!(collector.trace(ADA_ASKS[0]).len(), 1);
}
