//! Removes announcements that nobody needs any more, in small steps: others write to the same store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::info;

use domain::{EventId, Timestamp};
use observability::ROWS_REMOVED;
use ports::{Away, Clock, Outbox};

/// Shortest and longest time between two removals.
const EVERY_MIN: Duration = Duration::from_millis(500);
const EVERY_MAX: Duration = Duration::from_secs(30);
/// Announcements that are removed in one step, and steps in a row.
const STEP: usize = 500;
const STEPS_MAX: usize = 20;
/// Wait between two steps.
const STEP_WAIT: Duration = Duration::from_millis(20);

/// Keeps sent announcements for a while.
pub(super) struct Retention {
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    keep_ms: u64,
    next_at: Instant,
}

/// The outbox of a server without a broker: announcements are only logged, stay for as long as sent
/// ones would, and are sent by a start with a broker until then.
pub struct LoggedOutbox {
    retention: Retention,
}

impl Retention {
    pub(super) fn new(outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>, keep_ms: u64) -> Self {
        Self {
            outbox,
            clock,
            keep_ms,
            next_at: Instant::now(),
        }
    }

    /// Between two removals; what is kept for a moment only goes soon after it.
    fn every(&self) -> Duration {
        Duration::from_millis(self.keep_ms).clamp(EVERY_MIN, EVERY_MAX)
    }

    /// What was sent before this time goes.
    fn kept_since(&self) -> Timestamp {
        let keep_ms = i64::try_from(self.keep_ms).unwrap_or(i64::MAX);
        Timestamp::from_ms(self.clock.now().as_ms().saturating_sub(keep_ms))
    }

    /// Removes what was sent long ago, if it is time to look.
    pub(super) async fn remove_sent_when_due(&mut self) {
        if Instant::now() < self.next_at {
            return;
        }
        self.next_at = Instant::now() + self.every();
        let mut removed = 0;
        for _ in 0..STEPS_MAX {
            // Where the store is away, the next time is soon enough.
            let Ok(rows) = self.outbox.remove_sent(self.kept_since(), STEP).await else {
                break;
            };
            removed += rows;
            if rows < STEP {
                break;
            }
            sleep(STEP_WAIT).await;
        }
        if removed > 0 {
            counter!(ROWS_REMOVED, "table" => "outbox").increment(removed as u64);
            info!(
                removed,
                "{removed} announcements that were sent long ago were removed"
            );
        }
    }
}

impl LoggedOutbox {
    /// Keeps what was logged for so many milliseconds.
    pub fn new(outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>, keep_ms: u64) -> Self {
        Self {
            retention: Retention::new(outbox, clock, keep_ms),
        }
    }

    /// Removes, now and then, until `stop` becomes true.
    pub fn run(mut self, mut stop: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            while !*stop.borrow() {
                // Where the store is away, the next time is soon enough.
                let _ = self.forget_logged().await;
                self.retention.remove_sent_when_due().await;
                tokio::select! {
                    () = sleep(self.retention.every()) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        })
    }

    /// Marks what was logged long ago as if it had been sent then.
    async fn forget_logged(&self) -> Result<(), Away> {
        let outbox = &self.retention.outbox;
        for _ in 0..STEPS_MAX {
            let before = self.retention.kept_since();
            // The oldest are due first.
            let due = outbox.due(self.retention.clock.now(), STEP).await?;
            let old = due.iter().filter(|event| event.created_at < before);
            let old: Vec<EventId> = old.map(|event| event.id).collect();
            if old.is_empty() {
                break;
            }
            let long_ago = Timestamp::from_ms(before.as_ms().saturating_sub(1));
            outbox.mark_sent(&old, long_ago).await?;
            sleep(STEP_WAIT).await;
        }
        Ok(())
    }
}
