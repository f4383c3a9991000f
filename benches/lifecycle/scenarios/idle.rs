//! Open sockets on which nothing happens.

use tokio::task::{JoinHandle, spawn_local};

use crate::client::{Message, Socket, Target, closed};
use crate::crowd::open_sockets;
use crate::ledger::Violations;

/// Sockets that are held, each with a task that answers pings.
#[derive(Default)]
pub struct Idle {
    held: Vec<JoinHandle<String>>,
}

impl Idle {
    /// How many are held.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// Opens one more for each of these tokens.
    pub async fn open(&mut self, target: &Target, tokens: &[String]) -> anyhow::Result<()> {
        let opened = open_sockets(target, tokens).await?;
        let held = opened.into_iter().map(|socket| spawn_local(hold(socket)));
        self.held.extend(held);
        Ok(())
    }

    /// Ends what still holds; whatever has ended before did so too early.
    pub async fn end(self, violations: &mut Violations) {
        for socket in self.held {
            socket.abort();
            if let Ok(why) = socket.await {
                violations.note(format!("an idle socket ended: {why}"));
            }
        }
    }
}

/// Answers pings for as long as the socket is open; says why it ended.
async fn hold(mut socket: Socket) -> String {
    loop {
        match socket.next().await {
            Ok(Message::Text(_)) => {}
            Ok(Message::Closed(code)) => return closed(code),
            Err(fault) => return fault.to_string(),
        }
    }
}
