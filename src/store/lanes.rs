//! The two lanes of a store: writes that somebody waits for, and writes that follow from others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Histogram, histogram};

use observability::{STORE_GROUP_SIZE, STORE_WRITE_SECONDS};
use ports::StoreDepth;

/// How full the lanes of one store are, and how long its writes take.
pub(super) struct Lanes {
    backend: &'static str,
    urgent: AtomicUsize,
    patient: AtomicUsize,
    write_seconds: Histogram,
    group_size: Histogram,
}

impl Lanes {
    /// The lanes of the store with this name for machines.
    pub(super) fn new(backend: &'static str) -> Arc<Self> {
        Arc::new(Self {
            backend,
            urgent: AtomicUsize::new(0),
            patient: AtomicUsize::new(0),
            write_seconds: histogram!(STORE_WRITE_SECONDS, "store" => backend),
            group_size: histogram!(STORE_GROUP_SIZE, "store" => backend),
        })
    }

    /// A place for one more write, for which somebody waits or nobody.
    pub(super) fn enter(self: &Arc<Self>, is_urgent: bool) -> InLane {
        self.lane(is_urgent).fetch_add(1, Ordering::Relaxed);
        InLane {
            lanes: Arc::clone(self),
            is_urgent,
        }
    }

    /// So many writes share a transaction.
    pub(super) fn grouped(&self, writes: usize) {
        self.group_size.record(writes as f64);
    }

    /// How many writes have no outcome.
    pub(super) fn depth(&self) -> StoreDepth {
        StoreDepth {
            backend: self.backend,
            urgent: self.urgent.load(Ordering::Relaxed),
            patient: self.patient.load(Ordering::Relaxed),
        }
    }

    fn lane(&self, is_urgent: bool) -> &AtomicUsize {
        if is_urgent {
            &self.urgent
        } else {
            &self.patient
        }
    }
}

/// The place of a write that has no outcome; given back when it is dropped.
pub(super) struct InLane {
    lanes: Arc<Lanes>,
    is_urgent: bool,
}

impl InLane {
    /// The write has an outcome after so long.
    pub(super) fn took(&self, time: Duration) {
        self.lanes.write_seconds.record(time);
    }
}

impl Drop for InLane {
    fn drop(&mut self) {
        let lane = self.lanes.lane(self.is_urgent);
        lane.fetch_sub(1, Ordering::Relaxed);
    }
}
