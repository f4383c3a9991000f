//! A steady stream of requests that need nothing from what is away: how long they take tells whether
//! anything else suffers.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::harness::*;

/// Time between two rounds.
const EVERY: Duration = Duration::from_millis(25);

/// What a request of the stream took.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub median: Duration,
    pub p99: Duration,
}

impl Times {
    /// At most twice as long as before, but for what a busy machine adds to one request in two, and
    /// to one in a hundred.
    pub fn are_as(&self, before: &Self) -> bool {
        self.median < before.median * 2 + noise() / 30 && self.p99 < before.p99 * 2 + hiccup()
    }
}

/// Who polls while others wait, and asks in vain where asking needs nothing from what is away.
pub struct Steady<'a> {
    server: &'a Server,
    /// Has waited all the time.
    waiting: (User, String),
    /// Asks and withdraws.
    wavering: Option<User>,
    /// Tickets that were withdrawn.
    withdrawn: RefCell<Vec<String>>,
}

impl<'a> Steady<'a> {
    /// A newcomer who waits; with `asks`, another one who asks and withdraws.
    pub async fn at(server: &'a Server, asks: bool) -> Self {
        let waiting = server.user("waiting");
        let ticket = waiting.open_ticket("Hard", "Waiting").await;
        Self {
            server,
            waiting: (waiting, ticket),
            wavering: asks.then(|| server.user("wavering")),
            withdrawn: RefCell::default(),
        }
    }

    /// How long requests take, over `rounds` rounds at a fixed rate.
    pub async fn measured(&self, rounds: usize) -> Times {
        let mut times = Vec::new();
        let begun = tokio::time::Instant::now();
        for number in 0..rounds {
            tokio::time::sleep_until(begun + EVERY * number as u32).await;
            times.extend(self.round().await);
        }
        times.sort_unstable();
        Times {
            median: times[times.len() / 2],
            p99: times[(times.len() * 99).div_ceil(100) - 1],
        }
    }

    async fn round(&self) -> Vec<Duration> {
        let (waiting, ticket) = &self.waiting;
        let path = format!("/requests/{ticket}/status");
        let mut times = Vec::new();
        let poll = timed(&mut times, waiting.request(Method::GET, &path)).await;
        assert_eq!(poll["status"], "pending");
        timed(&mut times, self.server.request(Method::GET, "/livez")).await;
        if let Some(wavering) = &self.wavering {
            let asked = timed(&mut times, wavering.asking("Hard", "Wavering")).await;
            let ticket = text(&asked, "id").to_owned();
            timed(&mut times, wavering.cancelling(&ticket)).await;
            self.withdrawn.borrow_mut().push(ticket);
        }
        times
    }

    /// Whoever waited gives up, and whoever was told of a withdrawal finds it.
    pub async fn ends(&self) {
        let (waiting, ticket) = &self.waiting;
        assert_eq!(waiting.state(ticket).await, "pending");
        waiting.cancel(ticket).await.expect(200);
        let Some(wavering) = &self.wavering else {
            return;
        };
        for ticket in self.withdrawn.take() {
            assert_eq!(wavering.state(&ticket).await, "cancelled");
        }
    }
}

async fn timed(times: &mut Vec<Duration>, request: Request) -> Value {
    let begun = Instant::now();
    let reply = request.send().await;
    times.push(begun.elapsed());
    reply.expect(200).clone()
}
