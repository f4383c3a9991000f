//! How many asks may wait for their answer at once: as many as are answered soon.
//!
//! Whatever is slow, the store, the actors or the processors, asks pile up before it. Without a bound
//! each of them would wait until nobody waits for its answer any more, and the server would work for
//! nobody. The bound sinks when answers come late and rises while they come soon, so it needs no
//! setting and fits every machine. What was begun is never held up: confirmations, declines and leaves
//! are not counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::calls::ANSWER_WITHIN_MS;
use actors::ROSTER_MAILBOX;
use observability::Limit;

/// Asks that may always be under way: few enough for the slowest machine.
const FEWEST: usize = 64;
/// More than this would find no room at the roster.
const MOST: usize = ROSTER_MAILBOX;
/// An answer that takes longer came late: half of what callers wait.
const SOON: Duration = Duration::from_millis(ANSWER_WITHIN_MS / 2);

/// Counts the asks that are under way.
#[derive(Debug)]
pub struct Throttle {
    under_way: AtomicUsize,
    allowed: AtomicUsize,
}

/// One ask that waits for its answer; it is over when this is dropped.
#[derive(Debug)]
pub struct UnderWay<'a> {
    throttle: &'a Throttle,
    since: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            allowed: AtomicUsize::new(MOST),
        }
    }
}

impl Throttle {
    /// One more; nothing where there are as many as may be.
    pub fn begin(&self) -> Option<UnderWay<'_>> {
        let allowed = self.allowed();
        let one_more = |under_way: usize| (under_way < allowed).then_some(under_way + 1);
        let begun = self
            .under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        if begun.is_err() {
            Limit::AsksUnderWay.reached();
            return None;
        }
        Some(UnderWay {
            throttle: self,
            since: Instant::now(),
        })
    }

    /// Whether one more would find no place now. To ask that first saves looking at the caller and the
    /// body of a request that is refused: under load, refusing has to cost next to nothing.
    pub fn is_full(&self) -> bool {
        let full = self.under_way() >= self.allowed();
        if full {
            Limit::AsksUnderWay.reached();
        }
        full
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many may be, as things stand.
    pub fn allowed(&self) -> usize {
        self.allowed.load(Ordering::Relaxed)
    }

    fn ended(&self, took: Duration) {
        let under_way = self.under_way.fetch_sub(1, Ordering::Relaxed);
        let allowed = self.allowed();
        let fitting = if took > SOON && under_way > FEWEST {
            (allowed.min(under_way) * 9 / 10).max(FEWEST)
        } else if took <= SOON && under_way > allowed / 2 {
            (allowed + 1).min(MOST)
        } else {
            // Where few wait, it is not their number that makes one wait long.
            return;
        };
        // Where another one was faster to change it, it is as good as this.
        let _ =
            self.allowed
                .compare_exchange(allowed, fitting, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.throttle.ended(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody asks who may, and is answered after `took`.
    async fn rush(throttle: &Throttle, took: Duration) -> usize {
        let asks: Vec<_> = std::iter::from_fn(|| throttle.begin()).collect();
        tokio::time::advance(took).await;
        asks.len()
    }

    #[tokio::test(start_paused = true)]
    async fn late_answers_let_fewer_in_and_soon_ones_let_more_in_again() {
        let throttle = Throttle::default();

        assert_eq!(rush(&throttle, SOON * 2).await, MOST);
        assert_eq!(rush(&throttle, SOON).await, FEWEST);
        for _ in 0..100 {
            rush(&throttle, SOON).await;
        }

        assert_eq!(rush(&throttle, SOON).await, MOST);
        assert_eq!(throttle.under_way(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_late_answer_among_few_says_nothing_about_how_many_may_ask() {
        let throttle = Throttle::default();
        let few: Vec<_> = (0..FEWEST).filter_map(|_| throttle.begin()).collect();

        tokio::time::advance(SOON * 2).await;
        drop(few);

        assert_eq!(throttle.allowed(), MOST);
        assert_eq!(throttle.under_way(), 0);
    }
}
