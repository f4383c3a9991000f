//! Whether a long load ends as it began.
//!
//! Pure: how its time is divided, and what its first and last parts are to each other.

use serde::Serialize;

/// Length of the first and the last part, in seconds, where the load is long enough.
const EDGE_S: f64 = 60.0;
/// How many parts lie between them.
const BETWEEN: usize = 10;
/// Longest time for which asks are planned ahead, and until what is over is forgotten, in seconds:
/// what this tool needs depends on it, and not on how long the load lasts.
const SLICE_S: f64 = 30.0;

/// What was measured of one part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// CPU of the server for a lifecycle, in any unit.
    pub server_cpu: Option<f64>,
    /// That of all.
    pub all_cpu: Option<f64>,
    /// Match p99.
    pub match_p99: Option<f64>,
}

/// The last part against the first one, and memory at rest afterwards against before; 1 is alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratios {
    pub server_cpu: Option<f64>,
    pub all_cpu: Option<f64>,
    pub match_p99: Option<f64>,
    pub memory: Option<f64>,
}

impl Ratios {
    /// From the first and the last part, and the memory at rest before and after all of them.
    pub fn of(first: Measured, last: Measured, rest_bytes: [Option<u64>; 2]) -> Self {
        let [before, after] = rest_bytes.map(|bytes| bytes.map(|bytes| bytes as f64));
        Self {
            server_cpu: ratio(last.server_cpu, first.server_cpu),
            all_cpu: ratio(last.all_cpu, first.all_cpu),
            match_p99: ratio(last.match_p99, first.match_p99),
            memory: ratio(after, before),
        }
    }
}

fn ratio(value: Option<f64>, base: Option<f64>) -> Option<f64> {
    value.zip(base).map(|(value, base)| value / base)
}

/// The lengths of all parts of a load, in seconds: a minute, ten tenths of what lies between, a
/// minute. What is shorter than four minutes begins and ends with a quarter of it.
pub fn parts(seconds: f64) -> Vec<f64> {
    let edge = EDGE_S.min(seconds / 4.0);
    let between = (seconds - 2.0 * edge) / BETWEEN as f64;
    let mut parts = vec![edge];
    parts.extend([between; BETWEEN]);
    parts.push(edge);
    parts
}

/// The lengths of the slices of a part, in seconds.
pub fn slices(part: f64) -> Vec<f64> {
    let count = (part / SLICE_S).ceil().max(1.0);
    vec![part / count; count as usize]
}
