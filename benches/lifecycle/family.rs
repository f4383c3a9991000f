//! CPU time of a process, its threads and everything that it started.
//!
//! PostgreSQL is a process for each connection, and RabbitMQ has helpers: what such a server costs is
//! the sum over all of them, those that have ended included.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Length of the ticks in /proc; the kernel's interface fixes it on every usual architecture.
const TICK: Duration = Duration::from_millis(10);
/// Where the fields of /proc/PID/stat are, counted from the first one behind the name.
const PARENT: usize = 1;
const OWN_USER: usize = 11;
const OWN_SYSTEM: usize = 12;
const REAPED_USER: usize = 13;
const REAPED_SYSTEM: usize = 14;

/// User and system time of a process and of its children and theirs, ended ones too.
pub fn family_cpu(root: u32) -> anyhow::Result<Duration> {
    let all = processes()?;
    let members = members(root, &all);
    let own = all.iter().filter(|process| members.contains(&process.pid));
    anyhow::ensure!(
        members.len() > 1 || own.clone().next().is_some(),
        "process {root} has ended"
    );
    Ok(own.map(Process::cpu).sum())
}

/// User and system time of a process with all its threads, ended ones too, at least as exact as
/// the ticks that its own clock is rounded down to.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let rough = cpu_in(&stat).with_context(|| format!("{path} tells no CPU time"))?;
    Ok(rough.max(run_time(pid)))
}

/// A line of the table of processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    /// Its own CPU time, rounded down to ticks.
    pub own: Duration,
    /// That of its children that have ended, and of theirs.
    pub reaped: Duration,
}

impl Process {
    fn cpu(&self) -> Duration {
        self.own.max(run_time(self.pid)) + self.reaped
    }
}

/// The process itself and all that descend from it.
pub fn members(root: u32, all: &[Process]) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(parent) = members.get(next).copied() {
        let children = all.iter().filter(|process| process.parent == parent);
        members.extend(children.map(|process| process.pid));
        next += 1;
    }
    members
}

fn processes() -> anyhow::Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("there is no /proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that has just ended is nobody's member any more.
    let read = |pid: u32| process_in(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    Ok(pids.filter_map(read).collect())
}

/// The process in the text of /proc/PID/stat.
pub fn process_in(pid: u32, stat: &str) -> Option<Process> {
    let (parent, _) = fields(stat, PARENT, PARENT)?;
    Some(Process {
        pid,
        parent: u32::try_from(parent).ok()?,
        own: cpu_in(stat)?,
        reaped: time(fields(stat, REAPED_USER, REAPED_SYSTEM)?),
    })
}

/// A process's own CPU time in the text of /proc/PID/stat.
pub fn cpu_in(stat: &str) -> Option<Duration> {
    Some(time(fields(stat, OWN_USER, OWN_SYSTEM)?))
}

fn fields(stat: &str, one: usize, other: usize) -> Option<(u64, u64)> {
    // The name of the program stands in brackets and may itself hold brackets and blanks.
    let (_, after_name) = stat.rsplit_once(')')?;
    let field = |number| {
        after_name
            .split_ascii_whitespace()
            .nth(number)?
            .parse()
            .ok()
    };
    Some((field(one)?, field(other)?))
}

fn time((user, system): (u64, u64)) -> Duration {
    Duration::from_millis((user + system) * TICK.as_millis() as u64)
}

/// The sum over the threads that live, to the nanosecond; 0 where the kernel does not tell.
fn run_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let times = threads.filter_map(|thread| {
        let path = thread.ok()?.path().join("schedstat");
        run_time_in(&fs::read_to_string(path).ok()?)
    });
    times.sum()
}

/// The time on a processor in the text of a schedstat.
pub fn run_time_in(schedstat: &str) -> Option<Duration> {
    let first = schedstat.split_ascii_whitespace().next()?;
    Some(Duration::from_nanos(first.parse().ok()?))
}
