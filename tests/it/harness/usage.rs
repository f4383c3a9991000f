//! What a server counts, and what it uses.

use std::fs;

use super::Server;

/// Resident memory of a process.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now, in bytes.
    pub now: u64,
    /// The most that there was so far, in bytes.
    pub peak: u64,
}

impl Server {
    /// One sample of the metrics, with its labels if it has any; 0 where nothing was counted yet.
    pub async fn metric(&self, sample: &str) -> f64 {
        let reply = self.get("/metrics").await;
        reply.expect(200);
        let line = reply
            .text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// How often a limit was reached.
    pub async fn reached(&self, limit: &str) -> f64 {
        let sample = format!("matchmaker_limit_reached_total{{limit=\"{limit}\"}}");
        self.metric(&sample).await
    }

    /// Its resident memory.
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the server runs");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.expect("the kernel says how much") * 1_024
        };
        Memory {
            now: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
        }
    }

    /// Connections that it holds open: those of its port, as the kernel lists them, that belong to a
    /// process.
    pub fn connections(&self) -> usize {
        let port = format!(":{:04X}", self.api().port());
        let table = fs::read_to_string("/proc/net/tcp").expect("there is /proc");
        let is_own = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else {
                return false;
            };
            // Those that wait to be accepted belong to nobody yet.
            local.ends_with(&port) && state != "0A" && inode != "0"
        };
        table.lines().filter(is_own).count()
    }
}
