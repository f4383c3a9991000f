//! Whole lifecycles at fixed rates.

use std::time::Duration;

use crate::crowd::Crowd;
use crate::ledger::Violations;
use crate::options::{Arrivals, Common, Load};
use crate::report::Results;
use crate::server::Server;
use crate::timetable::Timetable;

use super::point::{Point, gather_faults, show};

/// Two asks in a row are for one bucket, so that they meet.
const TURN: usize = 2;

/// Drives every rate for a while, on one server after the other.
pub async fn run(common: &Common, options: &Load) -> anyhow::Result<Results> {
    let mut violations = Violations::default();
    let mut runs = Vec::new();
    for _ in 0..options.runs {
        runs.push(one_run(common, options, &mut violations).await?);
    }
    let title = format!(
        "load: {} s per point, {} buckets, {} users, {} arrivals; latencies in ms",
        options.seconds,
        options.buckets,
        options.users,
        options.arrivals.name()
    );
    let json = show(&title, "load", &runs)?;
    Ok(Results { json, violations })
}

async fn one_run(
    common: &Common,
    options: &Load,
    violations: &mut Violations,
) -> anyhow::Result<Vec<Point>> {
    let mut server = Server::of(common, &[room_for(options.users)]).await?;
    let crowd = Crowd::gather(common, &server.target, options.users, options.buckets).await?;
    let first = options.rates.first().filter(|_| options.warm_up > 0.0);
    if let Some(rate) = first {
        let timetable = timetable(options.arrivals, *rate, options.warm_up);
        let drain = Duration::from_secs(common.drain);
        crowd.drive(timetable, TURN, drain).await;
    }
    let mut points = Vec::new();
    for rate in &options.rates {
        let timetable = timetable(options.arrivals, *rate, options.seconds);
        let point =
            Point::measure(&crowd, server.pid, *rate, timetable, TURN, common.drain).await?;
        points.push(point);
    }
    gather_faults(violations, &crowd, &mut server).await?;
    drop(crowd);
    server.kill();
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
