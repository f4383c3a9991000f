//! A collector that is away, slow or not configured.

use std::fs;
use std::time::{Duration, Instant};

use super::{Collector, Conduct};
use crate::harness::*;

/// More spans than may wait.
const TOO_MANY: usize = 12_000;

/// The names of the server's threads that have to do with traces.
fn threads(server: &Server) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).expect("it runs");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("OpenTelemetry") || name == "http-calls")
        .collect()
}

async fn lost(server: &Server) -> f64 {
    server.metric("matchmaker_spans_lost_total").await
}

#[actix_rt::test]
async fn without_a_collector_nothing_is_started() {
    let collector = Collector::start(Conduct::Take);
    let variable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let embedded = Options::on(Backends::Embedded);

    let with = embedded
        .clone()
        .with(variable, collector.url())
        .start()
        .await;
    let without = embedded.with(variable, "").start().await;

    assert_eq!(threads(&with).len(), 2);
    assert_eq!(threads(&without), [""; 0]);
}

#[actix_rt::test]
async fn a_collector_that_is_away_is_said_once_counted_and_holds_up_nobody() {
    let collector = Collector::start(Conduct::Refuse(503));
    let server = Server::with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .start()
        .await;

    scenes::pair(&server, "ada", "bob", "Array").await;
    let counted = async || (lost(&server).await > 0.0 && collector.calls() > 2).then_some(());
    eventually("spans are lost again and again", counted).await;
    collector.now(Conduct::Take);
    // All that was done before may be lost by now.
    let reached = async || {
        server.user("ada").active_session().await;
        (!collector.spans().is_empty()).then_some(())
    };
    eventually("spans come", reached).await;
    let said = async || {
        server
            .output()
            .contains("traces are sent again")
            .then_some(())
    };
    eventually("it says so", said).await;
    server.terminate().await;

    let output = server.output();
    assert_eq!(output.matches("traces are lost").count(), 1, "{output}");
}

#[actix_rt::test]
async fn a_collector_that_hangs_costs_spans_beyond_a_bound_and_no_time() {
    let collector = Collector::start(Conduct::Hang);
    let server = Server::with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .start()
        .await;
    let ada = server.user("ada");

    let mut slowest = Duration::ZERO;
    for _ in 0..TOO_MANY / 100 {
        let begun = Instant::now();
        for reply in join_all((0..100).map(|_| ada.active_session())).await {
            reply.expect(404);
        }
        slowest = slowest.max(begun.elapsed());
    }
    let full = async || (lost(&server).await > 0.0).then_some(());
    eventually("what is too much is dropped and counted", full).await;
    let ticket = ada.open_ticket("Easy", "Array").await;
    assert_eq!(ada.state(&ticket).await, "pending");
    let begun = Instant::now();
    server.terminate().await;

    assert!(is_in_time(slowest, Duration::from_secs(1)), "{slowest:?}");
    let took = begun.elapsed();
    assert!(is_in_time(took, Duration::from_secs(4)), "{took:?}");
    let output = server.output();
    assert_eq!(output.matches("spans are dropped").count(), 1, "{output}");
}
