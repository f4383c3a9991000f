//! Whole lifecycles at fixed rates.

use crate::ledger::Violations;
use crate::options::{Arrivals, Kind, Load};
use crate::report::Results;
use crate::timetable::Timetable;

use super::Bench;
use super::point::Point;
use super::stage::Stage;
use super::table::{Runs, show};

/// Two asks in a row are for one bucket, so that they meet.
const TURN: usize = 2;

/// Drives every rate for a while, on one server after the other.
pub async fn run(bench: &Bench, options: &Load) -> anyhow::Result<Results> {
    let mut violations = Violations::default();
    let kinds = bench.kinds();
    let mut all: Vec<Runs> = kinds.iter().map(|_| Runs::new()).collect();
    for _ in 0..options.runs {
        for (kind, runs) in kinds.iter().zip(&mut all) {
            runs.push(one_run(bench, *kind, options, &mut violations).await?);
        }
    }
    let title = format!(
        "load: {} s per point, {} buckets, {} users, {} arrivals; latencies in ms",
        options.seconds,
        options.people.buckets,
        options.people.users,
        options.arrivals.name()
    );
    let json = show(&title, "load", &all)?;
    Ok(Results { json, violations })
}

async fn one_run(
    bench: &Bench,
    kind: Kind,
    options: &Load,
    violations: &mut Violations,
) -> anyhow::Result<Vec<Point>> {
    let stage = Stage::set(bench, kind, &options.people).await?;
    let first = options.rates.first().filter(|_| options.warm_up > 0.0);
    if let Some(rate) = first {
        let timetable = timetable(options.arrivals, *rate, options.warm_up);
        stage.warm_up(timetable, TURN).await;
    }
    let mut points = Vec::new();
    for rate in &options.rates {
        let timetable = timetable(options.arrivals, *rate, options.seconds);
        points.push(stage.measure(*rate, timetable, TURN).await?);
    }
    stage.close(violations).await?;
    Ok(points)
}

/// A lifecycle takes two asks.
fn timetable(arrivals: Arrivals, rate: f64, seconds: f64) -> Timetable {
    match arrivals {
        Arrivals::Even => Timetable::even(rate * 2.0, seconds),
        Arrivals::Poisson => Timetable::poisson(rate * 2.0, seconds),
    }
}

/// The variable with which a server of ours takes a socket of each of these people.
pub(super) fn room_for(users: usize) -> (&'static str, String) {
    ("MAX_SOCKETS", users.max(20_000).to_string())
}
