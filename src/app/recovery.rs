//! Start-up: everything that was stored comes back, and windows that ran out meanwhile get more time.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::adapters::SystemClock;
use crate::domain::limits::DOWNTIME_GRACE_MS;
use crate::domain::{Timestamp, Write, WriteOutcome};
use crate::observability::breached;
use crate::ports::{Away, Clock, LiveState, OpenMatch, Records, Store};

/// Reads what is live, sets the clock behind it, and stores later ends for confirmation windows that
/// ran out while the server was down: once per match.
///
/// # Errors
///
/// [`Away`] where the store cannot be read or written.
pub async fn recover(
    records: &dyn Records,
    store: &dyn Store,
    clock: &Arc<SystemClock>,
) -> Result<LiveState, Away> {
    let mut live = records.live(clock.now()).await?;
    if let Some(newest) = live.newest {
        // Places of new tickets come after those of stored ones, whatever the wall clock says.
        clock.at_least(newest.plus_ms(1));
    }
    let now = clock.now();
    for contradiction in &live.contradictions {
        breached(*contradiction);
    }
    extend(&mut live.matches, store, now).await?;
    info!(
        tickets = live.tickets.len(),
        matches = live.matches.len(),
        sessions = live.sessions.len(),
        "what was stored is back"
    );
    Ok(live)
}

async fn extend(matches: &mut [OpenMatch], store: &dyn Store, now: Timestamp) -> Result<(), Away> {
    let overdue = matches
        .iter_mut()
        .filter(|open| open.expires_at <= now && !open.extended);
    let mut asked = Vec::new();
    for open in overdue {
        let expires_at = now.plus_ms(DOWNTIME_GRACE_MS);
        let (done, outcome) = oneshot::channel();
        let write = Write::ExtendMatch {
            match_id: open.id,
            expires_at,
        };
        store.submit(
            write,
            None,
            Box::new(move |outcome| drop(done.send(outcome))),
        );
        asked.push((open, expires_at, outcome));
    }
    for (open, expires_at, outcome) in asked {
        match outcome.await {
            Ok(WriteOutcome::Stored) => {
                open.expires_at = expires_at;
                open.extended = true;
            }
            Ok(WriteOutcome::Refused(_)) => {
                warn!(match_id = %open.id, "match {} got no more time: it is not open", open.id);
            }
            Ok(WriteOutcome::Unavailable) | Err(_) => {
                let reason = "a later end of a confirmation window was not stored".to_owned();
                return Err(Away {
                    backend: "store",
                    reason,
                });
            }
        }
    }
    Ok(())
}
