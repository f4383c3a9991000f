//! Connections that are kept alive and taken in turn.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::http::{Answer, Connection, Fault, Target};

/// Longest time that an unused connection is trusted; servers close them after a while.
const UNUSED_MAX: Duration = Duration::from_secs(30);
/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A bounded number of connections to one server.
pub struct Pool {
    target: Target,
    places: Semaphore,
    /// The longest unused first: taking turns spreads requests over all threads of the server.
    unused: RefCell<VecDeque<Connection>>,
}

impl Pool {
    /// Opens `size` connections in advance.
    pub async fn open(target: &Target, size: usize) -> Result<Self, Fault> {
        let mut unused = VecDeque::with_capacity(size);
        for _ in 0..size {
            unused.push_back(Connection::open(target).await?);
        }
        Ok(Self {
            target: target.clone(),
            places: Semaphore::new(size),
            unused: RefCell::new(unused),
        })
    }

    /// Sends a request as soon as a connection is free, and awaits the answer.
    pub async fn call(&self, request: &[u8]) -> Result<Answer, Fault> {
        let place = self.places.acquire().await;
        let _place = place.expect("the semaphore is never closed");
        timeout(ANSWER_WITHIN, self.call_at_once(request))
            .await
            .unwrap_or(Err(Fault::Late))
    }

    async fn call_at_once(&self, request: &[u8]) -> Result<Answer, Fault> {
        let unused = self.take();
        let mut connection = match unused {
            Some(connection) => connection,
            None => Connection::open(&self.target).await?,
        };
        let answer = connection.call(request).await?;
        if connection.is_reusable() {
            self.unused.borrow_mut().push_back(connection);
        }
        Ok(answer)
    }

    fn take(&self) -> Option<Connection> {
        let mut unused = self.unused.borrow_mut();
        std::iter::from_fn(|| unused.pop_front())
            .find(|connection| connection.last_used().elapsed() < UNUSED_MAX)
    }
}
