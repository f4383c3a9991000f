//! Sends what waits in the outbox to the broker.

mod decisions;
mod retention;

pub use retention::LoggedOutbox;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::{counter, gauge};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use self::decisions::{Held, Round, Verdicts, retry_wait};
use self::retention::Retention;
use domain::{EventId, Timestamp};
use observability::{
    EVENTS_FAILED, EVENTS_GIVEN_UP, EVENTS_PUBLISHED, EVENTS_UNROUTABLE, OUTBOX_OLDEST, OUTBOX_ROWS,
};
use ports::{Away, Clock, MeasuredBacklog, Outbox, Publisher};

/// Announcements in flight at a time.
const BATCH: usize = 256;
/// Shortest time from one round that sends to the next, so that what comes meanwhile is sent and marked
/// together: each such round costs the broker and the database a sync. What comes after a pause is sent
/// at once.
const SPACING: Duration = Duration::from_millis(100);
/// When told to stop, rounds begin for this long: one that is cut off in the middle is sent again.
const LAST_ROUNDS_FOR: Duration = Duration::from_secs(1);
/// How often the backlog is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(5);
/// How often warnings about one thing are repeated.
const WARN_EVERY: Duration = Duration::from_secs(30);
/// Rounds in a row that were tried and failed as a whole after which the first announcement is put off:
/// should it be what breaks the connection, the others pass.
const FAILED_ROUNDS_MAX: u32 = 3;
/// First and longest wait while the broker or the store is away. The longest one is short, because
/// everything waits for it once they are back.
const AWAY_FIRST_MS: u64 = 100;
const AWAY_MAX_MS: u64 = 1_000;

/// How the relay behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayOptions {
    /// How often the outbox is looked into when nobody wakes the relay, in milliseconds.
    pub poll_ms: u64,
    /// How long sent announcements are kept, in milliseconds.
    pub retention_ms: u64,
    /// Decides the waits that are random, so that a test can run the same again; none: every relay
    /// waits otherwise.
    pub seed: Option<u64>,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            poll_ms: 500,
            retention_ms: 24 * 3_600_000,
            seed: None,
        }
    }
}

/// Sends what waits in the outbox, at least once each and in order within a session.
pub struct OutboxRelay {
    outbox: Arc<dyn Outbox>,
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    woken: Arc<Notify>,
    options: RelayOptions,
    retention: Retention,
    held: Held,
    /// Confirmed by the broker, but not yet marked.
    unmarked: Vec<EventId>,
    /// Nothing is sent before, unless there is more than one round can take.
    next_round: Instant,
    failed_rounds: u32,
    away_ms: u64,
    waits: StdRng,
    unroutable_warning: Warning,
    away_warning: Warning,
    measured: Arc<MeasuredBacklog>,
}

/// A warning that is not repeated too often.
#[derive(Debug, Default)]
struct Warning {
    next_at: Option<Instant>,
    kept_back: u64,
}

/// What a round left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There may be more.
    GoOn,
    /// Nothing is due.
    Idle,
    /// Try again in so many milliseconds.
    Retry(u64),
}

impl OutboxRelay {
    /// A relay that looks into the outbox when `woken`, and now and then by itself.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        publisher: Arc<dyn Publisher>,
        clock: Arc<dyn Clock>,
        woken: Arc<Notify>,
        options: RelayOptions,
    ) -> Self {
        let (stored, time) = (Arc::clone(&outbox), Arc::clone(&clock));
        Self {
            outbox,
            publisher,
            clock,
            woken,
            options,
            retention: Retention::new(stored, time, options.retention_ms),
            held: Held::default(),
            unmarked: Vec::new(),
            next_round: Instant::now(),
            failed_rounds: 0,
            away_ms: AWAY_FIRST_MS,
            waits: options
                .seed
                .map_or_else(StdRng::from_os_rng, StdRng::seed_from_u64),
            unroutable_warning: Warning::default(),
            away_warning: Warning::default(),
            measured: Arc::default(),
        }
    }

    /// Where it notes the backlog each time that it has measured it.
    pub fn measured(&self) -> Arc<MeasuredBacklog> {
        Arc::clone(&self.measured)
    }

    /// Runs until `stop` becomes true, and then until what is stored by then is sent, or cannot be.
    pub fn run(mut self, mut stop: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut next_measure = Instant::now();
            while !*stop.borrow() {
                let next = self.round().await;
                if Instant::now() >= next_measure {
                    next_measure = Instant::now() + MEASURE_EVERY;
                    self.measure().await;
                }
                if next == Next::Idle {
                    self.retention.remove_sent_when_due().await;
                }
                match next {
                    Next::GoOn => {}
                    Next::Idle => {
                        let is_woken = tokio::select! {
                            () = self.woken.notified() => true,
                            () = sleep(Duration::from_millis(self.options.poll_ms)) => false,
                            _ = stop.wait_for(|stop| *stop) => false,
                        };
                        if is_woken {
                            tokio::select! {
                                () = sleep_until(self.next_round) => {}
                                _ = stop.wait_for(|stop| *stop) => {}
                            }
                        }
                    }
                    Next::Retry(ms) => tokio::select! {
                        () = sleep(Duration::from_millis(ms)) => {}
                        _ = stop.wait_for(|stop| *stop) => {}
                    },
                }
            }
            // The last requests and their sessions were stored while the server stopped.
            let last = Instant::now() + LAST_ROUNDS_FOR;
            while self.round().await == Next::GoOn && Instant::now() < last {}
            if !self.unmarked.is_empty() {
                debug!(
                    "some announcements that were sent could not be marked: they are sent again"
                );
            }
        })
    }

    /// Sends what is due.
    async fn round(&mut self) -> Next {
        match self.try_round().await {
            Ok(next) => next,
            Err(away) => self.retry(&away),
        }
    }

    async fn try_round(&mut self) -> Result<Next, Away> {
        // First of all: what is not marked would be sent again.
        self.mark_sent().await?;
        let now = self.clock.now();
        let due = self.outbox.due(now, BATCH).await?;
        if due.is_empty() {
            self.away_ms = AWAY_FIRST_MS;
            return Ok(Next::Idle);
        }
        let fetched = due.len();
        let round = Round::new(due, &mut self.held, now);
        if !round.behind.is_empty() {
            self.outbox.put_off(&round.behind).await?;
        }
        if round.events.is_empty() {
            return Ok(Next::GoOn);
        }
        self.next_round = Instant::now() + SPACING;
        let published = self.publisher.publish(&round.events).await;
        let (now, jitter) = (self.clock.now(), self.jitter());
        let verdicts = Verdicts::new(&round, &published, now, jitter);
        self.count(&verdicts);
        self.unmarked.extend(&verdicts.sent);
        self.unmarked.extend(&verdicts.given_up);
        if let Some(away) = &verdicts.all_failed {
            if verdicts.none_tried {
                return Ok(self.retry(away));
            }
            return self.after_failed_round(&round, away, now, jitter).await;
        }
        self.failed_rounds = 0;
        self.away_ms = AWAY_FIRST_MS;
        for (event, until) in &verdicts.put_off {
            self.held.hold(event.session, event.id, *until);
        }
        let put_off: Vec<_> = verdicts
            .put_off
            .iter()
            .map(|(event, at)| (event.id, *at))
            .collect();
        self.mark_sent().await?;
        if !put_off.is_empty() {
            self.outbox.put_off(&put_off).await?;
        }
        // Whoever stores another one from here on wakes the relay again.
        let is_all = fetched < BATCH && round.events.len() == fetched;
        Ok(if is_all { Next::Idle } else { Next::GoOn })
    }

    /// The broker went away, or one of these breaks the connection.
    async fn after_failed_round(
        &mut self,
        round: &Round,
        away: &Away,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Next, Away> {
        self.failed_rounds += 1;
        if self.failed_rounds >= FAILED_ROUNDS_MAX
            && round.events.len() > 1
            && let Some(first) = round.events.first()
        {
            let until = now.plus_ms(retry_wait(first.attempts, jitter));
            self.held.hold(first.session, first.id, until);
            self.outbox.put_off(&[(first.id, until)]).await?;
        }
        Ok(self.retry(away))
    }

    fn retry(&mut self, away: &Away) -> Next {
        if self.away_warning.is_due() {
            warn!(reason = away.reason, "announcements wait: {away}");
        }
        let wait_ms = (self.away_ms as f64 * self.jitter()) as u64;
        self.away_ms = (self.away_ms * 2).min(AWAY_MAX_MS);
        Next::Retry(wait_ms)
    }

    /// Factor of a wait: relays that lost the same broker do not all come back at once.
    fn jitter(&mut self) -> f64 {
        self.waits.random_range(0.8..1.2)
    }

    async fn mark_sent(&mut self) -> Result<(), Away> {
        if !self.unmarked.is_empty() {
            let now = self.clock.now();
            self.outbox.mark_sent(&self.unmarked, now).await?;
            self.unmarked.clear();
        }
        Ok(())
    }

    fn count(&mut self, verdicts: &Verdicts) {
        counter!(EVENTS_PUBLISHED).increment(verdicts.sent.len() as u64);
        counter!(EVENTS_FAILED).increment(verdicts.failed);
        counter!(EVENTS_GIVEN_UP).increment(verdicts.given_up.len() as u64);
        counter!(EVENTS_UNROUTABLE).increment(verdicts.unroutable);
        if verdicts.unroutable > 0 {
            self.unroutable_warning.kept_back += verdicts.unroutable;
            let tries = self.unroutable_warning.kept_back;
            if self.unroutable_warning.is_due() {
                self.unroutable_warning.kept_back = 0;
                warn!(
                    tries,
                    "no queue takes match.found: announcements wait ({tries} tries since the last warning)"
                );
            }
        }
        if !verdicts.given_up.is_empty() {
            let events = verdicts.given_up.len();
            warn!(
                events,
                "no queue took {events} announcements until their sessions had ended"
            );
        }
    }

    async fn measure(&self) {
        if let Ok(backlog) = self.outbox.backlog().await {
            let now = self.clock.now();
            let oldest_ms = backlog.oldest.map_or(0, |oldest| now.ms_since(oldest));
            self.measured.note(backlog);
            gauge!(OUTBOX_ROWS).set(backlog.rows as f64);
            gauge!(OUTBOX_OLDEST).set(oldest_ms as f64 / 1_000.0);
        }
    }
}

impl Warning {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.next_at.is_none_or(|at| at <= now);
        if is_due {
            self.next_at = Some(now + WARN_EVERY);
        }
        is_due
    }
}

#[cfg(test)]
mod tests;
