//! Tries again whatever Redis could not be told about sessions.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::sessions::RedisSessions;

/// Sessions that are tried in a row, and how many of them at the same time: others use the connection.
const ROUND: usize = 64;
const AT_ONCE: usize = 8;
/// Rest between two rounds.
const REST: Duration = Duration::from_millis(5);
/// First and longest rest after a round in which something failed.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);
/// How long the last ones may take when the server stops.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Tries until it is stopped. One that fails holds up no other, and nothing else that is written.
pub(super) async fn pay(sessions: RedisSessions, mut stopped: watch::Receiver<bool>) {
    let mut retry = RETRY_FIRST;
    loop {
        tokio::select! {
            () = sessions.link().debts.failed() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        let failures = round(&sessions, ROUND).await;
        let rest = if failures == 0 { REST } else { retry };
        retry = match failures {
            0 => RETRY_FIRST,
            _ => (retry * 2).min(RETRY_MAX),
        };
        tokio::select! {
            () = sleep(rest) => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
    }
    let last = round(&sessions, usize::MAX);
    if !matches!(timeout(STOP_MAX, last).await, Ok(0)) {
        warn!("Redis was not told everything about sessions; the next start tells it");
    }
}

/// Tries up to `max`; answers how many failed.
async fn round(sessions: &RedisSessions, max: usize) -> usize {
    let taken = sessions.link().debts.take_failed(max);
    let tries = taken.into_iter().map(|id| sessions.write_owed(id));
    let tried = stream::iter(tries).buffer_unordered(AT_ONCE);
    tried
        .filter(|written| std::future::ready(written.is_err()))
        .count()
        .await
}
