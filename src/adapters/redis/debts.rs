//! What Redis has not been told about sessions: who has left them, and which will never be opened.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use domain::{SessionId, SessionRecord, Side, Timestamp};

/// Sessions that are remembered; beyond it the one that failed longest ago is forgotten for each new
/// one, and its key stays as it is until its time is over.
const DEBTS_MAX: usize = 100_000;
/// Sessions of which is remembered that somebody was told of their unreadable value.
const REPORTED_MAX: usize = 10_000;

/// Sessions whose keys are being changed, or could not be.
#[derive(Debug, Default)]
pub(super) struct Debts {
    owed: Mutex<Owed>,
    failed: Notify,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Owed {
    debts: HashMap<SessionId, Debt>,
    /// Those that failed, in the order in which they are tried again.
    queue: VecDeque<SessionId>,
    reported: HashSet<SessionId>,
}

#[derive(Debug)]
struct Debt {
    due: Due,
    /// Whoever tried it has failed, and it is in the queue.
    failed: bool,
}

/// What Redis is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Who has left this session.
    Left(SessionRecord),
    /// That there will be no such session; its key is gone by itself at this time.
    Removal(Timestamp),
}

impl Debts {
    /// Redis is to be told who has left `session`. Nobody comes back, so what is known of leavers
    /// only grows, in whichever order this is called.
    pub(super) fn owe(&self, session: &SessionRecord) {
        let mut owed = self.lock();
        match owed.debts.get_mut(&session.id).map(|debt| &mut debt.due) {
            Some(Due::Left(known)) => {
                for side in Side::BOTH {
                    known.left[side.index()] |= session.left[side.index()];
                }
            }
            Some(Due::Removal(_)) => {}
            None => owed.add(session.id, Due::Left(session.clone())),
        }
    }

    /// Redis is to remove the key of a session that will not be opened, and has until `until`.
    pub(super) fn owe_removal(&self, id: SessionId, until: Timestamp) {
        let mut owed = self.lock();
        match owed.debts.get_mut(&id) {
            Some(debt) => debt.due = Due::Removal(until),
            None => owed.add(id, Due::Removal(until)),
        }
    }

    /// What Redis is to be told now. To be asked after what stands there was read: then whoever
    /// writes more meanwhile is noticed when it is replaced.
    pub(super) fn of(&self, id: SessionId) -> Option<Due> {
        self.lock().debts.get(&id).map(|debt| debt.due.clone())
    }

    /// Redis was told this.
    pub(super) fn settle(&self, id: SessionId, told: &Due) {
        let mut owed = self.lock();
        if owed.debts.get(&id).is_some_and(|debt| debt.due == *told) {
            owed.debts.remove(&id);
            self.settled.notify_waiters();
        }
    }

    /// Waits until Redis has been told all about this session, or it was forgotten.
    pub(super) async fn settled(&self, id: SessionId) {
        loop {
            // Before looking, so that what is settled in between is not missed.
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            if self.of(id).is_none() {
                return;
            }
            settled.await;
        }
    }

    /// Redis could not be told: somebody has to try again.
    pub(super) fn fail(&self, id: SessionId) {
        let mut owed = self.lock();
        if let Some(debt) = owed.debts.get_mut(&id)
            && !std::mem::replace(&mut debt.failed, true)
        {
            owed.queue.push_back(id);
            self.failed.notify_one();
        }
    }

    /// Waits until there may be something to try again.
    pub(super) async fn failed(&self) {
        self.failed.notified().await;
    }

    /// Up to `max` of those that somebody has to try again, the longest waiting first. Whoever takes
    /// them tries, and says where it fails.
    pub(super) fn take_failed(&self, max: usize) -> Vec<SessionId> {
        let mut owed = self.lock();
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(id) = owed.queue.pop_front() else {
                return taken;
            };
            // What was settled meanwhile has left its place in the queue behind.
            if let Some(debt) = owed.debts.get_mut(&id)
                && std::mem::take(&mut debt.failed)
            {
                taken.push(id);
            }
        }
        self.failed.notify_one();
        taken
    }

    /// Whether nobody was told yet that this session's value cannot be read.
    pub(super) fn is_to_be_reported(&self, id: SessionId) -> bool {
        let mut owed = self.lock();
        if owed.reported.len() >= REPORTED_MAX {
            owed.reported.clear();
        }
        owed.reported.insert(id)
    }

    fn lock(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owed {
    fn add(&mut self, id: SessionId, due: Due) {
        while self.debts.len() >= DEBTS_MAX {
            let Some(failed) = self.queue.pop_front() else {
                break;
            };
            if self.debts.get(&failed).is_some_and(|debt| debt.failed) {
                self.debts.remove(&failed);
            }
        }
        let failed = false;
        self.debts.insert(id, Debt { due, failed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{at_ms, session_id, session_record};

    fn session(left: [bool; 2]) -> SessionRecord {
        SessionRecord {
            left,
            ..session_record()
        }
    }

    fn left(left: [bool; 2]) -> Due {
        Due::Left(session(left))
    }

    #[test]
    fn whoever_has_left_stays_gone_in_whichever_order_it_is_heard() {
        let debts = Debts::default();

        debts.owe(&session([true, true]));
        debts.owe(&session([false, true]));

        assert_eq!(debts.of(session_id(1)), Some(left([true, true])));
    }

    #[test]
    fn a_debt_that_grew_while_it_was_paid_is_not_settled() {
        let debts = Debts::default();
        debts.owe(&session([true, false]));
        debts.owe(&session([false, true]));

        debts.settle(session_id(1), &left([true, false]));
        assert_eq!(debts.of(session_id(1)), Some(left([true, true])));
        debts.settle(session_id(1), &left([true, true]));
        assert_eq!(debts.of(session_id(1)), None);
    }

    #[test]
    fn only_what_failed_is_to_be_tried_again() {
        let debts = Debts::default();
        debts.owe(&session([true, false]));

        assert_eq!(debts.take_failed(9), []);
        debts.fail(session_id(1));
        debts.fail(session_id(1));
        assert_eq!(debts.take_failed(9), [session_id(1)]);
        assert_eq!(debts.take_failed(9), [], "it is being tried");
    }

    #[test]
    fn whatever_fails_again_is_tried_again_after_all_others() {
        let debts = Debts::default();
        for number in 1..=3 {
            debts.owe_removal(session_id(number), at_ms(9));
            debts.fail(session_id(number));
        }

        let first = debts.take_failed(2);
        debts.fail(session_id(2));
        debts.fail(session_id(1));
        debts.settle(session_id(2), &Due::Removal(at_ms(9)));

        assert_eq!(first, [1, 2].map(session_id));
        assert_eq!(debts.take_failed(9), [3, 1].map(session_id));
    }

    #[test]
    fn a_session_that_is_to_be_removed_is_not_written() {
        let debts = Debts::default();
        debts.owe_removal(session_id(1), at_ms(9));

        debts.owe(&session([true, false]));

        assert_eq!(debts.of(session_id(1)), Some(Due::Removal(at_ms(9))));
    }
}
