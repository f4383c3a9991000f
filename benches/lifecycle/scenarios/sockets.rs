//! Memory of open sockets on which nothing happens.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use crate::client::{Message, Socket, closed};
use crate::crowd::{names, open_sockets, raise_open_file_limit};
use crate::ledger::Violations;
use crate::meter::memory;
use crate::options::{Common, Sockets};
use crate::report::{Results, Table, UNKNOWN, megabytes};
use crate::server::Server;
use crate::tokens::Signer;

use super::load::room_for;

/// Opens sockets up to each count and reads the server's memory.
pub async fn run(common: &Common, options: &Sockets) -> anyhow::Result<Results> {
    let mut counts = options.count.clone();
    counts.sort_unstable();
    let most = counts.last().copied().unwrap_or_default();
    raise_open_file_limit(common, most)?;

    let mut server = Server::of(common, &[room_for(most)]).await?;
    let pid = server
        .pid
        .context("memory is known of a server with --pid only")?;
    let settle = Duration::from_secs_f64(options.settle);
    sleep(settle).await;
    let idle = memory(pid)?.bytes;
    let signer = Signer::new(common);
    let tokens = names(most).into_iter().map(|id| signer.token(&id));
    let tokens = tokens.collect::<anyhow::Result<Vec<_>>>()?;

    let mut table = Table::new(&["sockets", "rss MB", "bytes per socket"]);
    table.row(vec![
        "0".to_owned(),
        megabytes(Some(idle)),
        UNKNOWN.to_owned(),
    ]);
    let mut held: Vec<JoinHandle<String>> = Vec::new();
    let mut rows = vec![json!({"sockets": 0, "rss_bytes": idle})];
    for count in counts {
        let opened = open_sockets(&server.target, &tokens[held.len()..count]).await?;
        held.extend(opened.into_iter().map(|socket| spawn_local(hold(socket))));
        sleep(settle).await;
        let bytes = memory(pid)?.bytes;
        let per_socket = bytes.saturating_sub(idle) / count as u64;
        table.row(vec![
            count.to_string(),
            megabytes(Some(bytes)),
            per_socket.to_string(),
        ]);
        rows.push(json!({
            "sockets": count, "rss_bytes": bytes, "bytes_per_socket": per_socket,
        }));
    }
    table.print("sockets: authenticated, idle, one per user");

    let mut violations = server.faults().await?;
    end_all(held, &mut violations).await;
    server.kill();
    let json = json!({"scenario": "sockets", "points": rows});
    Ok(Results { json, violations })
}

/// Answers pings for as long as the socket is open; says why it ended.
async fn hold(mut socket: Socket) -> String {
    loop {
        match socket.next().await {
            Ok(Message::Text(_)) => {}
            Ok(Message::Closed(code)) => return closed(code),
            Err(fault) => return fault.to_string(),
        }
    }
}

/// Ends what still holds; whatever has ended before did so too early.
async fn end_all(held: Vec<JoinHandle<String>>, violations: &mut Violations) {
    for socket in held {
        socket.abort();
        if let Ok(why) = socket.await {
            violations.note(format!("an idle socket ended: {why}"));
        }
    }
}
