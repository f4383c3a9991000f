//! One worker of the writer: takes what waits, runs it as a group, sees each group to its end.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{gauge, histogram};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::{Mutex, mpsc, watch};

use super::group::{Entry, Group};
use super::writer::{GroupError, GroupStore};
use crate::domain::limits::{RETRY_FIRST_MS, RETRY_MAX_MS};
use crate::observability::{STORE_GROUP_SIZE, STORE_QUEUE_DEPTH};
use crate::ports::Clock;

/// How often a group is tried that another transaction is in the way of.
const CONTENDED_TRIES_MAX: u32 = 5;
/// Longest wait before such a group is tried again, in milliseconds; the real one is random.
const CONTENDED_WAIT_MAX_MS: u64 = 20;

/// What the workers of one writer share.
pub(super) struct Shared {
    pub(super) queues: Mutex<Queues>,
    pub(super) group_max: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) workers: usize,
    /// Workers that do not know the outcome of a commit.
    pub(super) in_doubt: AtomicUsize,
    /// Workers that have not ended.
    pub(super) working: watch::Sender<usize>,
}

/// What waits to be stored.
pub(super) struct Queues {
    /// For which somebody waits until a deadline; bounded.
    pub(super) urgent: mpsc::Receiver<Entry>,
    /// What follows from what was stored or from time; bounded by what is live.
    pub(super) patient: mpsc::UnboundedReceiver<Entry>,
}

impl Queues {
    /// Takes what waits, up to `max`. Neither queue takes more than half while the other has some.
    fn drain_into(&mut self, taken: &mut Vec<Entry>, max: usize) {
        let half = max.div_ceil(2);
        while taken.len() < half
            && let Ok(entry) = self.urgent.try_recv()
        {
            taken.push(entry);
        }
        while taken.len() < max
            && let Ok(entry) = self.patient.try_recv().or_else(|_| self.urgent.try_recv())
        {
            taken.push(entry);
        }
    }

    fn close(&mut self) {
        self.urgent.close();
        self.patient.close();
    }
}

/// A worker's part in what all share; dropping it says that the worker has ended.
struct Share(Arc<Shared>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.working.send_modify(|workers| *workers -= 1);
    }
}

/// Runs one group at a time.
pub(super) struct Worker<S> {
    store: S,
    close: watch::Receiver<bool>,
    is_away: bool,
    /// From which the waits are drawn that are random.
    waits: StdRng,
    // The last field, so that this worker says that it has ended after all else is dropped.
    shared: Share,
}

/// What comes after a run in vain.
enum Next {
    /// The group is done with.
    Nothing,
    /// The same group, after so many milliseconds.
    Again(Group, u64),
    /// These groups, at once.
    Split([Group; 2]),
}

impl<S: GroupStore> Worker<S> {
    pub(super) fn new(
        store: S,
        shared: Arc<Shared>,
        close: watch::Receiver<bool>,
        waits: StdRng,
    ) -> Self {
        Self {
            store,
            close,
            is_away: false,
            waits,
            shared: Share(shared),
        }
    }

    /// Works until the writer is closed and all that was taken is answered.
    pub(super) async fn work(mut self) {
        while let Some(entries) = self.take().await {
            histogram!(STORE_GROUP_SIZE).record(entries.len() as f64);
            self.write(Group::new(entries)).await;
        }
    }

    /// What waits now, or what comes next; nothing once the writer is closed and all is taken.
    async fn take(&mut self) -> Option<Vec<Entry>> {
        let shared = &self.shared.0;
        let mut queues = shared.queues.lock().await;
        let mut taken = Vec::new();
        loop {
            queues.drain_into(&mut taken, shared.group_max);
            if !taken.is_empty() {
                let waiting = queues.urgent.len() + queues.patient.len();
                gauge!(STORE_QUEUE_DEPTH).set(waiting as f64);
                return Some(taken);
            }
            let Queues { urgent, patient } = &mut *queues;
            if urgent.is_closed() {
                // Not before whoever was about to put something in has done so.
                let last = match urgent.recv().await {
                    Some(entry) => entry,
                    None => patient.recv().await?,
                };
                taken.push(last);
                continue;
            }
            // Whichever comes first, the next turn takes from both.
            tokio::select! {
                biased;
                Some(entry) = urgent.recv() => taken.push(entry),
                Some(entry) = patient.recv() => taken.push(entry),
                _ = self.close.wait_for(|close| *close) => queues.close(),
            }
        }
    }

    async fn write(&mut self, group: Group) {
        let mut groups = VecDeque::from([group]);
        while let Some(group) = groups.pop_front() {
            let now = self.shared.0.clock.now();
            let Some(group) = group.without_overdue(now) else {
                continue;
            };
            match self.store.run(group.writes()).await {
                Ok(outcomes) => {
                    self.is_back();
                    group.answer(outcomes);
                }
                Err(error) => match self.after(error, group) {
                    Next::Nothing => {}
                    Next::Again(group, wait_ms) => {
                        self.wait(wait_ms, group.in_doubt).await;
                        groups.push_front(group);
                    }
                    Next::Split([first, second]) => {
                        groups.push_front(second);
                        groups.push_front(first);
                    }
                },
            }
        }
    }

    fn after(&mut self, error: GroupError, mut group: Group) -> Next {
        group.tries += 1;
        match error {
            GroupError::Contended(_) if group.in_doubt || group.tries < CONTENDED_TRIES_MAX => {
                let wait_ms = self.waits.random_range(1..=CONTENDED_WAIT_MAX_MS);
                return Next::Again(group, wait_ms);
            }
            // Smaller groups, until the write that does not fit stands alone.
            GroupError::Unfit(_) if !group.is_single() => return Next::Split(group.halves()),
            GroupError::Unfit(ref reason) => {
                tracing::error!(reason, "the store does not take a write: {reason}");
                group.refuse("unfit");
                return Next::Nothing;
            }
            GroupError::Unknown(ref reason) if !group.in_doubt => {
                tracing::warn!(reason, "the answer to a commit was lost: {reason}");
                group.in_doubt = true;
                group.tries = 0;
                return Next::Again(group, 0);
            }
            GroupError::Contended(_) | GroupError::Away(_) | GroupError::Unknown(_) => {}
        }
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!("writes cannot be stored: {error}");
        }
        if group.in_doubt {
            let wait_ms = RETRY_FIRST_MS << (group.tries - 1).min(8);
            return Next::Again(group, wait_ms.min(RETRY_MAX_MS));
        }
        group.refuse("away");
        Next::Nothing
    }

    fn is_back(&mut self) {
        if std::mem::take(&mut self.is_away) {
            tracing::info!("writes are stored again");
        }
    }

    /// Lets time pass before a group is run again. Where every worker is in doubt, this one answers
    /// what comes meanwhile: nobody waits for a store that is away.
    async fn wait(&mut self, wait_ms: u64, in_doubt: bool) {
        if wait_ms == 0 {
            return;
        }
        let mut passed = pin!(tokio::time::sleep(Duration::from_millis(wait_ms)));
        if !in_doubt {
            return passed.await;
        }
        let shared = Arc::clone(&self.shared.0);
        let _doubt = Doubt::new(&shared);
        loop {
            if shared.in_doubt.load(Ordering::Acquire) < shared.workers {
                return passed.await;
            }
            tokio::select! {
                biased;
                () = &mut passed => return,
                taken = self.take() => match taken {
                    Some(entries) => Group::new(entries).refuse("away"),
                    None => return passed.await,
                },
            }
        }
    }
}

/// Counts a worker that does not know the outcome of a commit.
struct Doubt<'a>(&'a Shared);

impl<'a> Doubt<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.in_doubt.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        self.0.in_doubt.fetch_sub(1, Ordering::AcqRel);
    }
}
