//! What is random: each stream is drawn from the seed, so that one of them never shifts another.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// The stream `number` of `what`.
    pub fn new(seed: u64, what: &str, number: u64) -> Self {
        let mut mixed = seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in what.bytes().chain(number.to_le_bytes()) {
            mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(StdRng::seed_from_u64(mixed))
    }

    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    pub fn index(&mut self, len: usize) -> usize {
        self.0.random_range(0..len)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.index(from.len())])
    }

    /// Mostly short, sometimes long, up to `max`.
    pub fn skewed(&mut self, max: u64) -> u64 {
        let reach = match self.within(0..=9) {
            0..=4 => max / 30,
            5..=7 => max / 6,
            _ => max,
        };
        self.within(0..=reach.max(1))
    }
}
