//! Growing waits between tries.

use super::limits::{RETRY_FIRST_MS, RETRY_MAX_MS};
use super::values::Timestamp;

/// How long to wait before the next try; doubles from [`RETRY_FIRST_MS`] to [`RETRY_MAX_MS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    wait_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            wait_ms: RETRY_FIRST_MS,
        }
    }
}

impl Backoff {
    /// When to try again after a failure at `now`.
    pub fn next(&mut self, now: Timestamp) -> Timestamp {
        let at = now.plus_ms(self.wait_ms);
        self.wait_ms = (self.wait_ms * 2).min(RETRY_MAX_MS);
        at
    }

    /// Starts again from the first wait, after a success.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::at_ms;
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();

        let waits: Vec<i64> = (0..7).map(|_| backoff.next(at_ms(0)).as_ms()).collect();
        backoff.reset();

        assert_eq!(waits, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(backoff.next(at_ms(0)), at_ms(100));
    }
}
