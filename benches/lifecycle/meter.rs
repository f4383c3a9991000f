//! What a load costs: CPU and memory of the server, CPU of its backends and of this tool, and what
//! else the machine did.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::time::Instant;

use crate::family::{cpu, family_cpu};

/// Length of the ticks in /proc; the kernel's interface fixes it on every usual architecture.
const TICK: Duration = Duration::from_millis(10);

/// CPU time and memory between two moments.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// User and system time of the server, in seconds; not known for a server elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_s: Option<f64>,
    /// The same of each of the backends with all their processes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub backends_cpu_s: BTreeMap<&'static str, f64>,
    /// Most memory that the server had resident meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_peak_bytes: Option<u64>,
    /// Memory that it has resident at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// CPU of this tool; 1 is one core that is always busy.
    pub tool_cores: f64,
    /// CPU of everything that is neither the server nor its backends nor this tool, in cores.
    pub other_cores: f64,
    /// CPU that a hypervisor gave to somebody else, in cores.
    pub stolen_cores: f64,
}

/// Memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub bytes: u64,
    pub peak_bytes: u64,
}

/// CPU time of all cores since they were started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    pub busy: Duration,
    pub stolen: Duration,
}

/// Reads the clocks at the beginning and the end.
pub struct Meter<'a> {
    server: Option<u32>,
    backends: &'a [(&'static str, u32)],
    began: Instant,
    server_cpu: Option<Duration>,
    backends_cpu: Vec<Duration>,
    tool_cpu: Duration,
    machine: Machine,
}

impl<'a> Meter<'a> {
    /// Begins to measure; without a process id nothing is known of the server. `backends` are names
    /// and first processes.
    pub fn start(server: Option<u32>, backends: &'a [(&'static str, u32)]) -> anyhow::Result<Self> {
        if let Some(pid) = server {
            forget_peak(pid);
        }
        Ok(Self {
            server,
            backends,
            began: Instant::now(),
            server_cpu: server.map(cpu).transpose()?,
            backends_cpu: families(backends)?,
            tool_cpu: cpu(std::process::id())?,
            machine: machine()?,
        })
    }

    /// What it cost since then.
    pub fn read(&self) -> anyhow::Result<Cost> {
        let wall = self.began.elapsed().as_secs_f64().max(f64::EPSILON);
        let tool_cpu = cpu(std::process::id())?.saturating_sub(self.tool_cpu);
        let backends_cpu = families(self.backends)?;
        let backends_cpu = backends_cpu.iter().zip(&self.backends_cpu);
        let backends_cpu = backends_cpu.map(|(now, before)| now.saturating_sub(*before));
        let backends_cpu: Vec<Duration> = backends_cpu.collect();
        let now = machine()?;
        let server_cpu = match (self.server, self.server_cpu) {
            (Some(pid), Some(before)) => Some(cpu(pid)?.saturating_sub(before)),
            _ => None,
        };
        let of_backends: Duration = backends_cpu.iter().sum();
        let ours = tool_cpu + server_cpu.unwrap_or_default() + of_backends;
        let others = now.busy.saturating_sub(self.machine.busy + ours);
        let stolen = now.stolen.saturating_sub(self.machine.stolen);
        let memory = self.server.map(memory).transpose()?;
        Ok(Cost {
            server_cpu_s: server_cpu.map(|cpu| cpu.as_secs_f64()),
            backends_cpu_s: self
                .backends
                .iter()
                .zip(backends_cpu)
                .map(|((name, _), cpu)| (*name, cpu.as_secs_f64()))
                .collect(),
            rss_peak_bytes: memory.map(|memory| memory.peak_bytes),
            rss_bytes: memory.map(|memory| memory.bytes),
            tool_cores: tool_cpu.as_secs_f64() / wall,
            other_cores: others.as_secs_f64() / wall,
            stolen_cores: stolen.as_secs_f64() / wall,
        })
    }
}

fn families(backends: &[(&'static str, u32)]) -> anyhow::Result<Vec<Duration>> {
    backends.iter().map(|(_, pid)| family_cpu(*pid)).collect()
}

/// The memory of a process.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let text = read(&format!("/proc/{pid}/status"))?;
    memory_in(&text).with_context(|| format!("/proc/{pid}/status tells no memory"))
}

/// Lets the peak begin anew. Where that is not allowed, it is the one since the process began.
fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

fn machine() -> anyhow::Result<Machine> {
    machine_in(&read("/proc/stat")?).context("/proc/stat tells no CPU time")
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))
}

/// Memory in the text of /proc/PID/status.
pub fn memory_in(status: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line.trim_start_matches(':').trim().strip_suffix("kB")?;
        number.trim().parse::<u64>().ok()
    };
    Some(Memory {
        bytes: kib("VmRSS")? * 1_024,
        peak_bytes: kib("VmHWM")? * 1_024,
    })
}

/// CPU time of all cores in the text of /proc/stat.
pub fn machine_in(stat: &str) -> Option<Machine> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Result<Vec<u64>, _> = line.split_ascii_whitespace().map(str::parse).collect();
    // Guest time, which comes after these, is part of user time.
    let [user, nice, system, _idle, _io_wait, irq, soft_irq, stolen] =
        *ticks.ok()?.first_chunk::<8>()?;
    let to_time = |ticks: u64| Duration::from_millis(ticks * TICK.as_millis() as u64);
    Some(Machine {
        busy: to_time(user + nice + system + irq + soft_irq),
        stolen: to_time(stolen),
    })
}
