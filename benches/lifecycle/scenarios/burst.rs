//! Everybody asks at once.

use std::time::Duration;

use crate::crowd::Crowd;
use crate::ledger::Violations;
use crate::options::{Burst, Common};
use crate::report::Results;
use crate::server::Server;
use crate::timetable::Timetable;

use super::load::room_for;
use super::point::{Point, gather_faults, show};

/// Each ask is for the next bucket, so that people wait for those who come later.
const TURN: usize = 1;

/// Lets everybody ask once, each time on a new server.
pub async fn run(common: &Common, options: &Burst) -> anyhow::Result<Results> {
    let within = Duration::from_millis(options.within_ms);
    let mut violations = Violations::default();
    let mut runs = Vec::new();
    for _ in 0..options.runs {
        let mut server = Server::of(common, &[room_for(options.users)]).await?;
        let crowd = Crowd::gather(common, &server.target, options.users, options.buckets).await?;
        let rate = options.users as f64 / 2.0 / within.as_secs_f64().max(0.001);
        let timetable = Timetable::scattered(options.users, within);
        let point = Point::measure(&crowd, server.pid, rate, timetable, TURN, common.drain).await?;
        gather_faults(&mut violations, &crowd, &mut server).await?;
        drop(crowd);
        server.kill();
        runs.push(vec![point]);
    }
    let title = format!(
        "burst: {} users over {} buckets, all ask within {} ms; latencies in ms",
        options.users, options.buckets, options.within_ms
    );
    let json = show(&title, "burst", &runs)?;
    Ok(Results { json, violations })
}
