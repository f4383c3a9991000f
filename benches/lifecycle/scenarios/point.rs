//! One load point: a timetable driven to its end, and what it took.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::backends::Counts;
use crate::ledger::Figures;
use crate::meter::Cost;
use crate::stats::Summary;

use super::bare::OneRequest;

/// The figures of one load point.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// What the server keeps its state in, and who was there besides those who loaded it.
    pub backends: String,
    /// Lifecycles per second that were asked for.
    pub rate: f64,
    /// Lifecycles that came to their end.
    pub done: u64,
    /// The same per second, from the first ask to the last leave.
    pub done_per_s: f64,
    /// From the later ask's intended moment until both were told.
    pub match_ms: Option<Summary>,
    /// From the later confirmation's intended moment until both were told of the session.
    pub confirm_ms: Option<Summary>,
    /// From an ask's intended moment to its answer.
    pub ask_ms: Option<Summary>,
    /// How late this tool sent asks.
    pub late_ms: Option<Summary>,
    pub errors: BTreeMap<String, u64>,
    pub errors_total: u64,
    /// User and system time of the server for 1,000 lifecycles, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_s_per_1000: Option<f64>,
    /// The same with that of all backends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_cpu_s_per_1000: Option<f64>,
    /// That of each backend.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backends_cpu_s_per_1000: BTreeMap<&'static str, f64>,
    /// What the backends counted for 1,000 lifecycles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts_per_1000: Option<Counts>,
    /// How many times one request to the bare endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_bare: Option<TimesBare>,
    #[serde(flatten)]
    pub cost: Cost,
}

/// One lifecycle divided by one request to the bare endpoint, measured in the same run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TimesBare {
    pub server_cpu: Option<f64>,
    pub all_cpu: Option<f64>,
    pub match_p50: Option<f64>,
    pub match_p99: Option<f64>,
    pub confirm_p50: Option<f64>,
    pub confirm_p99: Option<f64>,
    /// Memory of the server.
    pub rss: Option<f64>,
}

impl Point {
    /// From what was seen, what it cost, and what the backends counted.
    pub fn new(
        backends: String,
        rate: f64,
        figures: Figures,
        cost: Cost,
        counts: Option<Counts>,
    ) -> Self {
        let done = figures.done;
        let took = figures.last_done.zip(figures.first_due);
        let took = took.map(|(last, first)| last.saturating_duration_since(first));
        let seconds = took.map_or(f64::INFINITY, |took| took.as_secs_f64());
        let per_1000 = |cpu: f64| cpu * 1_000.0 / done as f64;
        let of_backends = cost.backends_cpu_s.iter().filter(|_| done > 0);
        let of_backends = of_backends.map(|(name, cpu)| (*name, per_1000(*cpu)));
        let of_backends: BTreeMap<_, _> = of_backends.collect();
        let of_server = cost.server_cpu_s.filter(|_| done > 0).map(per_1000);
        Self {
            backends,
            rate,
            done,
            done_per_s: done as f64 / seconds,
            match_ms: figures.matched.summary(),
            confirm_ms: figures.confirmed.summary(),
            ask_ms: figures.asked.summary(),
            late_ms: figures.late.summary(),
            errors_total: figures.errors.values().sum(),
            errors: figures.errors,
            server_cpu_s_per_1000: of_server,
            all_cpu_s_per_1000: of_server.map(|cpu| cpu + of_backends.values().sum::<f64>()),
            backends_cpu_s_per_1000: of_backends,
            counts_per_1000: counts.filter(|_| done > 0).map(|it| it.per_1000(done)),
            x_bare: None,
            cost,
        }
    }

    /// Adds how many times a request to the bare endpoint it is.
    pub fn compare(&mut self, bare: &OneRequest) {
        let cpu_us = |cpu_s_per_1000: Option<f64>| cpu_s_per_1000.map(|cpu| cpu * 1e6 / 1_000.0);
        let cpu = |cpu_s_per_1000| times(cpu_us(cpu_s_per_1000), Some(bare.cpu_us));
        let of = |summary: Option<Summary>, figure: fn(&Summary) -> f64| {
            let [value, base] = [summary, bare.latency_ms].map(|it| it.as_ref().map(figure));
            times(value, base)
        };
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        self.x_bare = Some(TimesBare {
            server_cpu: cpu(self.server_cpu_s_per_1000),
            all_cpu: cpu(self.all_cpu_s_per_1000),
            match_p50: of(self.match_ms, |it| it.p50),
            match_p99: of(self.match_ms, |it| it.p99),
            confirm_p50: of(self.confirm_ms, |it| it.p50),
            confirm_p99: of(self.confirm_ms, |it| it.p99),
            rss: times(bytes(self.cost.rss_bytes), bytes(bare.rss_bytes)),
        });
    }
}

fn times(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    let base = base.filter(|base| *base > 0.0);
    value.zip(base).map(|(value, base)| value / base)
}
