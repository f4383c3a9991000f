//! The highest rate at which everything stays quick and nothing is refused or lost.

use serde_json::{Value, json};

use crate::ledger::{NOBODY_FREE, Violations};
use crate::options::Peak;
use crate::report::{Results, Table, UNKNOWN, number};
use crate::search::Search;
use crate::stats::medians;

use super::Bench;
use super::load::{TURN, timetable};
use super::point::Point;
use super::setting::Setting;
use super::stage::Stage;

/// Least part of what was asked for that must be done.
const DONE_LEAST: f64 = 0.98;

/// Probes rates on one server of each kind.
pub async fn run(bench: &Bench, options: &Peak) -> anyhow::Result<Results> {
    let mut violations = Violations::default();
    let mut table = Table::new(&[
        "backends",
        "rate/s",
        "done/s",
        "match p99",
        "confirm p99",
        "errors",
        "cpu s/1000",
        "tool late p99",
        "cores tool",
        "other",
        "held",
    ]);
    let mut results = Vec::new();
    for kind in bench.kinds() {
        let setting = Setting::new(
            bench,
            kind,
            &options.traffic.people,
            options.traffic.bystanders,
        )
        .await?;
        let mut found = Vec::new();
        for _ in 0..options.runs {
            found.push(one_search(bench, &setting, options, &mut table, &mut violations).await?);
        }
        let median = &medians(&found)["peak"];
        results.push(json!({"backends": setting.label(bench), "peak": median, "runs": found}));
    }
    table.print(&format!(
        "peak: {} s per probe, {} buckets, {} users, {} arrivals; match and confirm p99 up to {} ms",
        options.seconds,
        options.traffic.people.buckets,
        options.traffic.people.users,
        options.traffic.arrivals.name(),
        options.bound_ms
    ));
    results.iter().for_each(print_peak);
    let json = json!({"scenario": "peak", "bound_ms": options.bound_ms, "points": results});
    Ok(Results { json, violations })
}

/// Probes rates on one new server, a row each; answers with the highest that was held.
async fn one_search(
    bench: &Bench,
    setting: &Setting<'_>,
    options: &Peak,
    table: &mut Table,
    violations: &mut Violations,
) -> anyhow::Result<Value> {
    let stage = Stage::set(bench, setting).await?;
    let mut search = Search::from(options.from);
    let mut probes = Vec::new();
    while let Some(rate) = search.next() {
        let timetable = timetable(options.traffic.arrivals, rate, options.seconds);
        let point = stage.probe(rate, timetable, TURN).await?;
        let why_not = why_not(&point, options.bound_ms);
        search.tried(rate, why_not.is_none());
        table.row(cells(&point, why_not.as_deref()));
        let mut probe = serde_json::to_value(&point)?;
        probe["why_not"] = json!(why_not);
        probes.push(probe);
    }
    stage.close(violations).await?;
    Ok(json!({"peak": search.found(), "probes": probes}))
}

fn print_peak(result: &Value) {
    let backends = result["backends"].as_str().unwrap_or(UNKNOWN);
    let peak = |of: &Value| number(of["peak"].as_f64(), 0);
    let runs = result["runs"].as_array().into_iter().flatten();
    println!(
        "  highest rate within the bound on {backends}: {} lifecycles/s (of these: {})",
        peak(result),
        runs.map(peak).collect::<Vec<_>>().join(" ")
    );
}

/// What went wrong at this rate; nothing where it was held.
fn why_not(point: &Point, bound_ms: f64) -> Option<String> {
    // That people were few is already in the latencies.
    let errors = point.errors.iter().filter(|(what, _)| *what != NOBODY_FREE);
    if let Some((what, count)) = errors.max_by_key(|(_, count)| **count) {
        return Some(format!("{count} × {what}"));
    }
    for (what, summary) in [("match", &point.match_ms), ("confirm", &point.confirm_ms)] {
        match summary {
            Some(summary) if summary.p99 <= bound_ms => {}
            Some(_) => return Some(format!("{what} p99")),
            None => return Some(format!("no {what}")),
        }
    }
    (point.done_per_s < point.rate * DONE_LEAST).then(|| "too little done".to_owned())
}

fn cells(point: &Point, why_not: Option<&str>) -> Vec<String> {
    let p99 = |it: &Option<crate::stats::Summary>| number(it.map(|it| it.p99), 2);
    vec![
        point.backends.clone(),
        number(Some(point.rate), 0),
        number(Some(point.done_per_s), 1),
        p99(&point.match_ms),
        p99(&point.confirm_ms),
        point.errors_total.to_string(),
        number(point.server_cpu_s_per_1000, 3),
        p99(&point.late_ms),
        number(Some(point.cost.tool_cores), 2),
        number(Some(point.cost.other_cores), 2),
        why_not.map_or_else(|| "yes".to_owned(), |why| format!("no: {why}")),
    ]
}
