//! What Redis has not been told about sessions: who has left them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{SessionId, SessionRecord, Side};

/// Sessions that are remembered; beyond it one of those that failed is forgotten for each new one, and
/// its key stays as it is until its time is over.
const DEBTS_MAX: usize = 100_000;

/// Sessions whose members are being written, or could not be.
#[derive(Debug, Default)]
pub(super) struct Debts(Mutex<HashMap<SessionId, Debt>>);

#[derive(Debug)]
struct Debt {
    session: SessionRecord,
    /// Whoever wrote it has failed.
    failed: bool,
}

impl Debts {
    /// Redis is to be told who has left `session`. Nobody comes back, so what is known of leavers
    /// only grows, in whichever order this is called.
    pub(super) fn owe(&self, session: &SessionRecord) {
        let mut debts = self.lock();
        if let Some(debt) = debts.get_mut(&session.id) {
            for side in Side::BOTH {
                debt.session.left[side.index()] |= session.left[side.index()];
            }
            return;
        }
        if debts.len() >= DEBTS_MAX {
            let failed = debts.iter().find(|(_, debt)| debt.failed);
            let failed = failed.map(|(id, _)| *id);
            failed.and_then(|id| debts.remove(&id));
        }
        let debt = Debt {
            session: session.clone(),
            failed: false,
        };
        debts.insert(session.id, debt);
    }

    /// What Redis is to be told now. To be asked after what stands there was read: then whoever
    /// writes more meanwhile is noticed when it is replaced.
    pub(super) fn of(&self, id: SessionId) -> Option<SessionRecord> {
        self.lock().get(&id).map(|debt| debt.session.clone())
    }

    /// Redis was told this.
    pub(super) fn settle(&self, told: &SessionRecord) {
        let mut debts = self.lock();
        if debts
            .get(&told.id)
            .is_some_and(|debt| debt.session == *told)
        {
            debts.remove(&told.id);
        }
    }

    /// Redis could not be told: somebody has to try again.
    pub(super) fn fail(&self, id: SessionId) {
        if let Some(debt) = self.lock().get_mut(&id) {
            debt.failed = true;
        }
    }

    /// Those that somebody has to try again.
    pub(super) fn failed(&self) -> Vec<SessionId> {
        let debts = self.lock();
        let failed = debts.iter().filter(|(_, debt)| debt.failed);
        failed.map(|(id, _)| *id).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Debt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Question;
    use crate::domain::testing::{at_ms, match_id, session_id, user};

    fn session(left: [bool; 2]) -> SessionRecord {
        SessionRecord {
            id: session_id(1),
            match_id: match_id(1),
            users: [user(1), user(2)],
            question: Question {
                id: 7,
                title: "Two Sum".into(),
                difficulty: "easy".into(),
                topics: vec!["Array".into()],
            },
            opened_at: at_ms(1),
            ends_at: at_ms(2),
            left,
        }
    }

    #[test]
    fn whoever_has_left_stays_gone_in_whichever_order_it_is_heard() {
        let debts = Debts::default();

        debts.owe(&session([true, true]));
        debts.owe(&session([false, true]));

        assert_eq!(debts.of(session_id(1)), Some(session([true, true])));
    }

    #[test]
    fn a_debt_that_grew_while_it_was_paid_is_not_settled() {
        let debts = Debts::default();
        debts.owe(&session([true, false]));
        debts.owe(&session([false, true]));

        debts.settle(&session([true, false]));
        assert_eq!(debts.of(session_id(1)), Some(session([true, true])));
        debts.settle(&session([true, true]));
        assert_eq!(debts.of(session_id(1)), None);
    }

    #[test]
    fn only_what_failed_is_to_be_tried_again() {
        let debts = Debts::default();
        debts.owe(&session([true, false]));

        assert_eq!(debts.failed(), []);
        debts.fail(session_id(1));
        assert_eq!(debts.failed(), [session_id(1)]);
    }
}
