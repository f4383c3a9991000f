//! Somebody who asks for something small again and again, and notes how long it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::*;

/// Time between two requests.
const PAUSE: Duration = Duration::from_millis(10);

/// A prober on a thread of its own, so that it is not held up by what its test does.
pub struct Probe {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    /// Begins to read one ticket's state, over and over; returns after the first time.
    pub async fn start(server: &Server, ticket: &str, owner: &User) -> Self {
        let (begun, mut begins) = tokio::sync::mpsc::channel(1);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let (port, id) = (server.api().port(), owner.id.clone());
        let (token, ticket) = (owner.token.clone(), ticket.to_owned());
        let thread = std::thread::spawn(move || {
            let api = Api::new();
            api.moved_to(port);
            let owner = User::new(&api, &id, token);
            actix_rt::System::new().block_on(async {
                let mut times = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    owner.status(&ticket).await.expect(200);
                    times.push(asked.elapsed());
                    let _ = begun.try_send(());
                    let_pass(PAUSE).await;
                }
                times
            })
        });
        begins.recv().await.expect("the first request is answered");
        Self { over, thread }
    }

    /// Ends, prints what it saw, and gives the time that 99 of 100 requests were answered in.
    pub fn end(self, during: &str) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        let times = self.thread.join().expect("every request is answered");
        let [p50, p99, longest] = percentiles(times, [50, 99, 100]);
        println!(
            "{during}: a read took {p50:?} (median), {p99:?} (99 of 100), {longest:?} (longest)"
        );
        p99
    }
}

/// The times within which so many of a hundred were answered.
pub fn percentiles<const N: usize>(mut times: Vec<Duration>, of: [usize; N]) -> [Duration; N] {
    times.sort_unstable();
    of.map(|percent| {
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).copied().unwrap_or_default()
    })
}
