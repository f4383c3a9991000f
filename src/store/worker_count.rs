//! How many workers are in some state, such as stuck.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the workers in one state. Whoever waits for a change is woken in the order in which they began to wait,
/// unlike those of a [`tokio::sync::watch`], so that what happens depends on nothing but time and input.
#[derive(Debug, Default)]
pub(super) struct WorkerCount {
    count: AtomicUsize,
    changed: Notify,
}

impl WorkerCount {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// One more, until what is returned is dropped.
    pub(super) fn one_more(self: &Arc<Self>) -> Counted {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        Counted(Arc::clone(self))
    }

    /// Awaits a number that `fits`.
    pub(super) async fn wait_for(&self, fits: impl Fn(usize) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if fits(self.count()) {
                return;
            }
            changed.await;
        }
    }
}

/// A worker that is counted.
#[derive(Debug)]
pub(super) struct Counted(Arc<WorkerCount>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}
