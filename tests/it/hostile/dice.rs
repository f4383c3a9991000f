//! Everything that is left to chance, by seed.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Chance that can be repeated.
pub struct Dice(StdRng);

impl Dice {
    /// All that follows from `seed` and the number of the part.
    pub fn new(seed: u64, part: u64) -> Self {
        Self(StdRng::seed_from_u64(
            seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        ))
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, of_hundred: u32) -> bool {
        self.0.random_ratio(of_hundred, 100)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// One of these.
    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A byte of any value.
    pub fn byte(&mut self) -> u8 {
        self.0.random()
    }

    /// An id that nobody has.
    pub fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.0.random())
            .into_uuid()
            .to_string()
    }
}
