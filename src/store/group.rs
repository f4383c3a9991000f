//! Writes with those who wait for them, and the groups that share a transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use metrics::counter;
use tokio::time::Instant;

use super::lanes::{InLane, Lanes};
use super::names;
use domain::{Timestamp, Write, WriteOutcome};
use observability::{Cause, STORE_UNAVAILABLE, Step};
use ports::WriteDone;

/// A write that waits for its turn.
pub(super) struct Entry {
    write: Write,
    asker: Asker,
}

impl Entry {
    pub(super) fn new(
        write: Write,
        deadline: Option<Timestamp>,
        done: WriteDone,
        lanes: &Arc<Lanes>,
    ) -> Self {
        let cause = Cause::current();
        let asker = Asker {
            done: Some(done),
            deadline,
            submitted: Instant::now(),
            lane: lanes.enter(deadline.is_some()),
            step: cause.call(names::span_of(&write)),
            cause,
        };
        Self { write, asker }
    }

    /// Answers that nothing was stored.
    pub(super) fn refuse(self, reason: &'static str) {
        self.asker.refuse(reason);
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        self.asker.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// Who waits for a write's outcome. Hears one even where it is dropped unanswered: then the runtime
/// has ended before the writer was closed, and with it whoever could have told the difference.
struct Asker {
    done: Option<WriteDone>,
    deadline: Option<Timestamp>,
    submitted: Instant,
    lane: InLane,
    /// The request that led to the write.
    cause: Cause,
    /// The way of the write, from here to its outcome.
    step: Step,
}

impl Asker {
    fn answer(&mut self, outcome: WriteOutcome) {
        let Some(done) = self.done.take() else { return };
        let _entered = self.cause.enter();
        // A panic here must not keep the others of the group from their answers.
        if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
            tracing::error!("whoever waited for a write panicked at its outcome");
        }
    }

    fn refuse(mut self, reason: &'static str) {
        counter!(STORE_UNAVAILABLE, "reason" => reason).increment(1);
        self.step.fail(reason);
        self.answer(WriteOutcome::Unavailable);
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.answer(WriteOutcome::Unavailable);
    }
}

/// Writes that share a transaction.
pub(super) struct Group {
    writes: Arc<[Write]>,
    askers: Vec<Asker>,
    /// How often it was run in vain.
    pub(super) tries: u32,
    /// Whether it may have been committed: then it is run again until its outcome is known.
    pub(super) in_doubt: bool,
}

impl Group {
    pub(super) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let both = |entry: Entry| (entry.write, entry.asker);
        let (writes, askers): (Vec<_>, Vec<_>) = entries.into_iter().map(both).unzip();
        Self {
            writes: writes.into(),
            askers,
            tries: 0,
            in_doubt: false,
        }
    }

    pub(super) fn writes(&self) -> Arc<[Write]> {
        Arc::clone(&self.writes)
    }

    /// The requests that led to its writes.
    pub(super) fn cause(&self) -> Cause {
        Cause::of_all(self.askers.iter().map(|asker| &asker.cause))
    }

    /// Whether a single write makes it up.
    pub(super) fn is_single(&self) -> bool {
        self.askers.len() == 1
    }

    /// The group without the writes whose deadline has passed; they hear that. A write that may
    /// have been committed is never left out.
    pub(super) fn without_overdue(self, now: Timestamp) -> Option<Self> {
        let overdue = |asker: &Asker| asker.deadline.is_some_and(|deadline| deadline <= now);
        if self.in_doubt || !self.askers.iter().any(overdue) {
            return Some(self);
        }
        let tries = self.tries;
        let (overdue, in_time): (Vec<_>, Vec<_>) =
            self.into_entries().partition(|entry| entry.is_overdue(now));
        for entry in overdue {
            entry.refuse("overdue");
        }
        let rest = (!in_time.is_empty()).then(|| Self::new(in_time));
        rest.map(|rest| Self { tries, ..rest })
    }

    /// Two smaller groups with the same writes in the same order.
    pub(super) fn halves(self) -> [Self; 2] {
        let (in_doubt, middle) = (self.in_doubt, self.askers.len() / 2);
        let mut entries = self.into_entries();
        let first: Vec<Entry> = entries.by_ref().take(middle).collect();
        [Self::new(first), Self::new(entries)].map(|half| Self { in_doubt, ..half })
    }

    /// Answers each write with its own outcome, as `system` gave it.
    pub(super) fn answer(self, outcomes: Vec<WriteOutcome>, system: &'static str) {
        let size = i64::try_from(self.askers.len()).unwrap_or(i64::MAX);
        for (mut asker, outcome) in self.askers.into_iter().zip(outcomes) {
            asker.lane.took(asker.submitted.elapsed());
            asker.step.tell("db.system.name", system);
            asker.step.tell("db.operation.batch.size", size);
            asker.step.tell("outcome", names::name_of(&outcome));
            asker.answer(outcome);
        }
    }

    /// Answers each write that nothing was stored.
    pub(super) fn refuse(self, reason: &'static str) {
        for asker in self.askers {
            asker.refuse(reason);
        }
    }

    fn into_entries(self) -> impl Iterator<Item = Entry> {
        let (writes, askers) = (self.writes, self.askers.into_iter().enumerate());
        askers.map(move |(at, asker)| Entry {
            write: writes[at].clone(),
            asker,
        })
    }
}
