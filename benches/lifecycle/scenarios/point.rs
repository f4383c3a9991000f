//! One load point: a timetable driven to its end, and what it took.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::crowd::Crowd;
use crate::ledger::{Figures, Violations};
use crate::meter::{Cost, Meter};
use crate::report::{Table, UNKNOWN, megabytes, number};
use crate::stats::{Summary, medians};
use crate::timetable::Timetable;

/// The figures of one load point.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
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
    /// User and system time of the server for 1,000 lifecycles, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_s_per_1000: Option<f64>,
    #[serde(flatten)]
    pub cost: Cost,
}

impl Point {
    /// Drives `timetable`, which asks for `rate` lifecycles per second.
    pub async fn measure(
        crowd: &Crowd,
        server: Option<u32>,
        rate: f64,
        timetable: Timetable,
        turn: usize,
        drain: u64,
    ) -> anyhow::Result<Self> {
        let meter = Meter::start(server)?;
        let figures = crowd
            .drive(timetable, turn, Duration::from_secs(drain))
            .await;
        let cost = meter
            .read()
            .context("the server ended while it was loaded")?;
        Ok(Self::new(rate, figures, cost))
    }

    fn new(rate: f64, figures: Figures, cost: Cost) -> Self {
        let took = figures.last_done.zip(figures.first_due);
        let took = took.map(|(last, first)| last.saturating_duration_since(first));
        let seconds = took.map_or(f64::INFINITY, |took| took.as_secs_f64());
        let thousands = figures.done as f64 / 1_000.0;
        let cpu = cost.server_cpu_s.filter(|_| figures.done > 0);
        Self {
            rate,
            done: figures.done,
            done_per_s: figures.done as f64 / seconds,
            match_ms: figures.matched.summary(),
            confirm_ms: figures.confirmed.summary(),
            ask_ms: figures.asked.summary(),
            late_ms: figures.late.summary(),
            errors: figures.errors,
            server_cpu_s_per_1000: cpu.map(|cpu| cpu / thousands),
            cost,
        }
    }
}

/// Prints the points of several runs and their medians; answers with all of it as JSON. Each run has
/// the same rates in the same order.
pub fn show(title: &str, scenario: &str, runs: &[Vec<Point>]) -> anyhow::Result<Value> {
    let mut table = Table::new(&[
        "rate/s",
        "run",
        "done/s",
        "match p50",
        "p90",
        "p99",
        "p99.9",
        "confirm p50",
        "p90",
        "p99",
        "p99.9",
        "errors",
        "cpu s/1000",
        "rss MB",
        "peak",
        "tool late p99",
        "cores tool",
        "other",
        "stolen",
    ]);
    let mut points = Vec::new();
    let rates = runs.first().map_or(0, Vec::len);
    for index in 0..rates {
        let of_rate: Vec<_> = runs.iter().filter_map(|run| run.get(index)).collect();
        for (point, number) in of_rate.iter().zip(1..) {
            table.row(cells(point, &format!("{number}")));
        }
        let values = of_rate.iter().map(serde_json::to_value);
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let median = medians(&values);
        if of_rate.len() > 1 {
            table.row(cells(&serde_json::from_value(median.clone())?, "median"));
        }
        points.push(json!({"median": median, "runs": values}));
    }
    table.print(title);
    print_errors(runs);
    Ok(json!({"scenario": scenario, "title": title, "points": points}))
}

fn cells(point: &Point, run: &str) -> Vec<String> {
    let of = |summary: &Option<Summary>| match summary {
        Some(it) => [it.p50, it.p90, it.p99, it.p99_9].map(|ms| format!("{ms:.2}")),
        None => [UNKNOWN; 4].map(str::to_owned),
    };
    let cost = &point.cost;
    let mut cells = vec![
        format!("{}", point.rate),
        run.to_owned(),
        number(Some(point.done_per_s), 1),
    ];
    cells.extend(of(&point.match_ms));
    cells.extend(of(&point.confirm_ms));
    cells.extend([
        point.errors.values().sum::<u64>().to_string(),
        number(point.server_cpu_s_per_1000, 3),
        megabytes(cost.rss_bytes),
        megabytes(cost.rss_peak_bytes),
        number(point.late_ms.map(|late| late.p99), 2),
        number(Some(cost.tool_cores), 2),
        number(Some(cost.other_cores), 2),
        number(Some(cost.stolen_cores), 2),
    ]);
    cells
}

fn print_errors(runs: &[Vec<Point>]) {
    for (run, number) in runs.iter().zip(1..) {
        for point in run.iter().filter(|point| !point.errors.is_empty()) {
            let errors = point.errors.iter();
            let errors: Vec<_> = errors
                .map(|(what, count)| format!("{count} × {what}"))
                .collect();
            println!(
                "  errors at {}/s in run {number}: {}",
                point.rate,
                errors.join(", ")
            );
        }
    }
}

/// Adds the violations of a crowd and of its server to all others.
pub async fn gather_faults(
    all: &mut Violations,
    crowd: &Crowd,
    server: &mut crate::server::Server,
) -> anyhow::Result<()> {
    all.add(crowd.take_violations());
    all.add(server.faults().await?);
    Ok(())
}
