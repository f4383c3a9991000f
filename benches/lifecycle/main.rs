//! The load tool: starts the server, drives it by a timetable that is fixed in advance, checks while
//! it loads that everything it is told fits together, and prints what operators want to know.
//!
//! ```text
//! cargo bench --bench lifecycle                                       # everything, about a minute
//! cargo bench --bench lifecycle -- load --rates 200 --runs 3          # one scenario
//! cargo bench --bench lifecycle -- load --url http://host:8002 --secret …   # a running server
//! ```
//!
//! Latency counts from the moment at which the timetable meant a request to be sent, so a server that
//! stalls is charged for everybody who had to wait meanwhile. The exit code is 1 if something did not
//! fit together, and 2 if the tool itself could not do its work.

mod client;
mod crowd;
mod faults;
mod ledger;
mod meter;
mod options;
mod report;
mod scenarios;
mod server;
mod stats;
mod timetable;
mod tokens;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use options::CommandLine;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let Some(scenarios) = command_line.scenarios() else {
        // `cargo test --all-targets` runs benches too, and must not wait for them.
        println!("nothing to do: this is meant for `cargo bench --bench lifecycle`");
        return ExitCode::SUCCESS;
    };
    match run(&command_line, scenarios) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("lifecycle: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the scenarios one after the other; answers with how many violations were seen.
fn run(command_line: &CommandLine, scenarios: Vec<options::Scenario>) -> anyhow::Result<u64> {
    // One thread: it costs least, and what it is told is seen in one order.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?;
    let local = tokio::task::LocalSet::new();
    let common = &command_line.common;
    let mut report = report::Report::new();
    for scenario in scenarios {
        let results = local.block_on(&runtime, scenarios::run(common, scenario))?;
        report.add(results);
    }
    if let Some(file) = &common.json {
        report.write(file)?;
    }
    report.print_violations();
    Ok(report.violations())
}
