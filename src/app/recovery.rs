//! Start-up: everything that was stored comes back, and windows that ran out meanwhile get more time.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{info, warn};

use adapters::SystemClock;
use domain::limits::DOWNTIME_GRACE_MS;
use domain::{TicketId, Timestamp, Write, WriteOutcome};
use observability::breached;
use ports::{Away, Clock, LiveState, OpenMatch, Records, Store};

/// Writes that are handed over together; far fewer than the store's queue takes.
const TOGETHER_MAX: usize = 1_000;

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
    discard(&live.orphans, store, now).await?;
    extend(&mut live.matches, store, now).await?;
    info!(
        tickets = live.tickets.len(),
        matches = live.matches.len(),
        sessions = live.sessions.len(),
        "what was stored is back"
    );
    Ok(live)
}

/// Whoever holds a ticket that no actor can hold may ask again.
async fn discard(orphans: &[TicketId], store: &dyn Store, now: Timestamp) -> Result<(), Away> {
    for orphans in orphans.chunks(TOGETHER_MAX) {
        let write = |ticket: &TicketId| Write::DiscardTicket {
            ticket: *ticket,
            at: now,
        };
        for (ticket, outcome) in orphans
            .iter()
            .zip(store_all(orphans.iter().map(write), store).await?)
        {
            warn!(%ticket, stored = outcome == WriteOutcome::Stored, "ticket {ticket} was discarded");
        }
    }
    Ok(())
}

async fn extend(matches: &mut [OpenMatch], store: &dyn Store, now: Timestamp) -> Result<(), Away> {
    let overdue = matches
        .iter_mut()
        .filter(|open| open.expires_at <= now && !open.extended);
    let mut overdue: Vec<&mut OpenMatch> = overdue.collect();
    let expires_at = now.plus_ms(DOWNTIME_GRACE_MS);
    for overdue in overdue.chunks_mut(TOGETHER_MAX) {
        let write = |open: &&mut OpenMatch| Write::ExtendMatch {
            match_id: open.id,
            expires_at,
        };
        let outcomes = store_all(overdue.iter().map(write), store).await?;
        for (open, outcome) in overdue.iter_mut().zip(outcomes) {
            // Refused, it is over, or another server that began at the same time gave it as much:
            // an end that comes too late or too early is refused, and the refusal tells.
            open.expires_at = expires_at;
            open.extended = true;
            if outcome != WriteOutcome::Stored {
                warn!(match_id = %open.id, "match {} got no more time here", open.id);
            }
        }
    }
    Ok(())
}

/// Hands all of them over at once, and answers each.
async fn store_all(
    writes: impl Iterator<Item = Write>,
    store: &dyn Store,
) -> Result<Vec<WriteOutcome>, Away> {
    let submit = |write| {
        let (done, outcome) = oneshot::channel();
        store.submit(
            write,
            None,
            Box::new(move |outcome| drop(done.send(outcome))),
        );
        outcome
    };
    let submitted: Vec<_> = writes.map(submit).collect();
    let mut outcomes = Vec::with_capacity(submitted.len());
    for outcome in submitted {
        match outcome.await {
            Ok(WriteOutcome::Unavailable) | Err(_) => {
                let reason = "what start-up has to write was not stored".to_owned();
                return Err(Away {
                    backend: "store",
                    reason,
                });
            }
            Ok(outcome) => outcomes.push(outcome),
        }
    }
    Ok(outcomes)
}
