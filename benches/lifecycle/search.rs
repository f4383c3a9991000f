//! Looks for the highest rate that a server holds.
//!
//! Pure: a rate comes out, whether it was held comes in.

/// By how much a rate that was held is raised while none was too high, and lowered while none was
/// held.
const STEP: f64 = 2.0;
/// The search ends when the lowest rate that was too high is within this factor of the highest one
/// that was held.
const CLOSE_ENOUGH: f64 = 1.05;
/// No rate below this one is tried.
const LEAST: f64 = 1.0;

/// A search under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    first: f64,
    held: Option<f64>,
    too_high: Option<f64>,
}

impl Search {
    /// Begins at this rate.
    pub fn from(first: f64) -> Self {
        Self {
            first,
            held: None,
            too_high: None,
        }
    }

    /// The rate to be tried next; nothing where the search is over.
    pub fn next(&self) -> Option<f64> {
        match (self.held, self.too_high) {
            (None, None) => Some(self.first),
            (Some(held), None) => Some(held * STEP),
            (None, Some(too_high)) => Some(too_high / STEP).filter(|rate| *rate >= LEAST),
            // In the middle as ratios are.
            (Some(held), Some(too_high)) => {
                (too_high > held * CLOSE_ENOUGH).then(|| (held * too_high).sqrt())
            }
        }
    }

    /// Takes in how it went with the rate that was to be tried.
    pub fn tried(&mut self, rate: f64, held: bool) {
        match held {
            true => self.held = Some(rate),
            false => self.too_high = Some(rate),
        }
    }

    /// The highest rate that was held.
    pub fn found(&self) -> Option<f64> {
        self.held
    }
}
