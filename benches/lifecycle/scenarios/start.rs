//! Time from the start of the process to ready.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::backends::Backends;
use crate::family::cpu;
use crate::ledger::Violations;
use crate::meter::{Meter, memory};
use crate::options::{Kind, Start};
use crate::report::{Results, Table, megabytes, number};
use crate::server::{Folder, Server};
use crate::stats::medians;

use super::prepared::{Prepared, WAIT_S};
use super::{Bench, variables};

/// Longest wait, after ready, until the server knows all tickets again.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks at how many it knows.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Starts servers on databases with waiting tickets.
pub async fn run(bench: &Bench, options: &Start) -> anyhow::Result<Results> {
    anyhow::ensure!(
        bench.common.url.is_none(),
        "a running server is not started again"
    );
    let mut violations = Violations::default();
    let mut table = Table::new(&[
        "backends",
        "tickets",
        "ready s",
        "of these",
        "all back s",
        "of these",
        "server cpu s",
        "backends cpu s",
        "rss MB",
    ]);
    let mut rows = Vec::new();
    for tickets in &options.tickets {
        for kind in bench.kinds() {
            let prepared = match *tickets {
                0 => None,
                tickets => {
                    let (variables, topics) = (waiting(tickets), options.topics);
                    Some(Prepared::new(bench, kind, &variables, tickets, topics).await?)
                }
            };
            let mut runs = Vec::new();
            for _ in 0..options.runs {
                runs.push(one_start(bench, kind, prepared.as_ref(), &mut violations).await?);
            }
            let median = medians(&runs);
            let label = bench.label(kind);
            table.row(cells(label, *tickets, &median, &runs));
            rows.push(json!({
                "backends": label, "tickets": tickets, "median": median, "runs": runs,
            }));
        }
    }
    table.print(&format!(
        "start: process start to GET /readyz = 200, tickets over {} topics; medians of {}",
        options.topics, options.runs
    ));
    let json = json!({"scenario": "start", "points": rows});
    Ok(Results { json, violations })
}

/// The variables with which restored tickets keep waiting: one match at a time, whose members then
/// have time to confirm.
fn waiting(tickets: usize) -> [(&'static str, String); 4] {
    [
        ("MAX_CONCURRENT_MATCHES", "1".to_owned()),
        ("MAX_TICKETS", (tickets + 1_000).to_string()),
        ("MATCHING_TIMEOUT_SECONDS", WAIT_S.to_string()),
        ("CONFIRM_MATCH_TIMEOUT_SECONDS", "3600".to_owned()),
    ]
}

/// Starts once; answers with the times from the start of the process, what it cost until all was
/// back, and the memory. Redis knows nothing of the tickets.
async fn one_start(
    bench: &Bench,
    kind: Kind,
    prepared: Option<&Prepared>,
    violations: &mut Violations,
) -> anyhow::Result<Value> {
    let folder = Folder::new(&bench.common)?;
    let tickets = prepared.map_or(0, Prepared::tickets);
    let place = match prepared {
        Some(prepared) => prepared.copy_to(&folder, bench.backends(kind)).await?,
        None => bench.place(kind),
    };
    let processes = bench.backends(kind).map(Backends::processes);
    let processes = processes.unwrap_or_default();
    let variables = variables(place.as_deref(), &waiting(tickets));
    let meter = Meter::start(None, &processes)?;
    let (mut server, ready_after) = Server::start(&bench.common, folder, &variables).await?;
    let ready_at = Instant::now();
    let mut back = live_tickets(&server).await?;
    while back != tickets as u64 && ready_at.elapsed() < BACK_WITHIN {
        sleep(LOOK_EVERY).await;
        back = live_tickets(&server).await?;
    }
    let back_after = ready_after + ready_at.elapsed();
    let of_backends = meter.read()?.backends_cpu_s;
    let backends_cpu_s = (!of_backends.is_empty()).then(|| of_backends.values().sum::<f64>());
    let pid = server.pid.context("it is our own server")?;
    let server_cpu_s = cpu(pid)?.as_secs_f64();
    if back != tickets as u64 {
        violations.note(format!("{tickets} tickets were stored, {back} came back"));
    }
    violations.add(server.faults().await?);
    let rss_bytes = memory(pid)?.bytes;
    server.kill();
    Ok(json!({
        "ready_after_s": ready_after.as_secs_f64(),
        "all_back_after_s": back_after.as_secs_f64(),
        "server_cpu_s": server_cpu_s,
        "backends_cpu_s": backends_cpu_s,
        "rss_bytes": rss_bytes,
    }))
}

/// Tickets that the server knows, in a match or not.
async fn live_tickets(server: &Server) -> anyhow::Result<u64> {
    let state: Value = serde_json::from_str(&server.get("/debug/actors").await?)?;
    let known = state["tickets"]["known"].as_u64();
    known.context("/debug/actors tells no tickets.known")
}

fn cells(backends: &str, tickets: usize, median: &Value, runs: &[Value]) -> Vec<String> {
    let seconds = |run: &Value, name: &str| number(run[name].as_f64(), 3);
    let each = |name: &str| {
        let each = runs.iter().map(|run| seconds(run, name));
        each.collect::<Vec<_>>().join(" ")
    };
    vec![
        backends.to_owned(),
        tickets.to_string(),
        seconds(median, "ready_after_s"),
        each("ready_after_s"),
        seconds(median, "all_back_after_s"),
        each("all_back_after_s"),
        seconds(median, "server_cpu_s"),
        seconds(median, "backends_cpu_s"),
        megabytes(median["rss_bytes"].as_u64()),
    ]
}
