//! The actors run in virtual time: one hour of some thirty people's lives against the real actors
//! and the real writer, on one thread whose clock jumps from event to event, with backends that are
//! ill by seed and processes that are killed.
//!
//! [`plan`] is what a seed decides beforehand, [`people`] what people do, [`backends`] and
//! [`neighbours`] what the server stands on; [`rows`] and [`hearing`] hold what must be true, with
//! the referee, promises and witness of the simulation of the domain; [`announcing`] is what the relay
//! stands on, and what must be true of announcements. [`hour`] puts it together.
//!
//! `VIRTUAL_SEEDS` sets how many hours are run and `VIRTUAL_SEED` which one alone; `VIRTUAL_TRACE`
//! prints all that happens. A seed runs the same way every time: some are run twice to see it.

mod announcing;
mod backends;
mod calls;
mod chance;
mod failures;
mod hearing;
mod hour;
mod neighbours;
mod people;
mod plan;
mod probes;
mod rows;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::{env, panic, thread};

use hour::{Outcome, run};

const SEEDS: u64 = 20;
/// What has to happen in so many hours: hours in which it does not would attack less than they say.
const HAPPENS: [&str; 17] = [
    "announced again",
    "asks without an answer",
    "broker",
    "calm looks",
    "declined",
    "duplicates",
    "expired",
    "extended",
    "given up",
    "left",
    "replaced",
    "silences",
    "store fails",
    "store hangs",
    "stored after the kill",
    "unroutable",
    "withdrawn",
];

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

#[test]
fn every_hour_keeps_the_guarantees_and_runs_the_same_way_again() {
    let seeds = match number("VIRTUAL_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("VIRTUAL_SEEDS").unwrap_or(SEEDS),
    };
    eprintln!("virtual time: seeds {seeds:?}");
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (what, times) in on_all_cores(seeds).into_iter().flatten() {
        *seen.entry(what).or_default() += times;
    }
    eprintln!("virtual time: {seen:?}");
    if seen.get("hours") >= Some(&SEEDS) {
        let missing = HAPPENS.iter().filter(|what| !seen.contains_key(*what));
        assert_eq!(missing.count(), 0, "something has never happened: {seen:?}");
    }
}

/// What each of these has tried. A seed runs on one thread; several run side by side.
fn on_all_cores(seeds: RangeInclusive<u64>) -> Vec<BTreeMap<&'static str, u64>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let next = Mutex::new(seeds);
    let take = || next.lock().expect("a seed fails outside of it").next();
    let work = || {
        std::iter::from_fn(take)
            .map(|seed| hour(seed).seen)
            .collect()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        let seen = done.map(|done: thread::Result<Vec<_>>| {
            done.unwrap_or_else(|failed| panic::resume_unwind(failed))
        });
        seen.flatten().collect()
    })
}

/// The hour of `seed`. A seed that was asked for, two of those that are always run and one in a
/// hundred of many run twice: whatever is printed can be run again.
fn hour(seed: u64) -> Outcome {
    let first = run(seed);
    let asked_for = number("VIRTUAL_SEED").is_some();
    if asked_for || matches!(seed, 7 | 16) || seed.is_multiple_of(100) {
        let second = run(seed);
        let same = (first.hash, first.lines) == (second.hash, second.lines);
        assert!(same, "VIRTUAL_SEED={seed} runs otherwise the second time");
    }
    first
}
