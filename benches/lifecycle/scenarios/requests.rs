//! CPU time of single requests, beside that of an endpoint that checks the token, and reads and answers
//! JSON.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::backends::Backends;
use crate::bare::PATH;
use crate::client::request;
use crate::crowd::{PREFIX, ask_body, headers, names, raise_open_file_limit, wish};
use crate::ledger::Violations;
use crate::meter::{Cost, Meter};
use crate::options::{Common, Kind, Requests};
use crate::report::{Results, Table, UNKNOWN, number};
use crate::rush::{Rush, rush};
use crate::server::Server;
use crate::stats::medians;
use crate::tokens::Signer;

use super::bare::{Bare, COUNTED_PER_WARM_UP};
use super::{Bench, variables};

/// How long a ticket waits, in seconds: longer than any run.
const WAIT_S: u64 = 3_600;

/// What an ask's answer has that is needed.
#[derive(Deserialize)]
struct Ticket {
    id: Uuid,
}

/// Everybody who asks.
struct People {
    tokens: Vec<String>,
    asks: Vec<String>,
}

/// Sends requests of each kind as fast as they are answered.
pub async fn run(bench: &Bench, options: &Requests) -> anyhow::Result<Results> {
    let common = &bench.common;
    anyhow::ensure!(common.url.is_none(), "a running server keeps its tickets");
    raise_open_file_limit(common, 0)?;
    let signer = Signer::new(common);
    let users = options.asks + options.asks.div_ceil(COUNTED_PER_WARM_UP);
    let tokens = names(users).into_iter().map(|id| signer.token(&id));
    let people = People {
        tokens: tokens.collect::<anyhow::Result<_>>()?,
        asks: (0..options.buckets)
            .map(wish)
            .map(|it| ask_body(&it))
            .collect(),
    };
    let mut violations = Violations::default();
    let kinds = bench.kinds();
    // For each run: the bare endpoint, then an ask and a poll of each kind.
    let mut runs = Vec::new();
    for _ in 0..options.runs {
        let mut rows = vec![measure_bare(common, options, &people).await?];
        for kind in &kinds {
            rows.extend(measure_server(bench, *kind, options, &people, &mut violations).await?);
        }
        let bare = rows[0]["server_us"].as_f64();
        rows.iter_mut().for_each(|row| add_ratio(row, bare));
        runs.push(rows);
    }
    let rows: Vec<Value> = (0..runs[0].len())
        .map(|index| {
            let of_row: Vec<Value> = runs.iter().map(|run| run[index].clone()).collect();
            json!({"median": medians(&of_row), "runs": of_row})
        })
        .collect();
    print(common, options, &rows);
    let json = json!({"scenario": "requests", "points": rows});
    Ok(Results { json, violations })
}

async fn measure_bare(
    common: &Common,
    options: &Requests,
    people: &People,
) -> anyhow::Result<Value> {
    let bare = Bare::start(common)?;
    let request = |number: usize| {
        let user = number % people.tokens.len();
        let headers = headers(&bare.target, &people.tokens[user]);
        request("POST", PATH, &headers, people.ask(number))
    };
    let (rush, cost) = bare
        .rush(common.connections, options.polls, &request)
        .await?;
    Ok(row(UNKNOWN, "bare", options.polls, rush, &cost))
}

async fn measure_server(
    bench: &Bench,
    kind: Kind,
    options: &Requests,
    people: &People,
    violations: &mut Violations,
) -> anyhow::Result<[Value; 2]> {
    let place = bench.place(kind);
    // One match at a time, whose members then have time to confirm: all others keep waiting.
    let variables = variables(
        place.as_deref(),
        &[
            ("MAX_CONCURRENT_MATCHES", "1".to_owned()),
            ("MATCHING_TIMEOUT_SECONDS", WAIT_S.to_string()),
            ("CONFIRM_MATCH_TIMEOUT_SECONDS", WAIT_S.to_string()),
        ],
    );
    let mut server = Server::of(&bench.common, &variables).await?;
    let (target, connections) = (server.target.clone(), bench.common.connections);
    let processes = bench.backends(kind).map(Backends::processes);
    let processes = processes.unwrap_or_default();
    let label = bench.label(kind);

    let mut tickets: Vec<(usize, Uuid)> = Vec::new();
    let mut take = |number: usize, body: &[u8]| {
        // Whoever has none is not polled.
        let ticket = serde_json::from_slice::<Ticket>(body);
        tickets.extend(ticket.map(|ticket| (number, ticket.id)));
    };
    let ask = |number: usize| {
        let headers = headers(&target, &people.tokens[number]);
        request(
            "POST",
            &format!("{PREFIX}/request"),
            &headers,
            people.ask(number),
        )
    };
    let warm_up = people.tokens.len() - options.asks;
    rush(&target, connections, 0..warm_up, &ask, &mut take).await?;
    let meter = Meter::start(server.pid, &processes)?;
    let asked = rush(
        &target,
        connections,
        warm_up..people.tokens.len(),
        &ask,
        &mut take,
    )
    .await?;
    let asked = row(label, "ask", options.asks, asked, &meter.read()?);

    anyhow::ensure!(!tickets.is_empty(), "no ask was accepted");
    let poll = |number: usize| {
        let (user, ticket) = tickets[number % tickets.len()];
        let headers = headers(&target, &people.tokens[user]);
        request(
            "GET",
            &format!("{PREFIX}/requests/{ticket}/status"),
            &headers,
            "",
        )
    };
    let warm_up = options.polls.div_ceil(COUNTED_PER_WARM_UP);
    rush(&target, connections, 0..warm_up, &poll, |_, _| {}).await?;
    let meter = Meter::start(server.pid, &processes)?;
    let polled = rush(&target, connections, 0..options.polls, &poll, |_, _| {}).await?;
    let polled = row(label, "poll", options.polls, polled, &meter.read()?);
    violations.add(server.faults().await?);
    server.kill();
    Ok([asked, polled])
}

fn row(backends: &str, what: &str, count: usize, rush: Rush, cost: &Cost) -> Value {
    let us = |cpu_s: f64| cpu_s * 1e6 / count as f64;
    let server_us = us(cost.server_cpu_s.unwrap_or_default());
    let of_backends = &cost.backends_cpu_s;
    let backends_us = (!of_backends.is_empty()).then(|| us(of_backends.values().sum()));
    json!({
        "backends": backends,
        "what": what,
        "requests": count,
        "errors": rush.errors,
        "per_s": count as f64 / rush.took.as_secs_f64(),
        "server_us": server_us,
        "backends_us": backends_us,
        "all_us": server_us + backends_us.unwrap_or_default(),
        "tool_cores": cost.tool_cores,
        "other_cores": cost.other_cores,
    })
}

/// How many times the bare endpoint of the same run.
fn add_ratio(row: &mut Value, bare: Option<f64>) {
    let Some(bare) = bare.filter(|bare| *bare > 0.0) else {
        return;
    };
    for (name, of) in [("server_x_bare", "server_us"), ("all_x_bare", "all_us")] {
        row[name] = row[of].as_f64().map(|us| us / bare).into();
    }
}

fn print(common: &Common, options: &Requests, rows: &[Value]) {
    let mut table = Table::new(&[
        "backends",
        "what",
        "requests",
        "per s",
        "server µs",
        "× bare",
        "of these",
        "backends µs",
        "all µs",
        "× bare",
        "errors",
        "cores tool",
        "other",
    ]);
    for Row { median, runs } in rows.iter().filter_map(|row| Row::deserialize(row).ok()) {
        let text = |name: &str| median[name].as_str().unwrap_or(UNKNOWN).to_owned();
        let figure = |name: &str, decimals| number(median[name].as_f64(), decimals);
        let each = runs
            .iter()
            .map(|run| number(run["server_x_bare"].as_f64(), 2));
        table.row(vec![
            text("backends"),
            text("what"),
            figure("requests", 0),
            figure("per_s", 0),
            figure("server_us", 1),
            figure("server_x_bare", 2),
            each.collect::<Vec<_>>().join(" "),
            figure("backends_us", 1),
            figure("all_us", 1),
            figure("all_x_bare", 2),
            figure("errors", 0),
            figure("tool_cores", 2),
            figure("other_cores", 2),
        ]);
    }
    table.print(&format!(
        "requests: CPU for each, over {} connections as fast as they are answered; medians of {}",
        common.connections, options.runs
    ));
}

#[derive(Deserialize)]
struct Row {
    median: Value,
    runs: Vec<Value>,
}

impl People {
    /// What is sent by whoever is next.
    fn ask(&self, number: usize) -> &str {
        &self.asks[number % self.asks.len()]
    }
}
