//! The time of day.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::domain::Timestamp;
use crate::ports::Clock;

/// Starts at the system's time and then counts by tokio's clock, which tests can pause.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
    began_unix_ms: i64,
    /// The newest time that was told or is stored.
    newest_ms: AtomicI64,
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
            began_unix_ms: now.as_ms(),
            newest_ms: AtomicI64::new(now.as_ms()),
        }
    }

    /// Never shows a time before `floor` from here on; until then it stands still.
    pub fn at_least(&self, floor: Timestamp) {
        self.newest_ms.fetch_max(floor.as_ms(), Ordering::AcqRel);
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed_ms = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = self.began_unix_ms.saturating_add(elapsed_ms);
        let newest = self.newest_ms.fetch_max(now, Ordering::AcqRel);
        Timestamp::from_ms(newest.max(now))
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
    async fn stands_still_at_the_newest_stored_time_until_it_has_caught_up() {
        let clock = SystemClock::starting_at(Timestamp::from_ms(1_000));

        clock.at_least(Timestamp::from_ms(5_000));
        clock.at_least(Timestamp::from_ms(2_000));

        assert_eq!(clock.now(), Timestamp::from_ms(5_000));
        tokio::time::advance(Duration::from_millis(4_001)).await;
        assert_eq!(clock.now(), Timestamp::from_ms(5_001));
    }
}
