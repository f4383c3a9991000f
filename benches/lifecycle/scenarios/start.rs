//! Time from the start of the process to ready.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::ledger::Violations;
use crate::meter::memory;
use crate::options::{Common, Start};
use crate::report::{Results, Table, megabytes, number};
use crate::server::{Folder, Server};
use crate::stats::medians;

use super::prepared::{Prepared, WAIT_S};

/// Longest wait, after ready, until the server knows all tickets again.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// Time between two looks at how many it knows.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Starts servers on databases with waiting tickets.
pub async fn run(common: &Common, options: &Start) -> anyhow::Result<Results> {
    anyhow::ensure!(
        common.url.is_none(),
        "a running server is not started again"
    );
    let mut violations = Violations::default();
    let mut table = Table::new(&["tickets", "ready s", "of these", "all back s", "rss MB"]);
    let mut rows = Vec::new();
    for tickets in &options.tickets {
        let prepared = prepare(common, options, *tickets).await?;
        let mut runs = Vec::new();
        for _ in 0..options.runs {
            runs.push(one_start(common, &prepared, &mut violations).await?);
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

/// Starts once; answers with the times from the start of the process and the memory.
async fn one_start(
    common: &Common,
    prepared: &Option<Prepared>,
    violations: &mut Violations,
) -> anyhow::Result<Value> {
    let folder = Folder::new(common)?;
    let tickets = prepared.as_ref().map_or(0, Prepared::tickets);
    if let Some(prepared) = prepared {
        prepared.copy_to(&folder)?;
    }
    let (mut server, ready_after) = Server::start(common, folder, &variables(tickets)).await?;
    let ready_at = Instant::now();
    let mut back = live_tickets(&server).await?;
    while back != tickets as u64 && ready_at.elapsed() < BACK_WITHIN {
        sleep(LOOK_EVERY).await;
        back = live_tickets(&server).await?;
    }
    let back_after = ready_after + ready_at.elapsed();
    if back != tickets as u64 {
        violations.note(format!("{tickets} tickets were stored, {back} came back"));
    }
    violations.add(server.faults().await?);
    let pid = server.pid.context("it is our own server")?;
    let rss_bytes = memory(pid)?.bytes;
    server.kill();
    Ok(json!({
        "ready_after_s": ready_after.as_secs_f64(),
        "all_back_after_s": back_after.as_secs_f64(),
        "rss_bytes": rss_bytes,
    }))
}

/// Tickets that the server knows, in a match or not.
async fn live_tickets(server: &Server) -> anyhow::Result<u64> {
    let state: Value = serde_json::from_str(&server.get("/debug/actors").await?)?;
    let known = state["tickets"]["known"].as_u64();
    known.context("/debug/actors tells no tickets.known")
}

fn cells(tickets: usize, median: &Value, runs: &[Value]) -> Vec<String> {
    let seconds = |run: &Value, name: &str| number(run[name].as_f64(), 3);
    let ready = runs.iter().map(|run| seconds(run, "ready_after_s"));
    vec![
        tickets.to_string(),
        seconds(median, "ready_after_s"),
        ready.collect::<Vec<_>>().join(" "),
        seconds(median, "all_back_after_s"),
        megabytes(median["rss_bytes"].as_u64()),
    ]
}
