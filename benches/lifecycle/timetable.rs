//! When everybody asks: fixed before the first one does, and kept by a thread of its own.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Every run has the same moments.
const SEED: u64 = 20_261_124;
/// Time between making a timetable public and its first moment.
const RUN_UP: Duration = Duration::from_millis(50);

/// The moments of all asks, from the beginning, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable(Vec<Duration>);

impl Timetable {
    /// `per_second` asks each second, all gaps alike.
    pub fn even(per_second: f64, seconds: f64) -> Self {
        let count = count(per_second, seconds);
        let moment = |index| Duration::from_secs_f64(index as f64 / per_second);
        Self((0..count).map(moment).collect())
    }

    /// As many, independent of each other: what a Poisson process of that rate is when exactly that
    /// many arrive, so that every point has the rate that it is named after.
    pub fn poisson(per_second: f64, seconds: f64) -> Self {
        Self::scattered(count(per_second, seconds), Duration::from_secs_f64(seconds))
    }

    /// `asks` at independent moments within `span`.
    pub fn scattered(asks: usize, span: Duration) -> Self {
        let mut random = SmallRng::seed_from_u64(SEED);
        let moment = |_| span.mul_f64(random.random::<f64>());
        let mut moments: Vec<_> = (0..asks).map(moment).collect();
        moments.sort_unstable();
        Self(moments)
    }

    /// Each moment in order.
    pub fn moments(&self) -> &[Duration] {
        &self.0
    }

    /// Tells each ask's number at its moment, and the moment itself.
    ///
    /// A thread's sleep is exact to about 60 µs, where the runtime's timers round up to the next
    /// millisecond: that would be as long as what is measured.
    pub fn keep(self) -> mpsc::UnboundedReceiver<(usize, Instant)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let begin = Instant::now() + RUN_UP;
            for (number, moment) in self.moments().iter().enumerate() {
                let at = begin + *moment;
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                if sender.send((number, at)).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

/// An even number, so that nobody is left over, and at least one pair.
fn count(per_second: f64, seconds: f64) -> usize {
    // Rates and times are bounded by the command line.
    let pairs = (per_second * seconds / 2.0).round() as usize;
    pairs.max(1) * 2
}
