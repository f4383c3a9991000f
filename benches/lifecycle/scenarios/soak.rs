//! One rate for a long time: whether it ends as it began.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ledger::Violations;
use crate::meter::memory;
use crate::options::{People, Soak};
use crate::report::{Results, Table, megabytes, number};
use crate::steady::{Measured, Ratios, parts, slices};

use super::Bench;
use super::load::{TURN, timetable};
use super::point::Point;
use super::setting::Setting;
use super::stage::Stage;

/// A part of the load, and what this tool itself needed at its end.
struct Part {
    seconds: f64,
    point: Point,
    tool_rss_bytes: u64,
}

/// Memory of the server when nothing happens, in bytes.
struct AtRest {
    /// Just started, all sockets open.
    cold: Option<u64>,
    /// After the warm-up.
    before: Option<u64>,
    after: Option<u64>,
}

/// Drives one rate on a server of each kind.
pub async fn run(bench: &Bench, options: &Soak) -> anyhow::Result<Results> {
    let people = People {
        leave: true,
        ..options.traffic.people.clone()
    };
    let mut violations = Violations::default();
    let mut results = Vec::new();
    for kind in bench.kinds() {
        let setting = Setting::new(bench, kind, &people, options.traffic.bystanders).await?;
        results.push(one_soak(bench, &setting, options, &mut violations).await?);
    }
    let json = json!({"scenario": "soak", "points": results});
    Ok(Results { json, violations })
}

async fn one_soak(
    bench: &Bench,
    setting: &Setting<'_>,
    options: &Soak,
    violations: &mut Violations,
) -> anyhow::Result<Value> {
    let stage = Stage::set(bench, setting).await?;
    let settle = Duration::from_secs_f64(options.settle);
    sleep(settle).await;
    let cold = stage.memory()?;
    let planned = |seconds| timetable(options.traffic.arrivals, options.rate, seconds);
    if options.warm_up > 0.0 {
        stage.warm_up(planned(options.warm_up), TURN).await;
        sleep(settle).await;
    }
    let before = stage.memory()?;
    let mut measured = Vec::new();
    for seconds in parts(options.minutes * 60.0) {
        let timetables = slices(seconds).into_iter().map(planned);
        let part = Part {
            seconds,
            point: stage.go_on(options.rate, timetables, TURN).await?,
            tool_rss_bytes: memory(std::process::id())?.bytes,
        };
        // An hour is long: whoever waits sees how it goes.
        println!("  {}", progress(&part));
        measured.push(part);
    }
    let late = stage.finish().await;
    sleep(settle).await;
    let rest = AtRest {
        cold,
        before,
        after: stage.memory()?,
    };
    stage.close(violations).await?;
    let ratios = match &measured[..] {
        [first, .., last] => Ratios::of(
            figures(&first.point),
            figures(&last.point),
            [rest.before, rest.after],
        ),
        _ => anyhow::bail!("a soak has a first and a last part"),
    };
    print(&setting.label(bench), options, &measured, &rest, &ratios);
    let errors_afterwards = late.errors;
    let points = measured
        .iter()
        .map(in_json)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "backends": setting.label(bench),
        "rate": options.rate,
        "parts": points,
        "errors_afterwards": errors_afterwards,
        "rest_bytes": {"cold": rest.cold, "before": rest.before, "after": rest.after},
        "ratios": ratios,
    }))
}

fn figures(point: &Point) -> Measured {
    Measured {
        server_cpu: point.server_cpu_s_per_1000,
        all_cpu: point.all_cpu_s_per_1000,
        match_p99: point.match_ms.map(|it| it.p99),
    }
}

fn in_json(part: &Part) -> serde_json::Result<Value> {
    let mut json = serde_json::to_value(&part.point)?;
    json["seconds"] = json!(part.seconds);
    json["tool_rss_bytes"] = json!(part.tool_rss_bytes);
    Ok(json)
}

fn progress(part: &Part) -> String {
    let Part { seconds, point, .. } = part;
    format!(
        "{seconds:.0} s: {} done, cpu {} s/1000, match p99 {} ms, rss {} MB",
        point.done,
        number(point.server_cpu_s_per_1000, 3),
        number(point.match_ms.map(|it| it.p99), 2),
        megabytes(point.cost.rss_bytes)
    )
}

fn print(label: &str, options: &Soak, parts: &[Part], rest: &AtRest, ratios: &Ratios) {
    let mut table = Table::new(&[
        "from s",
        "for s",
        "done",
        "server cpu s/1000",
        "all",
        "match p50",
        "match p99",
        "confirm p99",
        "errors",
        "rss MB",
        "peak",
        "tool rss MB",
        "cores other",
    ]);
    let mut from = 0.0;
    for Part {
        seconds,
        point,
        tool_rss_bytes,
    } in parts
    {
        table.row(vec![
            number(Some(from), 0),
            number(Some(*seconds), 0),
            point.done.to_string(),
            number(point.server_cpu_s_per_1000, 3),
            number(point.all_cpu_s_per_1000, 3),
            number(point.match_ms.map(|it| it.p50), 2),
            number(point.match_ms.map(|it| it.p99), 2),
            number(point.confirm_ms.map(|it| it.p99), 2),
            point.errors_total.to_string(),
            megabytes(point.cost.rss_bytes),
            megabytes(point.cost.rss_peak_bytes),
            megabytes(Some(*tool_rss_bytes)),
            number(Some(point.cost.other_cores), 2),
        ]);
        from += seconds;
    }
    table.print(&format!(
        "soak: {} minutes at {}/s on {label}, {} buckets, {} users who leave, {} arrivals",
        options.minutes,
        options.rate,
        options.traffic.people.buckets,
        options.traffic.people.users,
        options.traffic.arrivals.name()
    ));
    let times = |ratio: Option<f64>| number(ratio, 2);
    println!(
        "  last part to first: server CPU {} ×, all CPU {} ×, match p99 {} ×",
        times(ratios.server_cpu),
        times(ratios.all_cpu),
        times(ratios.match_p99)
    );
    println!(
        "  memory at rest: {} MB before, {} MB after, {} ×; {} MB before the warm-up",
        megabytes(rest.before),
        megabytes(rest.after),
        times(ratios.memory),
        megabytes(rest.cold)
    );
}
