//! Whole lifecycles at fixed rates.

use serde_json::json;

use crate::ledger::Violations;
use crate::options::{Arrivals, Load};
use crate::plots;
use crate::report::{Results, machine_line};
use crate::timetable::Timetable;

use super::Bench;
use super::bare::{OneRequest, compared};
use super::point::Point;
use super::setting::Setting;
use super::stage::Stage;
use super::table::{Runs, show};

/// Two asks in a row are for one bucket, so that they meet.
pub const TURN: usize = 2;

/// Drives every rate for a while, on one server after the other.
pub async fn run(bench: &Bench, options: &Load) -> anyhow::Result<Results> {
    let mut violations = Violations::default();
    let settings = settings(bench, options).await?;
    let mut all: Vec<Runs> = settings.iter().map(|_| Runs::new()).collect();
    let mut bare = Vec::new();
    for _ in 0..options.runs {
        let of_run = compared(&bench.common).await?;
        for (setting, runs) in settings.iter().zip(&mut all) {
            let mut points = one_run(bench, setting, options, &mut violations).await?;
            if let Some(bare) = &of_run {
                points.iter_mut().for_each(|point| point.compare(bare));
            }
            runs.push(points);
        }
        bare.extend(of_run);
    }
    let title = format!(
        "load: {} s per point, {} buckets, {} users, {} arrivals; latencies in ms",
        options.seconds,
        options.traffic.people.buckets,
        options.traffic.people.users,
        options.traffic.arrivals.name()
    );
    // With others is compared to without, else one kind of backends to the first.
    let kinds = bench.kinds().len();
    let group = match settings.len() > kinds {
        true => settings.len() / kinds,
        false => kinds,
    };
    let mut json = show(&title, "load", &all, group)?;
    bare.iter().for_each(OneRequest::print);
    json["bare"] = json!(bare);
    if let Some(folder) = &options.plots {
        let caption = [title, machine_line()?];
        plots::write(folder, &json["points"], &caption)?;
    }
    Ok(Results { json, violations })
}

/// Each kind of backends without and with those who are there besides.
async fn settings<'a>(bench: &Bench, options: &'a Load) -> anyhow::Result<Vec<Setting<'a>>> {
    let without = options.and_without && !options.traffic.bystanders.are_none();
    let without = without.then(|| options.traffic.bystanders.fewer());
    let mut settings = Vec::new();
    for kind in bench.kinds() {
        for bystanders in without.into_iter().chain([options.traffic.bystanders]) {
            settings.push(Setting::new(bench, kind, &options.traffic.people, bystanders).await?);
        }
    }
    Ok(settings)
}

async fn one_run(
    bench: &Bench,
    setting: &Setting<'_>,
    options: &Load,
    violations: &mut Violations,
) -> anyhow::Result<Vec<Point>> {
    let stage = Stage::set(bench, setting).await?;
    let first = options.rates.first().filter(|_| options.warm_up > 0.0);
    if let Some(rate) = first {
        let timetable = timetable(options.traffic.arrivals, *rate, options.warm_up);
        stage.warm_up(timetable, TURN).await;
    }
    let mut points = Vec::new();
    for rate in &options.rates {
        let timetable = timetable(options.traffic.arrivals, *rate, options.seconds);
        points.push(stage.measure(*rate, timetable, TURN).await?);
    }
    stage.close(violations).await?;
    Ok(points)
}

/// A lifecycle takes two asks.
pub fn timetable(arrivals: Arrivals, rate: f64, seconds: f64) -> Timetable {
    match arrivals {
        Arrivals::Even => Timetable::even(rate * 2.0, seconds),
        Arrivals::Poisson => Timetable::poisson(rate * 2.0, seconds),
    }
}
