//! The points of all runs on all backends, side by side.

use serde_json::{Value, json};

use crate::report::{Table, UNKNOWN, number};
use crate::stats::{medians, ratios};

use super::point::Point;

/// A column: its name, where its figure is in a point, what that is divided by, and its decimals.
struct Column(&'static str, &'static str, f64, usize);

const TIMES: &[Column] = &[
    Column("done/s", "/done_per_s", 1.0, 1),
    Column("match p50", "/match_ms/p50", 1.0, 2),
    Column("p90", "/match_ms/p90", 1.0, 2),
    Column("p99", "/match_ms/p99", 1.0, 2),
    Column("p99.9", "/match_ms/p99_9", 1.0, 2),
    Column("confirm p50", "/confirm_ms/p50", 1.0, 2),
    Column("p90", "/confirm_ms/p90", 1.0, 2),
    Column("p99", "/confirm_ms/p99", 1.0, 2),
    Column("p99.9", "/confirm_ms/p99_9", 1.0, 2),
    Column("errors", "/errors_total", 1.0, 0),
    Column("cpu s/1000", "/server_cpu_s_per_1000", 1.0, 3),
    Column("× bare", "/x_bare/server_cpu", 1.0, 1),
    Column("rss MB", "/rss_bytes", 1e6, 1),
    Column("peak", "/rss_peak_bytes", 1e6, 1),
    Column("tool late p99", "/late_ms/p99", 1.0, 2),
    Column("cores tool", "/tool_cores", 1.0, 2),
    Column("other", "/other_cores", 1.0, 2),
    Column("stolen", "/stolen_cores", 1.0, 2),
];

const COSTS: &[Column] = &[
    Column("server cpu s", "/server_cpu_s_per_1000", 1.0, 3),
    Column("× bare", "/x_bare/server_cpu", 1.0, 1),
    Column("PostgreSQL", "/backends_cpu_s_per_1000/postgresql", 1.0, 3),
    Column("Redis", "/backends_cpu_s_per_1000/redis", 1.0, 3),
    Column("RabbitMQ", "/backends_cpu_s_per_1000/rabbitmq", 1.0, 3),
    Column("all", "/all_cpu_s_per_1000", 1.0, 3),
    Column("× bare", "/x_bare/all_cpu", 1.0, 1),
    Column("commits", "/counts_per_1000/commits", 1.0, 0),
    Column("WAL kB", "/counts_per_1000/wal_bytes", 1e3, 0),
    Column("WAL syncs", "/counts_per_1000/wal_syncs", 1.0, 0),
    Column("Redis commands", "/counts_per_1000/redis_commands", 1.0, 0),
    Column("events", "/counts_per_1000/events", 1.0, 0),
];

/// All runs on the same backends; each has the same rates in the same order.
pub type Runs = Vec<Vec<Point>>;

/// Prints the points and their medians, rate by rate, and how each of `group` compares to the first of
/// them; answers with all of it as JSON.
pub fn show(title: &str, scenario: &str, all: &[Runs], group: usize) -> anyhow::Result<Value> {
    let mut times = table(TIMES);
    let mut costs = table(COSTS);
    let mut points = Vec::new();
    let rates = all
        .first()
        .and_then(|runs| runs.first())
        .map_or(0, Vec::len);
    for index in 0..rates {
        let mut first = None;
        for (position, runs) in all.iter().enumerate() {
            if position % group == 0 {
                first = None;
            }
            let of_rate = runs.iter().filter_map(|run| run.get(index));
            let values = of_rate.map(serde_json::to_value);
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let median = medians(&values);
            let mut rows: Vec<_> = values
                .iter()
                .zip(1..)
                .map(|(it, n)| (it, n.to_string()))
                .collect();
            if values.len() > 1 {
                rows.push((&median, "median".to_owned()));
            }
            for (value, run) in rows {
                times.row(cells(TIMES, value, value, &run));
                costs.row(cells(COSTS, value, value, &run));
            }
            let base: &Value = first.get_or_insert_with(|| median.clone());
            let ratios = ratios(&median, base);
            if *base != median {
                times.row(ratio_cells(TIMES, &median, &ratios));
                costs.row(ratio_cells(COSTS, &median, &ratios));
            }
            points.push(json!({"median": median, "ratios": ratios, "runs": values}));
        }
    }
    times.print(title);
    if all
        .iter()
        .flatten()
        .flatten()
        .any(|point| point.counts_per_1000.is_some())
    {
        costs.print("for 1,000 lifecycles: CPU seconds, and what the backends counted");
    }
    print_errors(all);
    Ok(json!({"scenario": scenario, "title": title, "points": points}))
}

fn table(columns: &[Column]) -> Table {
    let names = columns.iter().map(|column| column.0);
    let names: Vec<_> = ["backends", "rate/s", "run"]
        .into_iter()
        .chain(names)
        .collect();
    Table::new(&names)
}

fn cells(columns: &[Column], point: &Value, value: &Value, run: &str) -> Vec<String> {
    let backends = point["backends"].as_str().unwrap_or(UNKNOWN);
    let mut cells = vec![
        backends.to_owned(),
        number(point["rate"].as_f64(), 0),
        run.to_owned(),
    ];
    cells.extend(columns.iter().map(|Column(_, place, unit, decimals)| {
        let figure = value.pointer(place).and_then(Value::as_f64);
        number(figure.map(|figure| figure / unit), *decimals)
    }));
    cells
}

fn ratio_cells(columns: &[Column], point: &Value, ratios: &Value) -> Vec<String> {
    let mut cells = cells(&[], point, ratios, "ratio");
    cells.extend(columns.iter().map(|Column(_, place, ..)| {
        let ratio = ratios.pointer(place).and_then(Value::as_f64);
        ratio.map_or_else(|| UNKNOWN.to_owned(), |ratio| format!("{ratio:.2} ×"))
    }));
    cells
}

fn print_errors(all: &[Runs]) {
    for (run, number) in all.iter().flat_map(|runs| runs.iter().zip(1..)) {
        for point in run.iter().filter(|point| !point.errors.is_empty()) {
            let errors = point.errors.iter();
            let errors: Vec<_> = errors
                .map(|(what, count)| format!("{count} × {what}"))
                .collect();
            println!(
                "  errors at {}/s on {} in run {number}: {}",
                point.rate,
                point.backends,
                errors.join(", ")
            );
        }
    }
}
