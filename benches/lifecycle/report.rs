//! Tables for people, and one JSON file for programs.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::ledger::Violations;
use crate::masks::without_secrets;

/// What one scenario found.
pub struct Results {
    pub json: Value,
    pub violations: Violations,
}

/// What all scenarios found.
pub struct Report {
    results: Vec<Value>,
    violations: Violations,
}

impl Report {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            results: Vec::new(),
            violations: Violations::default(),
        }
    }

    /// Adds what one scenario found.
    pub fn add(&mut self, results: Results) {
        self.results.push(results.json);
        self.violations.add(results.violations);
    }

    /// How many violations there were.
    pub fn violations(&self) -> u64 {
        self.violations.total
    }

    /// Writes everything to a file.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let report = json!({
            "tool": "lifecycle",
            "at": OffsetDateTime::now_utc().format(&Rfc3339)?,
            "command": command(),
            "machine": machine(),
            "results": self.results,
            "violations": {"total": self.violations.total, "shown": self.violations.shown},
        });
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(file, text + "\n")
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Prints them, or that there are none.
    pub fn print_violations(&self) {
        let Violations { shown, total } = &self.violations;
        if *total == 0 {
            println!("\nchecks: everything fits together");
            return;
        }
        println!("\nchecks: {total} VIOLATIONS, the first {}:", shown.len());
        shown.iter().for_each(|violation| println!("  {violation}"));
    }
}

/// Columns of text, aligned to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With the names of the columns.
    pub fn new(names: &[&str]) -> Self {
        Self {
            rows: vec![names.iter().map(|name| (*name).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it below a title.
    pub fn print(&self, title: &str) {
        println!("\n{title}");
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self
                .rows
                .iter()
                .filter_map(|row: &Vec<String>| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let cells = cells.map(|(cell, width)| format!("{cell:>width$}"));
            println!("  {}", cells.collect::<Vec<_>>().join("  "));
        }
    }
}

/// What stands where a figure is not known.
pub const UNKNOWN: &str = "–";

/// A number with so many decimals, or that it is not known.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.decimals$}"))
}

/// Bytes as megabytes.
pub fn megabytes(bytes: Option<u64>) -> String {
    number(bytes.map(|bytes| bytes as f64 / 1e6), 1)
}

/// The machine, the day and the command line, as a caption has them.
pub fn machine_line() -> anyhow::Result<String> {
    let machine = machine();
    let model = machine["cpu"].as_str().unwrap_or("unknown CPU");
    let now = OffsetDateTime::now_utc().format(&Rfc3339)?;
    Ok(format!(
        "{model}, {} cores; {}; lifecycle {}",
        machine["cores"],
        now.get(..10).unwrap_or(&now),
        command().join(" ")
    ))
}

/// The command line of this tool, without what nobody else may read.
fn command() -> Vec<String> {
    without_secrets(std::env::args().skip(1).filter(|word| word != "--bench"))
}

fn machine() -> Value {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|rest| rest.trim_start_matches([':', '\t', ' ']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({"cores": cores, "cpu": model, "kernel": kernel.trim()})
}
