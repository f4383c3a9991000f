//! Memory of open sockets on which nothing happens.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::crowd::{names, raise_open_file_limit};
use crate::ledger::Violations;
use crate::meter::memory;
use crate::options::{Kind, Sockets};
use crate::report::{Results, Table, UNKNOWN, megabytes, number};
use crate::server::Server;
use crate::stats::medians;
use crate::tokens::Signer;

use super::idle::Idle;
use super::{Bench, variables};

/// Opens sockets up to each count and reads the server's memory.
pub async fn run(bench: &Bench, options: &Sockets) -> anyhow::Result<Results> {
    let mut counts = options.count.clone();
    counts.sort_unstable();
    let most = counts.last().copied().unwrap_or_default();
    raise_open_file_limit(&bench.common, most)?;
    let mut table = Table::new(&["backends", "sockets", "rss MB", "bytes per socket"]);
    let mut violations = Violations::default();
    let mut rows = Vec::new();
    for kind in bench.kinds() {
        let mut runs = Vec::new();
        for _ in 0..options.runs {
            runs.push(one_server(bench, kind, options, &counts, &mut violations).await?);
        }
        for number in 0..=counts.len() {
            let of_runs: Vec<_> = runs.iter().map(|rows| rows[number].clone()).collect();
            let row = medians(&of_runs);
            table.row(cells(&row));
            rows.push(row);
        }
    }
    table.print(&format!(
        "sockets: authenticated, idle, one per user; medians of {}",
        options.runs
    ));
    let json = json!({"scenario": "sockets", "points": rows});
    Ok(Results { json, violations })
}

/// Opens sockets of one server; answers with its memory before and at each count.
async fn one_server(
    bench: &Bench,
    kind: Kind,
    options: &Sockets,
    counts: &[usize],
    violations: &mut Violations,
) -> anyhow::Result<Vec<Value>> {
    let most = counts.last().copied().unwrap_or_default();
    let place = bench.place(kind);
    let room = [("MAX_SOCKETS", most.max(20_000).to_string())];
    let variables = variables(place.as_deref(), &room);
    let mut server = Server::of(&bench.common, &variables).await?;
    let pid = server
        .pid
        .context("memory is known of a server with --pid only")?;
    let settle = Duration::from_secs_f64(options.settle);
    sleep(settle).await;
    let idle = memory(pid)?.bytes;
    let signer = Signer::new(&bench.common);
    let tokens = names(most).into_iter().map(|id| signer.token(&id));
    let tokens = tokens.collect::<anyhow::Result<Vec<_>>>()?;

    let label = bench.label(kind);
    let mut idle_sockets = Idle::default();
    let mut rows = vec![json!({"backends": label, "sockets": 0, "rss_bytes": idle})];
    for count in counts.iter().copied() {
        let more = &tokens[idle_sockets.count()..count];
        idle_sockets.open(&server.target, more).await?;
        sleep(settle).await;
        let bytes = memory(pid)?.bytes;
        let per_socket = bytes.saturating_sub(idle) / count as u64;
        rows.push(json!({
            "backends": label, "sockets": count, "rss_bytes": bytes,
            "bytes_per_socket": per_socket,
        }));
    }
    violations.add(server.faults().await?);
    idle_sockets.end(violations).await;
    server.kill();
    Ok(rows)
}

fn cells(row: &Value) -> Vec<String> {
    vec![
        row["backends"].as_str().unwrap_or(UNKNOWN).to_owned(),
        number(row["sockets"].as_f64(), 0),
        megabytes(row["rss_bytes"].as_u64()),
        number(row["bytes_per_socket"].as_f64(), 0),
    ]
}
