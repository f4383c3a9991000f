//! The time of day.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use domain::Timestamp;
use ports::Clock;

/// Starts at the system's time and then counts by tokio's clock, which tests can pause.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
    /// What it showed, or would have shown, at `began`; only grows.
    began_unix_ms: AtomicI64,
}

impl SystemClock {
    /// A clock that shows the system's time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that is handed in"
    )]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Self::starting_at(Timestamp::from_ms(now))
    }

    /// A clock that shows `now` at this moment.
    pub fn starting_at(now: Timestamp) -> Self {
        Self {
            began: Instant::now(),
            began_unix_ms: AtomicI64::new(now.as_ms()),
        }
    }

    /// Never shows a time before `floor` from here on: where it would, it runs on from `floor`, so
    /// that no deadline has to wait until the system's time has caught up.
    pub fn at_least(&self, floor: Timestamp) {
        let began_ms = floor.as_ms().saturating_sub(self.elapsed_ms());
        self.began_unix_ms.fetch_max(began_ms, Ordering::AcqRel);
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let began_ms = self.began_unix_ms.load(Ordering::Acquire);
        Timestamp::from_ms(began_ms.saturating_add(self.elapsed_ms()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_tokio_s_time_even_where_that_is_paused() {
        let clock = SystemClock::starting_at(Timestamp::from_ms(1_000));

        tokio::time::advance(Duration::from_millis(250)).await;

        assert_eq!(clock.now(), Timestamp::from_ms(1_250));
    }

    #[tokio::test(start_paused = true)]
    async fn runs_on_from_the_newest_stored_time_where_that_is_ahead() {
        let clock = SystemClock::starting_at(Timestamp::from_ms(1_000));
        tokio::time::advance(Duration::from_millis(10)).await;

        clock.at_least(Timestamp::from_ms(5_000));
        clock.at_least(Timestamp::from_ms(2_000));

        assert_eq!(clock.now(), Timestamp::from_ms(5_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Timestamp::from_ms(5_250));
    }
}
