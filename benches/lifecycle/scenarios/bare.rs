//! The bare endpoint in a process of its own, and what a request to it costs.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use anyhow::Context;
use serde::Serialize;
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::bare::PATH;
use crate::client::{Pool, Target, request};
use crate::crowd::{ask_body, headers, names, wish};
use crate::meter::{Cost, Meter};
use crate::options::Common;
use crate::report::number;
use crate::rush::{Rush, rush};
use crate::stats::{Latencies, Summary};
use crate::timetable::Timetable;
use crate::tokens::Signer;

/// For each request that warms up, so many count.
pub const COUNTED_PER_WARM_UP: usize = 5;

/// People whose tokens are checked, each in turn.
const USERS: usize = 1_000;
/// Requests of which the CPU time is taken.
const REQUESTS: usize = 20_000;
/// Rate at which latencies are taken: one at which the endpoint is far from busy.
const PER_SECOND: f64 = 1_000.0;
/// For how long, in seconds.
const FOR_S: f64 = 2.0;

/// What one request costs.
#[derive(Debug, Clone, Serialize)]
pub struct OneRequest {
    /// CPU of the endpoint, with all connections in use, in microseconds.
    pub cpu_us: f64,
    /// From the intended moment to the answer, at an even rate.
    pub latency_ms: Option<Summary>,
    /// Memory that the endpoint has resident afterwards.
    pub rss_bytes: Option<u64>,
}

/// The endpoint, which ends when this is dropped or this tool ends.
pub struct Bare {
    process: Child,
    pub target: Target,
}

impl Bare {
    /// Starts it with the secret of the command line.
    pub fn start(common: &Common) -> anyhow::Result<Self> {
        let tool = std::env::current_exe().context("this program has a path")?;
        let mut process = Command::new(tool)
            .args([
                "bare",
                "--secret",
                &common.secret,
                "--issuer",
                &common.issuer,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the bare endpoint does not start")?;
        let output = process.stdout.take().context("it is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        let target = Target::parse(address.context("the bare endpoint does not start")?)?;
        Ok(Self { process, target })
    }

    /// Sends so many requests as fast as they are answered, after a warm-up.
    pub async fn rush(
        &self,
        connections: usize,
        count: usize,
        request: &impl Fn(usize) -> Vec<u8>,
    ) -> anyhow::Result<(Rush, Cost)> {
        let send =
            |numbers: Range<usize>| rush(&self.target, connections, numbers, request, |_, _| {});
        send(0..count.div_ceil(COUNTED_PER_WARM_UP)).await?;
        let meter = Meter::start(Some(self.process.id()), &[])?;
        let rush = send(0..count).await?;
        Ok((rush, meter.read()?))
    }

    /// Sends requests by a timetable; answers with how long they took.
    async fn latencies(
        &self,
        connections: usize,
        request: impl Fn(usize) -> Vec<u8>,
    ) -> anyhow::Result<Latencies> {
        let pool = Rc::new(Pool::open(&self.target, connections).await?);
        let latencies = Rc::new(RefCell::new(Latencies::default()));
        let mut due = Timetable::even(PER_SECOND, FOR_S).keep();
        let mut sent = Vec::new();
        while let Some((number, intended)) = due.recv().await {
            let (pool, latencies) = (Rc::clone(&pool), Rc::clone(&latencies));
            let request = request(number);
            sent.push(spawn_local(async move {
                if pool.call(&request).await.is_ok() {
                    let took = Instant::now().saturating_duration_since(intended);
                    latencies.borrow_mut().record(took);
                }
            }));
        }
        for request in sent {
            request.await?;
        }
        Ok(latencies.take())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

impl OneRequest {
    /// Prints it, for the figures of the same run to be divided by.
    pub fn print(&self) {
        let latency = |figure: fn(&Summary) -> f64| number(self.latency_ms.as_ref().map(figure), 2);
        println!(
            "  bare endpoint: {:.1} µs CPU for a request, p50 {} ms, p99 {} ms; × bare is what a \
             lifecycle or a request takes, divided by that",
            self.cpu_us,
            latency(|it| it.p50),
            latency(|it| it.p99)
        );
    }
}

/// Measures one request to a new endpoint where it runs on the machine of the server.
pub async fn compared(common: &Common) -> anyhow::Result<Option<OneRequest>> {
    let is_here = common.url.is_none() || common.pid.is_some();
    Ok(match is_here {
        true => Some(one_request(common).await?),
        false => None,
    })
}

async fn one_request(common: &Common) -> anyhow::Result<OneRequest> {
    let bare = Bare::start(common)?;
    let signer = Signer::new(common);
    let headers = names(USERS).into_iter().map(|id| {
        let token = signer.token(&id)?;
        Ok(headers(&bare.target, &token))
    });
    let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
    let body = ask_body(&wish(0));
    let request = |number: usize| request("POST", PATH, &headers[number % USERS], &body);
    let (rush, cost) = bare.rush(common.connections, REQUESTS, &request).await?;
    anyhow::ensure!(rush.errors == 0, "the bare endpoint refuses requests");
    let cpu_s = cost.server_cpu_s.unwrap_or_default();
    let latencies = bare.latencies(common.connections, request).await?;
    Ok(OneRequest {
        cpu_us: cpu_s * 1e6 / REQUESTS as f64,
        latency_ms: latencies.summary(),
        rss_bytes: cost.rss_bytes,
    })
}
