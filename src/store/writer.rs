//! The writer that groups: writes that wait at the same moment share one transaction.
//!
//! Nothing is added to the wait of a write that comes alone. Under load each transaction takes what
//! has gathered while the one before it ran, so commits stay few.
//!
//! One worker does it all as long as its store answers: writes that took turns on two connections would
//! cost the database a seventh more, and be no faster. The others stand by for when it takes long.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::{Mutex, mpsc, watch};

use super::group::Entry;
use super::lanes::Lanes;
use super::worker::{Intake, Queues, Shared, Worker};
use super::worker_count::WorkerCount;
use domain::{Timestamp, Write, WriteOutcome};
use ports::{Clock, Store, StoreDepth, WriteDone};

/// Runs groups of writes on one backend; each worker of a [`Writer`] has one.
pub trait GroupStore: Send + 'static {
    /// What it is called in traces.
    const SYSTEM: &'static str;

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

    /// Tries to reach the backend again after a run that found it away.
    fn reach(&mut self) -> impl Future<Output = Result<(), GroupError>> + Send {
        std::future::ready(Ok(()))
    }
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
    /// Writes with a deadline that may wait; one more is refused.
    pub queue_max: usize,
    /// Writes that share a transaction at most.
    pub group_max: usize,
    /// Decides the waits that are random, so that a test can run the same again; none: every writer
    /// waits otherwise.
    pub seed: Option<u64>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            queue_max: 8_192,
            group_max: 256,
            seed: None,
        }
    }
}

/// [`Store`] on any [`GroupStore`]; each write is answered exactly once.
pub struct Writer {
    urgent: mpsc::Sender<Entry>,
    patient: mpsc::UnboundedSender<Entry>,
    close: watch::Sender<bool>,
    working: watch::Receiver<usize>,
    stuck: Arc<WorkerCount>,
    lanes: Arc<Lanes>,
}

impl Writer {
    /// Starts one worker per store in `stores` on `handle`; all but the first stand by for when another
    /// one takes long.
    pub fn start<S: GroupStore>(
        stores: Vec<S>,
        options: WriterOptions,
        clock: &Arc<dyn Clock>,
        handle: &Handle,
    ) -> Self {
        let (urgent, urgent_entries) = mpsc::channel(options.queue_max);
        let (patient, patient_entries) = mpsc::unbounded_channel();
        let queues = Queues {
            urgent: urgent_entries,
            patient: patient_entries,
        };
        let (close, closed) = watch::channel(false);
        let (now_working, working) = watch::channel(stores.len());
        let stuck = Arc::<WorkerCount>::default();
        let lanes = Lanes::new(S::SYSTEM);
        let shared = Arc::new(Shared {
            queues: Mutex::new(queues),
            group_max: options.group_max,
            clock: Arc::clone(clock),
            workers: stores.len(),
            stuck: Arc::clone(&stuck),
            slow: Arc::default(),
            lanes: Arc::clone(&lanes),
            working: now_working,
        });
        for (number, store) in stores.into_iter().enumerate() {
            let waits = match options.seed {
                Some(seed) => StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
                None => StdRng::from_os_rng(),
            };
            let intake = Intake::new(Arc::clone(&shared), closed.clone(), number > 0);
            let worker = Worker::new(store, intake, waits);
            handle.spawn(worker.work());
        }
        Self {
            urgent,
            patient,
            close,
            working,
            stuck,
            lanes,
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
        let entry = Entry::new(write, deadline, done, &self.lanes);
        if *self.close.borrow() {
            return entry.refuse("closed");
        }
        if deadline.is_none() {
            // What was taken is finished: this follows from it, and is bounded by what is live.
            if let Err(SendError(entry)) = self.patient.send(entry) {
                entry.refuse("closed");
            }
            return;
        }
        match self.urgent.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(entry)) => entry.refuse("full"),
            Err(TrySendError::Closed(entry)) => entry.refuse("closed"),
        }
    }

    fn is_stuck(&self) -> bool {
        self.stuck.count() > 0
    }

    fn depth(&self) -> StoreDepth {
        self.lanes.depth()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex as StdMutex;
    use std::time::Duration;

    use tokio::sync::{Semaphore, oneshot};
    use tokio::time::Instant;

    use super::*;
    use domain::testing::{at_ms, ticket};

    /// Shows the time since then, which tests let pass.
    struct Elapsed(Instant);

    impl Clock for Elapsed {
        fn now(&self) -> Timestamp {
            at_ms(self.0.elapsed().as_millis() as i64)
        }
    }

    /// A write that [`Fake`] does not take.
    const UNFIT: u32 = 13;

    /// Answers each run from a script, then with success; counts asks as they are stored.
    #[derive(Clone)]
    struct Fake {
        script: Arc<StdMutex<VecDeque<GroupError>>>,
        runs: Arc<StdMutex<Vec<Vec<u32>>>>,
        gate: Arc<Semaphore>,
        reachable: Arc<Semaphore>,
    }

    impl Fake {
        fn new(script: impl IntoIterator<Item = GroupError>) -> Self {
            Self {
                script: Arc::new(StdMutex::new(script.into_iter().collect())),
                runs: Arc::default(),
                gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
                reachable: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            }
        }

        /// Cannot be reached again until permits are added.
        fn unreachable(script: impl IntoIterator<Item = GroupError>) -> Self {
            let reachable = Arc::new(Semaphore::new(0));
            Self {
                reachable,
                ..Self::new(script)
            }
        }

        /// Runs nothing until permits are added.
        fn closed() -> Self {
            let gate = Arc::new(Semaphore::new(0));
            Self {
                gate,
                ..Self::new([])
            }
        }

        fn runs(&self) -> Vec<Vec<u32>> {
            self.runs.lock().unwrap().clone()
        }

        fn writer(&self, queue_max: usize) -> Writer {
            let clock: Arc<dyn Clock> = Arc::new(Elapsed(Instant::now()));
            let options = WriterOptions {
                queue_max,
                group_max: 4,
                seed: None,
            };
            Writer::start(vec![self.clone()], options, &clock, &Handle::current())
        }
    }

    impl GroupStore for Fake {
        const SYSTEM: &'static str = "fake";

        async fn run(&mut self, writes: Arc<[Write]>) -> Result<Vec<WriteOutcome>, GroupError> {
            let asks = |write: &Write| match write {
                Write::CountAsk { asks, .. } => *asks,
                _ => unreachable!("only asks are counted here"),
            };
            let asks: Vec<u32> = writes.iter().map(asks).collect();
            self.runs.lock().unwrap().push(asks.clone());
            self.gate.acquire().await.unwrap().forget();
            if let Some(error) = self.script.lock().unwrap().pop_front() {
                return Err(error);
            }
            if asks.contains(&UNFIT) {
                return Err(GroupError::Unfit("thirteen".into()));
            }
            Ok(vec![WriteOutcome::Stored; writes.len()])
        }

        async fn reach(&mut self) -> Result<(), GroupError> {
            self.reachable.acquire().await.unwrap().forget();
            Ok(())
        }
    }

    fn count(asks: u32) -> Write {
        Write::CountAsk {
            ticket: ticket(1).id,
            asks,
        }
    }

    fn submit(
        writer: &Writer,
        asks: u32,
        deadline: Option<Timestamp>,
    ) -> oneshot::Receiver<WriteOutcome> {
        let (done, outcome) = oneshot::channel();
        let done = Box::new(move |outcome| drop(done.send(outcome)));
        writer.submit(count(asks), deadline, done);
        outcome
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_at_the_same_moment_shares_a_transaction() {
        let fake = Fake::closed();
        let writer = fake.writer(16);
        let first = submit(&writer, 0, None);
        settle().await;
        let others: Vec<_> = (1..=5).map(|asks| submit(&writer, asks, None)).collect();

        fake.gate.add_permits(9);

        assert_eq!(first.await, Ok(WriteOutcome::Stored));
        for other in others {
            assert_eq!(other.await, Ok(WriteOutcome::Stored));
        }
        // The largest group is four.
        assert_eq!(fake.runs(), [vec![0], vec![1, 2, 3, 4], vec![5]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_is_taken_however_much_waits_and_holds_up_nobody() {
        let fake = Fake::closed();
        let writer = fake.writer(2);
        let under_way = submit(&writer, 0, None);
        settle().await;
        let patient: Vec<_> = (1..=6).map(|asks| submit(&writer, asks, None)).collect();
        let urgent = submit(&writer, 7, Some(at_ms(60_000)));

        fake.gate.add_permits(9);

        assert_eq!(urgent.await, Ok(WriteOutcome::Stored));
        assert_eq!(under_way.await, Ok(WriteOutcome::Stored));
        for patient in patient {
            assert_eq!(patient.await, Ok(WriteOutcome::Stored));
        }
        assert_eq!(fake.runs(), [vec![0], vec![7, 1, 2, 3], vec![4, 5, 6]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_at_once() {
        const LATER: Option<Timestamp> = Some(Timestamp::from_ms(60_000));
        let fake = Fake::closed();
        let writer = fake.writer(2);
        let under_way = submit(&writer, 0, LATER);
        settle().await;
        let waiting = [submit(&writer, 1, LATER), submit(&writer, 2, LATER)];

        let mut refused = submit(&writer, 3, LATER);

        assert_eq!(refused.try_recv(), Ok(WriteOutcome::Unavailable));
        fake.gate.add_permits(9);
        assert_eq!(under_way.await, Ok(WriteOutcome::Stored));
        for waiting in waiting {
            assert_eq!(waiting.await, Ok(WriteOutcome::Stored));
        }
        assert_eq!(fake.runs(), [vec![0], vec![1, 2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_not_begun_after_its_deadline() {
        let fake = Fake::closed();
        let writer = fake.writer(16);
        let under_way = submit(&writer, 0, Some(at_ms(10)));
        settle().await;
        let late = submit(&writer, 1, Some(at_ms(20)));
        let in_time = submit(&writer, 2, Some(at_ms(21)));

        tokio::time::advance(Duration::from_millis(19)).await;
        fake.gate.add_permits(9);

        assert_eq!(under_way.await, Ok(WriteOutcome::Stored));
        assert_eq!(late.await, Ok(WriteOutcome::Unavailable));
        assert_eq!(in_time.await, Ok(WriteOutcome::Stored));
        assert_eq!(fake.runs(), [vec![0], vec![2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_contended_group_is_tried_again_but_not_for_ever() {
        let in_the_way = || GroupError::Contended("deadlock".into());
        let fake = Fake::new((0..6).map(|_| in_the_way()));
        let writer = fake.writer(16);

        let given_up = submit(&writer, 0, None).await;
        let stored = submit(&writer, 1, None).await;

        assert_eq!(given_up, Ok(WriteOutcome::Unavailable));
        assert_eq!(stored, Ok(WriteOutcome::Stored));
        assert_eq!(fake.runs().concat(), [0, 0, 0, 0, 0, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_does_not_fit_fails_alone() {
        let fake = Fake::closed();
        let writer = fake.writer(16);
        let first = submit(&writer, 0, None);
        settle().await;
        let group = [1, 2, UNFIT, 3].map(|asks| submit(&writer, asks, None));

        fake.gate.add_permits(99);

        assert_eq!(first.await, Ok(WriteOutcome::Stored));
        let mut outcomes = Vec::new();
        for outcome in group {
            outcomes.push(outcome.await.unwrap());
        }
        use WriteOutcome::{Stored, Unavailable};
        assert_eq!(outcomes, [Stored, Stored, Unavailable, Stored]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_commit_is_looked_up_before_anybody_hears_of_it() {
        let away = || GroupError::Away("no route".into());
        let lost = GroupError::Unknown("connection reset".into());
        let fake = Fake::new([lost, away(), away()]);
        let writer = fake.writer(16);

        // Its deadline is no reason to leave it: it was begun.
        let mut in_doubt = submit(&writer, 1, Some(at_ms(1)));
        settle().await;
        let meanwhile = submit(&writer, 2, None);

        assert_eq!(meanwhile.await, Ok(WriteOutcome::Unavailable));
        assert!(in_doubt.try_recv().is_err());
        assert_eq!(in_doubt.await, Ok(WriteOutcome::Stored));
        assert_eq!(submit(&writer, 3, None).await, Ok(WriteOutcome::Stored));
        assert_eq!(fake.runs().concat(), [1, 1, 1, 1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_said_at_once() {
        let fake = Fake::new([GroupError::Away("no route".into())]);
        let writer = fake.writer(16);

        let refused = submit(&writer, 1, None).await;
        let again = submit(&writer, 1, None).await;

        assert_eq!(refused, Ok(WriteOutcome::Unavailable));
        assert_eq!(again, Ok(WriteOutcome::Stored));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_store_keeps_nobody_waiting_who_has_a_deadline() {
        let fake = Fake::closed();
        let writer = fake.writer(16);
        let under_way = submit(&writer, 0, Some(at_ms(60_000)));
        tokio::time::sleep(Duration::from_millis(700)).await;
        let early = submit(&writer, 1, Some(at_ms(60_000)));
        let patient = submit(&writer, 2, None);
        assert!(!writer.is_stuck());

        let early = tokio::time::timeout(Duration::from_millis(150), early).await;
        let later = submit(&writer, 3, Some(at_ms(60_000)));
        let later = tokio::time::timeout(Duration::from_millis(1), later).await;

        assert_eq!(early, Ok(Ok(WriteOutcome::Unavailable)));
        assert_eq!(later, Ok(Ok(WriteOutcome::Unavailable)));
        assert!(writer.is_stuck());
        fake.gate.add_permits(9);
        assert_eq!(under_way.await, Ok(WriteOutcome::Stored));
        assert_eq!(patient.await, Ok(WriteOutcome::Stored));
        assert!(!writer.is_stuck());
        assert_eq!(fake.runs(), [vec![0], vec![2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_a_store_cannot_be_reached_everything_is_refused_at_once() {
        let fake = Fake::unreachable([GroupError::Away("no route".into())]);
        let writer = fake.writer(16);
        let found_out = submit(&writer, 0, None).await;

        let refused = [Some(at_ms(60_000)), None].map(|deadline| submit(&writer, 1, deadline));
        for refused in refused {
            let refused = tokio::time::timeout(Duration::from_millis(1), refused).await;
            assert_eq!(refused, Ok(Ok(WriteOutcome::Unavailable)));
        }

        assert_eq!(found_out, Ok(WriteOutcome::Unavailable));
        fake.reachable.add_permits(1);
        settle().await;
        assert_eq!(submit(&writer, 2, None).await, Ok(WriteOutcome::Stored));
        assert_eq!(fake.runs(), [vec![0], vec![2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_does_not_wait_for_a_store_that_cannot_be_reached() {
        let fake = Fake::unreachable([GroupError::Away("no route".into())]);
        let writer = fake.writer(16);
        let refused = submit(&writer, 0, None).await;

        writer.close().await;

        assert_eq!(refused, Ok(WriteOutcome::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_answers_what_was_taken_and_takes_nothing_more() {
        let fake = Fake::closed();
        let writer = fake.writer(16);
        let taken: Vec<_> = (0..6).map(|asks| submit(&writer, asks, None)).collect();

        let closed = writer.close();
        let mut refused = submit(&writer, 9, None);

        assert_eq!(refused.try_recv(), Ok(WriteOutcome::Unavailable));
        fake.gate.add_permits(99);
        closed.await;
        for mut taken in taken {
            assert_eq!(taken.try_recv(), Ok(WriteOutcome::Stored));
        }
        writer.close().await;
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_without_an_answer() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let fake = Fake::closed();
        let (writer, outcomes) = runtime.block_on(async {
            let writer = fake.writer(16);
            let under_way = submit(&writer, 0, None);
            settle().await;
            let waiting = submit(&writer, 1, None);
            (writer, [under_way, waiting])
        });

        runtime.shutdown_timeout(Duration::from_secs(1));

        for mut outcome in outcomes {
            assert_eq!(outcome.try_recv(), Ok(WriteOutcome::Unavailable));
        }
        let mut late = submit(&writer, 2, None);
        assert_eq!(late.try_recv(), Ok(WriteOutcome::Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_panics_at_an_outcome_harms_nobody_else() {
        let fake = Fake::closed();
        let writer = fake.writer(16);
        writer.submit(count(0), None, Box::new(|_| panic!("on purpose")));
        let neighbour = submit(&writer, 1, None);

        fake.gate.add_permits(9);

        assert_eq!(neighbour.await, Ok(WriteOutcome::Stored));
        assert_eq!(submit(&writer, 2, None).await, Ok(WriteOutcome::Stored));
    }

    #[tokio::test(start_paused = true)]
    async fn while_one_worker_is_in_doubt_the_others_go_on() {
        let lost = GroupError::Unknown("connection reset".into());
        let away = GroupError::Away("no route".into());
        let (doubtful, healthy) = (Fake::new([lost, away]), Fake::new([]));
        let clock: Arc<dyn Clock> = Arc::new(Elapsed(Instant::now()));
        let stores = vec![doubtful.clone(), healthy.clone()];
        let options = WriterOptions::default();
        let writer = Writer::start(stores, options, &clock, &Handle::current());

        let mut outcomes = Vec::new();
        for asks in 0..8 {
            outcomes.push(submit(&writer, asks, None));
            settle().await;
        }

        for outcome in outcomes {
            assert_eq!(outcome.await, Ok(WriteOutcome::Stored));
        }
        assert!(doubtful.runs().len() >= 3);
        assert!(healthy.runs().len() >= 2);
    }
}
