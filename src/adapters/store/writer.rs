//! The writer that groups: writes that wait at the same moment share one transaction.
//!
//! Nothing is added to the wait of a write that comes alone. Under load each transaction takes what
//! has gathered while the one before it ran, so commits stay few.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::metrics::{counter, gauge, histogram};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;

use crate::domain::limits::{RETRY_FIRST_MS, RETRY_MAX_MS};
use crate::domain::{Timestamp, Write, WriteOutcome};
use crate::observability::{
    STORE_GROUP_SIZE, STORE_QUEUE_DEPTH, STORE_UNAVAILABLE, STORE_WRITE_SECONDS,
};
use crate::ports::{Clock, Store, WriteDone};

/// How often a group is tried that another transaction is in the way of.
const CONTENDED_TRIES_MAX: u32 = 5;
/// Longest wait before such a group is tried again, in milliseconds; the real one is random.
const CONTENDED_WAIT_MAX_MS: u64 = 20;

/// Runs groups of writes on one backend; each worker of a [`Writer`] has one.
pub trait GroupStore: Send + 'static {
    /// Runs `writes` in their order as one transaction, and answers each.
    ///
    /// A refused write leaves nothing of itself and never fails the others. Running a write again
    /// that was stored answers [`WriteOutcome::Stored`]: this is how an unknown outcome is settled.
    /// A second run must not pass by a first one that is still being committed: where that can
    /// happen it has to wait for the first one's locks.
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

/// [`Store`] on any [`GroupStore`].
pub struct Writer {
    queue: mpsc::Sender<Entry>,
    closing: watch::Sender<bool>,
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
        let (closing, close) = watch::channel(false);
        let (working, alive) = watch::channel(stores.len());
        let shared = Arc::new(Shared {
            entries: Mutex::new(entries),
            group_max: options.group_max,
            clock: Arc::clone(clock),
            workers: stores.len(),
            in_doubt: AtomicUsize::new(0),
            working,
        });
        for store in stores {
            let shared = WorkerShare(Arc::clone(&shared));
            let worker = Worker {
                store,
                shared,
                close: close.clone(),
                is_away: false,
            };
            handle.spawn(worker.work());
        }
        Self {
            queue,
            closing,
            working: alive,
        }
    }

    /// Takes no write from here on; the future resolves when all that were taken are answered.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        self.closing.send_replace(true);
        let mut working = self.working.clone();
        async move {
            // An error says that no worker is left to change the number.
            let _ = working.wait_for(|workers| *workers == 0).await;
        }
    }
}

impl Store for Writer {
    fn submit(&self, write: Write, deadline: Option<Timestamp>, done: WriteDone) {
        let asker = Asker {
            done: Some(done),
            deadline,
            submitted: Instant::now(),
        };
        let entry = Entry { write, asker };
        let (entry, reason) = if *self.closing.borrow() {
            (entry, "closed")
        } else {
            match self.queue.try_send(entry) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(entry)) => (entry, "full"),
                Err(mpsc::error::TrySendError::Closed(entry)) => (entry, "closed"),
            }
        };
        entry.asker.refuse(reason);
    }
}

struct Entry {
    write: Write,
    asker: Asker,
}

/// Who waits for a write's outcome. Hears one even where it is dropped unanswered: then the runtime
/// has ended before the writer was closed, and with it whoever could have told the difference.
struct Asker {
    done: Option<WriteDone>,
    deadline: Option<Timestamp>,
    submitted: Instant,
}

impl Asker {
    fn answer(mut self, outcome: WriteOutcome) {
        self.tell(outcome);
    }

    fn refuse(self, reason: &'static str) {
        counter!(STORE_UNAVAILABLE, "reason" => reason).increment(1);
        self.answer(WriteOutcome::Unavailable);
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn tell(&mut self, outcome: WriteOutcome) {
        let Some(done) = self.done.take() else { return };
        // A panic here must not keep the others of the group from their answers.
        if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
            tracing::error!("whoever waited for a write panicked at its outcome");
        }
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.tell(WriteOutcome::Unavailable);
    }
}

struct Shared {
    entries: Mutex<mpsc::Receiver<Entry>>,
    group_max: usize,
    clock: Arc<dyn Clock>,
    workers: usize,
    /// Workers that do not know the outcome of a commit.
    in_doubt: AtomicUsize,
    working: watch::Sender<usize>,
}

/// A worker's part in what all share; dropping it says that the worker has ended.
struct WorkerShare(Arc<Shared>);

impl Drop for WorkerShare {
    fn drop(&mut self) {
        self.0.working.send_modify(|workers| *workers -= 1);
    }
}

struct Worker<S> {
    store: S,
    close: watch::Receiver<bool>,
    is_away: bool,
    // Last, so that everything else has been dropped when it says that this worker has ended.
    shared: WorkerShare,
}

/// Writes that share a transaction.
struct Group {
    writes: Arc<[Write]>,
    askers: Vec<Asker>,
    tries: u32,
    /// Whether it may have been committed: then it is run again until its outcome is known.
    in_doubt: bool,
}

impl<S: GroupStore> Worker<S> {
    async fn work(mut self) {
        while let Some(entries) = self.take().await {
            histogram!(STORE_GROUP_SIZE).record(entries.len() as f64);
            self.write(Group::new(entries)).await;
        }
    }

    /// What waits now, or what comes next; nothing once the writer is closed and all is taken.
    async fn take(&mut self) -> Option<Vec<Entry>> {
        let mut entries = self.shared.0.entries.lock().await;
        let mut taken = Vec::new();
        loop {
            let closed = entries.is_closed();
            tokio::select! {
                biased;
                count = entries.recv_many(&mut taken, self.shared.0.group_max) => {
                    gauge!(STORE_QUEUE_DEPTH).set(entries.len() as f64);
                    return (count > 0).then_some(taken);
                }
                _ = self.close.wait_for(|close| *close), if !closed => entries.close(),
            }
        }
    }

    async fn write(&mut self, group: Group) {
        let mut groups = VecDeque::from([group]);
        while let Some(group) = groups.pop_front() {
            let Some(group) = group.without_overdue(self.shared.0.clock.now()) else {
                continue;
            };
            let (retry, wait_ms) = match self.store.run(Arc::clone(&group.writes)).await {
                Ok(outcomes) => {
                    self.is_back();
                    group.answer(outcomes);
                    continue;
                }
                Err(error) => self.after(error, group, &mut groups),
            };
            let Some(retry) = retry else { continue };
            self.wait(wait_ms, retry.in_doubt).await;
            groups.push_front(retry);
        }
    }

    /// What to do after `error`: the group to run again, and in how many milliseconds.
    fn after(
        &mut self,
        error: GroupError,
        mut group: Group,
        groups: &mut VecDeque<Group>,
    ) -> (Option<Group>, u64) {
        group.tries += 1;
        let backoff_ms = (RETRY_FIRST_MS << (group.tries - 1).min(6)).min(RETRY_MAX_MS);
        match error {
            GroupError::Contended(_) if group.in_doubt || group.tries < CONTENDED_TRIES_MAX => {
                let wait_ms = rand::random_range(0..=CONTENDED_WAIT_MAX_MS);
                return (Some(group), wait_ms);
            }
            GroupError::Unfit(_) if group.askers.len() > 1 => {
                // Smaller groups, until the write that does not fit stands alone.
                let [first, second] = group.halves();
                groups.push_front(second);
                groups.push_front(first);
                return (None, 0);
            }
            GroupError::Unfit(ref reason) => {
                tracing::error!(reason, "the store does not take a write: {reason}");
                group.refuse("unfit");
                return (None, 0);
            }
            GroupError::Unknown(ref reason) if !group.in_doubt => {
                tracing::warn!(
                    reason,
                    "a commit's answer was lost, looking it up: {reason}"
                );
                group.in_doubt = true;
                group.tries = 0;
                return (Some(group), 0);
            }
            GroupError::Contended(_) | GroupError::Away(_) | GroupError::Unknown(_) => {}
        }
        if !self.is_away {
            self.is_away = true;
            tracing::warn!(%error, "no write can be stored: {error}");
        }
        if group.in_doubt {
            (Some(group), backoff_ms)
        } else {
            group.refuse("away");
            (None, 0)
        }
    }

    fn is_back(&mut self) {
        if std::mem::take(&mut self.is_away) {
            tracing::info!("writes are stored again");
        }
    }

    /// Lets time pass before a group is run again. Where no worker is free of doubt, this one
    /// answers what comes meanwhile: nobody waits for a store that is away.
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

impl Group {
    fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let (writes, askers): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| (entry.write, entry.asker))
            .unzip();
        Self {
            writes: writes.into(),
            askers,
            tries: 0,
            in_doubt: false,
        }
    }

    /// The group without the writes whose deadline has passed; they hear that. A write that may
    /// have been committed is never left out.
    fn without_overdue(self, now: Timestamp) -> Option<Self> {
        if self.in_doubt || !self.askers.iter().any(|asker| asker.is_overdue(now)) {
            return Some(self);
        }
        let tries = self.tries;
        let (overdue, in_time): (Vec<_>, Vec<_>) = self
            .into_entries()
            .partition(|entry| entry.asker.is_overdue(now));
        for entry in overdue {
            entry.asker.refuse("overdue");
        }
        (!in_time.is_empty()).then(|| Self {
            tries,
            ..Self::new(in_time)
        })
    }

    fn halves(self) -> [Self; 2] {
        let in_doubt = self.in_doubt;
        let middle = self.askers.len() / 2;
        let mut entries = self.into_entries();
        let first: Vec<Entry> = entries.by_ref().take(middle).collect();
        [Self::new(first), Self::new(entries)].map(|half| Self { in_doubt, ..half })
    }

    fn into_entries(self) -> impl Iterator<Item = Entry> {
        let writes = self.writes.to_vec();
        writes
            .into_iter()
            .zip(self.askers)
            .map(|(write, asker)| Entry { write, asker })
    }

    fn answer(self, outcomes: Vec<WriteOutcome>) {
        let seconds = histogram!(STORE_WRITE_SECONDS);
        for (asker, outcome) in self.askers.into_iter().zip(outcomes) {
            seconds.record(asker.submitted.elapsed());
            asker.answer(outcome);
        }
    }

    fn refuse(self, reason: &'static str) {
        for asker in self.askers {
            asker.refuse(reason);
        }
    }
}
