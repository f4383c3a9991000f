//! Latencies and what is said about them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

/// Latencies of one kind. Every one is kept, so the figures are exact.
#[derive(Debug, Default)]
pub struct Latencies {
    us: Vec<u32>,
}

/// What is printed about latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many there were.
    pub count: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

impl Latencies {
    /// Keeps one; over an hour counts as an hour and a bit.
    pub fn record(&mut self, latency: Duration) {
        let us = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.us.push(us);
    }

    /// What they were; nothing where there was none.
    pub fn summary(mut self) -> Option<Summary> {
        self.us.sort_unstable();
        let max = *self.us.last()?;
        let at = |per_mille| to_ms(nearest_rank(&self.us, per_mille));
        Some(Summary {
            count: self.us.len(),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
            max: to_ms(max),
        })
    }
}

/// The smallest value that at least `per_mille` thousandths of the values do not exceed.
fn nearest_rank(sorted: &[u32], per_mille: usize) -> u32 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted[rank - 1]
}

fn to_ms(us: u32) -> f64 {
    f64::from(us) / 1_000.0
}

/// The median of each number in values of one shape, over those that have it; of an even count the
/// lower one. What is no number is as in the first.
pub fn medians(runs: &[Value]) -> Value {
    let Some(first) = runs.first() else {
        return Value::Null;
    };
    match first {
        Value::Number(_) => {
            let mut numbers: Vec<_> = runs.iter().filter(|value| value.is_number()).collect();
            numbers.sort_by(|a, b| as_f64(a).total_cmp(&as_f64(b)));
            numbers[(numbers.len() - 1) / 2].clone()
        }
        Value::Object(_) => {
            let objects = runs.iter().filter_map(Value::as_object);
            let names: BTreeSet<&String> = objects.flat_map(|object| object.keys()).collect();
            let median = |name: &String| {
                let all: Vec<_> = runs
                    .iter()
                    .filter_map(|run| run.get(name).cloned())
                    .collect();
                medians(&all)
            };
            let members = names.into_iter().map(|name| (name.clone(), median(name)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

/// Each number of `value` divided by the one at the same place in `base`; what has no such number, or
/// 0 there, is left out.
pub fn ratios(value: &Value, base: &Value) -> Value {
    match (value, base) {
        (Value::Number(_), Value::Number(_)) if as_f64(base) != 0.0 => {
            Value::from(as_f64(value) / as_f64(base))
        }
        (Value::Object(members), Value::Object(bases)) => {
            let divided = members.iter().filter_map(|(name, value)| {
                let ratio = ratios(value, bases.get(name)?);
                (!ratio.is_null()).then(|| (name.clone(), ratio))
            });
            Value::Object(divided.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// A number in what Redis answers to INFO.
pub fn redis_figure(info: &str, name: &str) -> Option<f64> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(found, _)| *found == name)?;
    value.trim().parse().ok()
}

fn as_f64(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}
