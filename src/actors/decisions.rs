//! What was decided about tickets lately, for whoever asks why one is where it is.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use domain::{MatchId, SessionId, TicketId, TicketOutcome, Timestamp};

/// Decisions that are remembered, all tickets together; the oldest are forgotten first. About a
/// megabyte when full.
const DECISIONS_MAX: usize = 16_384;

/// One decision about one ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// About which ticket.
    pub ticket: TicketId,
    /// What.
    pub what: Decision,
}

/// What can be decided about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may be paired from now on.
    Waits,
    /// It was set aside, and the store asked for this match.
    Proposed(MatchId),
    /// The store refused this match, or could not take it.
    ProposalFailed(MatchId),
    /// It is in this match; its user is told.
    Matched(MatchId),
    /// Its user confirmed this match.
    Confirmed(MatchId),
    /// Both confirmed this match, and there is no question yet.
    QuestionAwaited(MatchId),
    /// Both confirmed this match, and the shared session could not be written yet.
    SharingAwaited(MatchId),
    /// This match ended, and it is to wait in its old place.
    PutBack(MatchId),
    /// Its user asked for another bucket; this ticket took its place.
    ReplacedBy(TicketId),
    /// This session was opened.
    InSession(SessionId),
    /// Its life ended.
    Closed(TicketOutcome),
}

/// The newest decisions; written by the actors, read by whoever asks.
#[derive(Default)]
pub struct Decisions {
    newest: Mutex<VecDeque<Decided>>,
}

impl Decision {
    /// The match that it is about.
    pub fn of_match(self) -> Option<MatchId> {
        match self {
            Self::Proposed(id)
            | Self::ProposalFailed(id)
            | Self::Matched(id)
            | Self::Confirmed(id)
            | Self::QuestionAwaited(id)
            | Self::SharingAwaited(id)
            | Self::PutBack(id) => Some(id),
            Self::Waits | Self::ReplacedBy(_) | Self::InSession(_) | Self::Closed(_) => None,
        }
    }
}

impl fmt::Debug for Decisions {
    /// What they are would be pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decisions").finish_non_exhaustive()
    }
}

impl Decisions {
    /// Remembers one.
    pub(super) fn note(&self, at: Timestamp, ticket: TicketId, what: Decision) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.len() == DECISIONS_MAX {
            newest.pop_front();
        }
        newest.push_back(Decided { at, ticket, what });
    }

    /// Those about `ticket` that are still remembered, in their order.
    pub fn of(&self, ticket: TicketId) -> Vec<Decided> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let about = newest.iter().filter(|decided| decided.ticket == ticket);
        about.copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{at_ms, ticket};

    #[test]
    fn the_oldest_are_forgotten_first() {
        let decisions = Decisions::default();
        let (old, new) = (ticket(1).id, ticket(2).id);

        decisions.note(at_ms(1), old, Decision::Waits);
        for _ in 1..DECISIONS_MAX {
            decisions.note(at_ms(2), new, Decision::Waits);
        }
        assert_eq!(decisions.of(old).len(), 1);
        decisions.note(at_ms(3), new, Decision::Closed(TicketOutcome::Expired));

        assert_eq!(decisions.of(old), []);
        assert_eq!(decisions.of(new).len(), DECISIONS_MAX);
    }
}
