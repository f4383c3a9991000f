//! What the process is told from outside.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// The signals that mean: stop in order.
pub struct Orders {
    terminate: Signal,
    interrupt: Signal,
}

impl Orders {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves when the process is told to stop.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => info!("told to stop by SIGTERM"),
            _ = self.interrupt.recv() => info!("told to stop by SIGINT"),
        }
    }
}
