//! The load tool: starts the server, drives it by a timetable that is fixed in advance, checks while
//! it loads that everything it is told fits together, and prints what operators want to know.
//!
//! ```text
//! cargo bench --bench lifecycle                                       # all but soak, two minutes
//! cargo bench --bench lifecycle -- load --rates 200 --runs 3          # one scenario
//! cargo bench --bench lifecycle -- load --backends embedded,real      # and on PostgreSQL and so on
//! cargo bench --bench lifecycle -- load --waiting 100000 --and-without # with others who wait
//! cargo bench --bench lifecycle -- peak                               # the highest rate it holds
//! cargo bench --bench lifecycle -- soak                               # an hour at one rate
//! cargo bench --bench lifecycle -- load --url http://host:8002 --secret …   # a running server
//! ```
//!
//! Latency counts from the moment at which the timetable meant a request to be sent, so a server that
//! stalls is charged for everybody who had to wait meanwhile. The exit code is 1 if something did not
//! fit together, and 2 if the tool itself could not do its work.

mod backends;
mod bare;
mod client;
mod crowd;
mod events;
mod family;
mod faults;
mod ledger;
mod masks;
mod meter;
mod options;
mod plots;
mod report;
mod rush;
mod scenarios;
mod search;
mod server;
#[allow(
    dead_code,
    unused_imports,
    clippy::disallowed_methods,
    reason = "tests use more of it, and servers take real time to start"
)]
#[path = "../../tests/it/servers/mod.rs"]
mod servers;
mod stats;
mod steady;
mod timetable;
mod tokens;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use options::{CommandLine, Common, Scenario};
use scenarios::Bench;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let Some(scenarios) = command_line.scenarios() else {
        // `cargo test --all-targets` runs benches too, and must not wait for them.
        println!("nothing to do: this is meant for `cargo bench --bench lifecycle`");
        return ExitCode::SUCCESS;
    };
    let common = command_line.common;
    let ended = match scenarios[..] {
        [Scenario::Bare] => bare::serve(&common).map(|()| 0),
        _ => run(common, scenarios),
    };
    match ended {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("lifecycle: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the scenarios one after the other; answers with how many violations were seen.
fn run(common: Common, scenarios: Vec<Scenario>) -> anyhow::Result<u64> {
    // One thread: it costs least, and what it is told is seen in one order.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?;
    let local = tokio::task::LocalSet::new();
    let bench = Bench::new(common)?;
    let mut report = report::Report::new();
    let mut ended = Ok(());
    for scenario in scenarios {
        match local.block_on(&runtime, scenarios::run(&bench, scenario)) {
            Ok(results) => report.add(results),
            // What was found before is still worth to be read.
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
    }
    if let Some(file) = &bench.common.json {
        report.write(file)?;
    }
    report.print_violations();
    ended?;
    Ok(report.violations())
}
