//! Where a store does its work.

use tokio::runtime::Handle;

/// The runtimes that a store works on.
#[derive(Debug, Clone)]
pub struct Runtimes {
    /// Has several threads and others that may block: opening and reading.
    pub io: Handle,
    /// Where writes come from and outcomes go to: the writer with its connections. Nothing may block
    /// there, since nothing is stored meanwhile.
    pub writes: Handle,
}

impl Runtimes {
    /// The runtime of the caller for everything.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn current() -> Self {
        Self {
            io: Handle::current(),
            writes: Handle::current(),
        }
    }
}
