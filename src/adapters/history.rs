//! Removes what ended long ago, in small steps: others write to the same store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use domain::Timestamp;
use observability::ROWS_REMOVED;
use ports::{Away, Clock, History, Mark, Past, Removed};

/// Shortest and longest time between two looks.
const EVERY_MIN: Duration = Duration::from_millis(500);
const EVERY_MAX: Duration = Duration::from_secs(60);
/// What is looked at in one step, so that no statement removes more than 200 rows: a session takes a
/// match and two tickets with it.
const STEP: usize = 200;
const SESSIONS_STEP: usize = 100;
/// Shortest wait between two steps. It is as many times longer than the step before where the store
/// is slow, so that others have it most of the time.
const STEP_WAIT: Duration = Duration::from_millis(50);
const WAIT_PER_STEP: u32 = 4;
/// Matches without a session go first: a ticket may have been in several before it ended, and none of
/// them may be left that names a ticket which has gone.
const ORDER: [Past; 4] = [
    Past::Matches,
    Past::LeftSessions,
    Past::OverSessions,
    Past::Tickets,
];

/// How long what has ended is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Anything, in milliseconds after its end.
    pub keep_ms: u64,
    /// Announcements, in milliseconds after they were sent. Sessions are not looked at before: one
    /// that is still announced stays.
    pub announced_ms: u64,
}

/// Keeps what has ended for a while.
pub struct HistoryRetention {
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    options: HistoryOptions,
    was_away: bool,
}

impl HistoryRetention {
    /// Removes nothing until it is run.
    pub fn new(history: Arc<dyn History>, clock: Arc<dyn Clock>, options: HistoryOptions) -> Self {
        Self {
            history,
            clock,
            options,
            was_away: false,
        }
    }

    /// Removes, now and then, until it is dropped. A step that is under way then runs to its end.
    pub fn run(mut self) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                match self.remove_old().await {
                    Ok(()) => self.was_away = false,
                    // The next time is soon enough.
                    Err(away) if !std::mem::replace(&mut self.was_away, true) => {
                        warn!("what ended long ago is removed later, because {away}");
                    }
                    Err(_) => {}
                }
                sleep(self.every()).await;
            }
        })
    }

    /// Between two looks; what is kept for a moment only goes soon after it.
    fn every(&self) -> Duration {
        Duration::from_millis(self.options.keep_ms).clamp(EVERY_MIN, EVERY_MAX)
    }

    /// Removes all that is old enough now, and tells how much that was.
    async fn remove_old(&self) -> Result<(), Away> {
        let mut all = Removed::default();
        let result = self.remove_in_order(&mut all).await;
        tell(all);
        result
    }

    async fn remove_in_order(&self, all: &mut Removed) -> Result<(), Away> {
        let now = self.clock.now();
        for past in ORDER {
            self.remove_past(past, now, all).await?;
        }
        Ok(())
    }

    async fn remove_past(&self, past: Past, now: Timestamp, all: &mut Removed) -> Result<(), Away> {
        let before = self.kept_since(past, now);
        let mut next = Some(Mark::START);
        while let Some(after) = next {
            let began = Instant::now();
            let removed = self.history.remove(past, before, after, step(past)).await?;
            count(removed);
            all.tickets += removed.tickets;
            all.matches += removed.matches;
            all.sessions += removed.sessions;
            next = removed.next;
            if next.is_some() {
                sleep(STEP_WAIT.max(began.elapsed() * WAIT_PER_STEP)).await;
            }
        }
        Ok(())
    }

    /// What ended before this time goes.
    fn kept_since(&self, past: Past, now: Timestamp) -> Timestamp {
        let options = self.options;
        let keep_ms = match past {
            Past::Matches | Past::Tickets => options.keep_ms,
            Past::LeftSessions | Past::OverSessions => options.keep_ms.max(options.announced_ms),
        };
        let keep_ms = i64::try_from(keep_ms).unwrap_or(i64::MAX);
        Timestamp::from_ms(now.as_ms().saturating_sub(keep_ms))
    }
}

fn step(past: Past) -> usize {
    match past {
        Past::Matches | Past::Tickets => STEP,
        Past::LeftSessions | Past::OverSessions => SESSIONS_STEP,
    }
}

fn count(removed: Removed) {
    for (table, rows) in [
        ("tickets", removed.tickets),
        ("matches", removed.matches),
        ("sessions", removed.sessions),
    ] {
        if rows > 0 {
            counter!(ROWS_REMOVED, "table" => table).increment(rows as u64);
        }
    }
}

fn tell(removed: Removed) {
    let (tickets, matches, sessions) = (removed.tickets, removed.matches, removed.sessions);
    if tickets + matches + sessions > 0 {
        info!(
            tickets,
            matches,
            sessions,
            "{tickets} tickets, {matches} matches and {sessions} sessions that ended long ago were removed"
        );
    }
}

#[cfg(test)]
mod tests;
