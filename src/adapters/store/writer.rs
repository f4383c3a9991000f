//! The writer that groups: writes that wait at the same moment share one transaction.
//!
//! Nothing is added to the wait of a write that comes alone. Under load each transaction takes what
//! has gathered while the one before it ran, so commits stay few.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, watch};

use super::group::Entry;
use super::worker::{Shared, Worker};
use crate::domain::{Timestamp, Write, WriteOutcome};
use crate::ports::{Clock, Store, WriteDone};

/// Runs groups of writes on one backend; each worker of a [`Writer`] has one.
pub trait GroupStore: Send + 'static {
    /// Runs `writes` in their order as one transaction, and answers each.
    ///
    /// A refused write leaves nothing of itself and never fails the others. Running a write again
    /// that was stored answers [`WriteOutcome::Stored`]: so an unknown outcome is settled by
    /// running the group again. A second run must not overtake a first one that is still being
    /// committed: where that can happen, it has to wait for the first one's locks.
    fn run(
        &mut self,
        writes: Arc<[Write]>,
    ) -> impl Future<Output = Result<Vec<WriteOutcome>, GroupError>> + Send;
}

/// Why a group has no outcomes; each variant carries what the backend said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Nothing was committed, because another transaction was in the way; trying again helps.
    #[error("another transaction was in the way: {0}")]
    Contended(String),
    /// Nothing was committed: the backend cannot be reached or cannot write.
    #[error("the store is away: {0}")]
    Away(String),
    /// Nothing was committed, because the backend does not take one of the writes at all.
    #[error("a write does not fit: {0}")]
    Unfit(String),
    /// The commit's answer was lost: all of it was committed, or nothing.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
}

/// The bounds of a [`Writer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// Writes that may wait; one more is refused.
    pub queue_max: usize,
    /// Writes that share a transaction at most.
    pub group_max: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            queue_max: 8_192,
            group_max: 256,
        }
    }
}

/// [`Store`] on any [`GroupStore`]; each write is answered exactly once.
pub struct Writer {
    queue: mpsc::Sender<Entry>,
    close: watch::Sender<bool>,
    working: watch::Receiver<usize>,
}

impl Writer {
    /// Starts one worker per store in `stores` on `handle`.
    pub fn start<S: GroupStore>(
        stores: Vec<S>,
        options: WriterOptions,
        clock: &Arc<dyn Clock>,
        handle: &Handle,
    ) -> Self {
        let (queue, entries) = mpsc::channel(options.queue_max);
        let (close, closed) = watch::channel(false);
        let (now_working, working) = watch::channel(stores.len());
        let shared = Arc::new(Shared {
            entries: Mutex::new(entries),
            group_max: options.group_max,
            clock: Arc::clone(clock),
            workers: stores.len(),
            in_doubt: AtomicUsize::new(0),
            working: now_working,
        });
        for store in stores {
            handle.spawn(Worker::new(store, Arc::clone(&shared), closed.clone()).work());
        }
        Self {
            queue,
            close,
            working,
        }
    }

    /// Takes no write from here on; the future resolves when all that were taken are answered.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        self.close.send_replace(true);
        let mut working = self.working.clone();
        async move {
            // An error says that no worker is left to change the number.
            let _ = working.wait_for(|workers| *workers == 0).await;
        }
    }
}

impl Store for Writer {
    fn submit(&self, write: Write, deadline: Option<Timestamp>, done: WriteDone) {
        let entry = Entry::new(write, deadline, done);
        if *self.close.borrow() {
            return entry.refuse("closed");
        }
        match self.queue.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(entry)) => entry.refuse("full"),
            Err(TrySendError::Closed(entry)) => entry.refuse("closed"),
        }
    }
}
