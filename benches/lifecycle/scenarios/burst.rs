//! Everybody asks at once.

use std::time::Duration;

use crate::ledger::Violations;
use crate::options::{Burst, Bystanders};
use crate::report::Results;
use crate::timetable::Timetable;

use super::Bench;
use super::setting::Setting;
use super::stage::Stage;
use super::table::{Runs, show};

/// Each ask is for the next bucket, so that people wait for those who come later.
const TURN: usize = 1;

/// Lets everybody ask once, each time on a new server.
pub async fn run(bench: &Bench, options: &Burst) -> anyhow::Result<Results> {
    let within = Duration::from_millis(options.within_ms);
    let rate = options.people.users as f64 / 2.0 / within.as_secs_f64().max(0.001);
    let mut violations = Violations::default();
    let kinds = bench.kinds();
    let mut all: Vec<Runs> = kinds.iter().map(|_| Runs::new()).collect();
    for _ in 0..options.runs {
        for (kind, runs) in kinds.iter().zip(&mut all) {
            let setting =
                Setting::new(bench, *kind, &options.people, Bystanders::default()).await?;
            let stage = Stage::set(bench, &setting).await?;
            let timetable = Timetable::scattered(options.people.users, within);
            runs.push(vec![stage.measure(rate, timetable, TURN).await?]);
            stage.close(&mut violations).await?;
        }
    }
    let title = format!(
        "burst: {} users over {} buckets, all ask within {} ms; latencies in ms",
        options.people.users, options.people.buckets, options.within_ms
    );
    let json = show(&title, "burst", &all, all.len())?;
    Ok(Results { json, violations })
}
