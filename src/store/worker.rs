//! One worker of the writer: takes what waits, runs it as a group, sees each group to its end.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::group::{Entry, Group};
use super::lanes::Lanes;
use super::worker_count::WorkerCount;
use super::writer::{GroupError, GroupStore};
use ports::Clock;

/// How often a group is tried that another transaction is in the way of.
const CONTENDED_TRIES_MAX: u32 = 5;
/// Longest wait before such a group is tried again, in milliseconds; the real one is random.
const CONTENDED_WAIT_MAX_MS: u64 = 20;
/// How long a group may run before another worker takes what comes after it: far longer than a commit
/// takes, and shorter than anybody notices.
const SLOW_AFTER: Duration = Duration::from_millis(50);
/// How long a group may run before its worker counts as stuck: shorter than callers wait, so that
/// they hear what became of their writes, and longer than a slow disk takes.
const STUCK_AFTER: Duration = Duration::from_millis(800);
/// First and longest wait before a store that is away is tried again. The longest one is short,
/// because everybody waits for it once the store is back.
const AWAY_FIRST: Duration = Duration::from_millis(50);
const AWAY_MAX: Duration = Duration::from_millis(400);

/// What the workers of one writer share.
pub(super) struct Shared {
    pub(super) queues: Mutex<Queues>,
    pub(super) group_max: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) workers: usize,
    /// Workers whose store does not answer.
    pub(super) stuck: Arc<WorkerCount>,
    /// Those whose group takes long, the stuck ones included.
    pub(super) slow: Arc<WorkerCount>,
    pub(super) lanes: Arc<Lanes>,
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

    /// The next one that is to be refused; nothing where no more will come.
    async fn next(&mut self, refuses: Refuses) -> Option<Entry> {
        if refuses == Refuses::Urgent {
            return self.urgent.recv().await;
        }
        tokio::select! {
            biased;
            Some(entry) = self.urgent.recv() => Some(entry),
            Some(entry) = self.patient.recv() => Some(entry),
            else => None,
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
    is_away: bool,
    /// From which the waits are drawn that are random.
    waits: StdRng,
    // The last field, so that this worker says that it has ended after all else is dropped.
    intake: Intake,
}

/// Where a worker takes its writes from.
pub(super) struct Intake {
    close: watch::Receiver<bool>,
    /// It takes none as long as no worker is slow.
    stands_by: bool,
    share: Share,
}

/// What a stuck worker refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuses {
    /// For which somebody waits: the store may answer yet.
    Urgent,
    /// All of it: the store is away, and what follows from time must be made anew.
    All,
}

/// What comes after a run in vain.
enum Next {
    /// The group is done with.
    Nothing,
    /// The same group, after so many milliseconds.
    Again(Group, u64),
    /// These groups, at once.
    Split([Group; 2]),
    /// The same group once the store can be reached, but not before so long.
    Settle(Group, Duration),
    /// The group is done with; the next one once the store can be reached.
    Recover,
}

impl<S: GroupStore> Worker<S> {
    pub(super) fn new(store: S, intake: Intake, waits: StdRng) -> Self {
        Self {
            store,
            is_away: false,
            waits,
            intake,
        }
    }

    /// Works until the writer is closed and all that was taken is answered.
    pub(super) async fn work(mut self) {
        while let Some(entries) = self.intake.take().await {
            self.intake.shared().lanes.grouped(entries.len());
            self.write(Group::new(entries)).await;
        }
    }

    async fn write(&mut self, group: Group) {
        let mut groups = VecDeque::from([group]);
        while let Some(group) = groups.pop_front() {
            let now = self.intake.shared().clock.now();
            let Some(group) = group.without_overdue(now) else {
                continue;
            };
            match self.intake.watch(self.store.run(group.writes())).await {
                Ok(outcomes) => {
                    self.is_back(&group);
                    group.answer(outcomes, S::SYSTEM);
                }
                Err(error) => match self.after(error, group) {
                    Next::Nothing => {}
                    Next::Again(group, wait_ms) => {
                        sleep(Duration::from_millis(wait_ms)).await;
                        groups.push_front(group);
                    }
                    Next::Split([first, second]) => {
                        groups.push_front(second);
                        groups.push_front(first);
                    }
                    Next::Settle(group, wait) => {
                        self.recover(wait).await;
                        groups.push_front(group);
                    }
                    Next::Recover => {
                        let mut close = self.intake.close.clone();
                        tokio::select! {
                            biased;
                            () = self.recover(Duration::ZERO) => {}
                            _ = close.wait_for(|close| *close) => {}
                        }
                    }
                },
            }
        }
    }

    fn after(&mut self, error: GroupError, mut group: Group) -> Next {
        let _entered = group.cause().enter();
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
                return Next::Settle(group, Duration::ZERO);
            }
            // The store answers, and others were in the way each time.
            GroupError::Contended(ref reason) => {
                tracing::warn!(reason, "writes cannot be stored: {error}");
                group.refuse("contended");
                return Next::Nothing;
            }
            GroupError::Away(_) | GroupError::Unknown(_) => {}
        }
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!("writes cannot be stored: {error}");
        }
        if group.in_doubt {
            let wait = AWAY_FIRST * (1 << (group.tries - 1).min(8));
            return Next::Settle(group, wait.min(AWAY_MAX));
        }
        group.refuse("away");
        Next::Recover
    }

    fn is_back(&mut self, group: &Group) {
        if std::mem::take(&mut self.is_away) {
            let _entered = group.cause().enter();
            tracing::info!("writes are stored again");
        }
    }

    /// Lets `wait` pass, then tries until the store can be reached.
    async fn recover(&mut self, wait: Duration) {
        let store = &mut self.store;
        let reached = async move {
            sleep(wait).await;
            let mut wait = AWAY_FIRST;
            while store.reach().await.is_err() {
                sleep(wait).await;
                wait = (wait * 2).min(AWAY_MAX);
            }
        };
        self.intake.stuck(reached, Refuses::All).await;
    }
}

impl Intake {
    pub(super) fn new(shared: Arc<Shared>, close: watch::Receiver<bool>, stands_by: bool) -> Self {
        let share = Share(shared);
        Self {
            close,
            stands_by,
            share,
        }
    }

    fn shared(&self) -> &Shared {
        &self.share.0
    }

    /// What waits now, or what comes next; nothing once the writer is closed and all is taken.
    async fn take(&mut self) -> Option<Vec<Entry>> {
        let shared = &self.share.0;
        if self.stands_by {
            tokio::select! {
                biased;
                () = shared.slow.wait_for(|slow| slow > 0) => {}
                _ = self.close.wait_for(|close| *close) => {}
            }
        }
        let mut queues = shared.queues.lock().await;
        let mut taken = Vec::new();
        loop {
            queues.drain_into(&mut taken, shared.group_max);
            if !taken.is_empty() {
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

    /// Awaits a run, which may take long where the store is frozen.
    async fn watch<T>(&self, run: impl Future<Output = T>) -> T {
        let mut run = pin!(run);
        if let Ok(done) = timeout(SLOW_AFTER, &mut run).await {
            return done;
        }
        let _slow = self.shared().slow.one_more();
        match timeout(STUCK_AFTER - SLOW_AFTER, &mut run).await {
            Ok(done) => done,
            Err(_) => self.stuck(run, Refuses::Urgent).await,
        }
    }

    /// Awaits what this worker is stuck with. Where all are stuck, it answers meanwhile what comes:
    /// nobody waits for a store that is away.
    async fn stuck<T>(&self, work: impl Future<Output = T>, refuses: Refuses) -> T {
        let mut work = pin!(work);
        let (stuck, slow) = (&self.shared().stuck, &self.shared().slow);
        let _counted = (stuck.one_more(), slow.one_more());
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                entry = self.next_refused(refuses) => entry.refuse("away"),
            }
        }
    }

    /// The next write, as long as all workers are stuck.
    async fn next_refused(&self, refuses: Refuses) -> Entry {
        let shared = self.shared();
        loop {
            shared.stuck.wait_for(|stuck| stuck == shared.workers).await;
            let next = async {
                match shared.queues.lock().await.next(refuses).await {
                    Some(entry) => entry,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shared.stuck.wait_for(|stuck| stuck < shared.workers) => {}
                entry = next => return entry,
            }
        }
    }
}
