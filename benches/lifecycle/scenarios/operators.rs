//! Operators who look at a server while it is loaded.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, interval};

use crate::client::{Connection, Fault, Target, request};
use crate::ledger::Violations;
use crate::stats::{Latencies, Summary};

/// What each of them reads, again and again.
const PATHS: [&str; 2] = ["/metrics", "/debug/actors?order=waiting&limit=1000"];
const EVERY: Duration = Duration::from_secs(1);

/// Those who look; dropping this ends them.
#[derive(Default)]
pub struct Operators {
    tasks: Vec<JoinHandle<()>>,
    seen: Rc<RefCell<Seen>>,
}

/// What they saw.
#[derive(Default)]
struct Seen {
    took: [Latencies; PATHS.len()],
    longest_bytes: [usize; PATHS.len()],
    faults: Vec<String>,
}

impl Operators {
    /// So many that each read everything once a second.
    pub fn begin(target: &Target, count: usize) -> Self {
        let seen = Rc::<RefCell<Seen>>::default();
        let task = || spawn_local(look(target.clone(), Rc::clone(&seen)));
        Self {
            tasks: (0..count).map(|_| task()).collect(),
            seen,
        }
    }

    /// Ends them, prints how long they waited, and notes what went wrong.
    pub fn end(&mut self, violations: &mut Violations) {
        self.tasks.drain(..).for_each(|task| task.abort());
        let seen = self.seen.take();
        for fault in seen.faults {
            violations.note(fault);
        }
        let read = PATHS.iter().zip(seen.took).zip(seen.longest_bytes);
        for ((path, took), bytes) in read {
            if let Some(Summary {
                count, p50, max, ..
            }) = took.summary()
            {
                println!(
                    "  {path} was read {count} times: p50 {p50:.1} ms, at most {max:.1} ms and \
                     {bytes} bytes"
                );
            }
        }
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn look(target: Target, seen: Rc<RefCell<Seen>>) {
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        for (number, path) in PATHS.iter().enumerate() {
            let began = Instant::now();
            let read = read(&target, path).await;
            let mut seen = seen.borrow_mut();
            match read {
                Ok((200, bytes)) => {
                    seen.took[number].record(began.elapsed());
                    let longest = &mut seen.longest_bytes[number];
                    *longest = bytes.max(*longest);
                }
                Ok((status, _)) => seen.faults.push(format!("{path} was answered {status}")),
                Err(fault) => seen.faults.push(format!("{path}: {fault}")),
            }
        }
    }
}

/// The status and the length of the answer, over a connection of its own.
async fn read(target: &Target, path: &str) -> Result<(u16, usize), Fault> {
    let host = format!("Host: {}\r\n", target.authority());
    let mut connection = Connection::open(target).await?;
    let answer = connection.call(&request("GET", path, &host, "")).await?;
    Ok((answer.status, answer.body.len()))
}
