//! Time from the start of the process to ready.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::ledger::Violations;
use crate::meter::memory;
use crate::options::{Common, Start};
use crate::report::{Results, Table, megabytes};
use crate::server::{Folder, Server};
use crate::stats::medians;

use super::prepared::{Prepared, WAIT_S};

/// How a start went.
struct Started {
    ready_after: Duration,
    rss_bytes: u64,
}

/// Starts servers on databases with waiting tickets.
pub async fn run(common: &Common, options: &Start) -> anyhow::Result<Results> {
    anyhow::ensure!(
        common.url.is_none(),
        "a running server is not started again"
    );
    let mut violations = Violations::default();
    let mut table = Table::new(&["tickets", "ready after s", "of these", "rss MB"]);
    let mut rows = Vec::new();
    for tickets in &options.tickets {
        let prepared = prepare(common, options, *tickets).await?;
        let mut runs = Vec::new();
        for _ in 0..options.runs {
            let started = one_start(common, &prepared, &mut violations).await?;
            runs.push(json!({
                "ready_after_s": started.ready_after.as_secs_f64(),
                "rss_bytes": started.rss_bytes,
            }));
        }
        let median = medians(&runs);
        table.row(cells(*tickets, &median, &runs));
        rows.push(json!({"tickets": tickets, "median": median, "runs": runs}));
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
fn variables(tickets: usize) -> [(&'static str, String); 4] {
    [
        ("MAX_CONCURRENT_MATCHES", "1".to_owned()),
        ("MAX_TICKETS", (tickets + 1_000).to_string()),
        ("MATCHING_TIMEOUT_SECONDS", WAIT_S.to_string()),
        ("CONFIRM_MATCH_TIMEOUT_SECONDS", "3600".to_owned()),
    ]
}

/// A database with this many waiting tickets, whose tables the server made itself; none for an empty
/// folder.
async fn prepare(
    common: &Common,
    options: &Start,
    tickets: usize,
) -> anyhow::Result<Option<Prepared>> {
    if tickets == 0 {
        return Ok(None);
    }
    let folder = Folder::new(common)?;
    let (server, _) = Server::start(common, folder, &variables(tickets)).await?;
    let folder = server.kill().context("it is our own server")?;
    Ok(Some(Prepared::fill(folder, tickets, options.topics)?))
}

async fn one_start(
    common: &Common,
    prepared: &Option<Prepared>,
    violations: &mut Violations,
) -> anyhow::Result<Started> {
    let folder = Folder::new(common)?;
    let tickets = prepared.as_ref().map_or(0, Prepared::tickets);
    if let Some(prepared) = prepared {
        prepared.copy_to(&folder)?;
    }
    let (mut server, ready_after) = Server::start(common, folder, &variables(tickets)).await?;
    let pid = server.pid.context("it is our own server")?;
    let rss_bytes = memory(pid)?.bytes;
    let there = live_tickets(&server).await?;
    if there != tickets as u64 {
        violations.note(format!("{tickets} tickets were stored, {there} came back"));
    }
    violations.add(server.faults().await?);
    server.kill();
    Ok(Started {
        ready_after,
        rss_bytes,
    })
}

/// Tickets that the server knows, in a match or not.
async fn live_tickets(server: &Server) -> anyhow::Result<u64> {
    let state: Value = serde_json::from_str(&server.get("/debug/actors").await?)?;
    let known = state["tickets"]["known"].as_u64();
    known.context("/debug/actors tells no tickets.known")
}

fn cells(tickets: usize, median: &Value, runs: &[Value]) -> Vec<String> {
    let seconds = |run: &Value| format!("{:.3}", run["ready_after_s"].as_f64().unwrap_or_default());
    let all: Vec<_> = runs.iter().map(seconds).collect();
    vec![
        tickets.to_string(),
        seconds(median),
        all.join(" "),
        megabytes(median["rss_bytes"].as_u64()),
    ]
}
