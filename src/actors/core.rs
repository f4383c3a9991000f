//! What every actor shares.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::board::Board;
use super::decisions::Decision;
use super::inbox::Inbox;
use super::messages::RosterFact;
use domain::bucket::MatchIds;
use domain::limits::Timeouts;
use domain::{
    EventId, MatchId, SessionId, Ticket, TicketId, TicketOutcome, Timestamp, UserId, Write,
    WriteOutcome,
};
use ports::{Ports, QueueChange};

/// The bounds and durations that the actors keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreSettings {
    /// The durations of the lifecycle.
    pub timeouts: Timeouts,
    /// Unconfirmed matches at the same time.
    pub matches_max: usize,
    /// Live tickets at the same time.
    pub tickets_max: usize,
    /// Open sessions at the same time; while there are more, nobody new is let in.
    pub sessions_max: usize,
    /// Buckets at the same time.
    pub buckets_max: usize,
}

/// Shared by all actors.
pub struct Core {
    /// Backends and time.
    pub ports: Ports,
    /// The published state.
    pub board: Arc<Board>,
    /// Bounds and durations.
    pub settings: CoreSettings,
    /// Where calls to backends run, each as a task of its own: the runtime of the actors' thread.
    pub io: Handle,
    /// Permits for unconfirmed matches. Those who wait for one are served in turn.
    pub(super) permits: Arc<Semaphore>,
    pub(super) roster: Inbox<RosterFact>,
}

impl Core {
    /// The core of a server whose roster takes its facts from `roster`.
    pub(super) fn new(
        ports: Ports,
        board: Arc<Board>,
        settings: CoreSettings,
        io: Handle,
        roster: Inbox<RosterFact>,
    ) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(settings.matches_max));
        Arc::new(Self {
            ports,
            board,
            settings,
            io,
            permits,
            roster,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Fresh ids for a match; unguessable, because a match id alone lets anybody read its state.
    pub(super) fn match_ids() -> MatchIds {
        MatchIds {
            id: MatchId(Uuid::new_v4()),
            session: SessionId(Uuid::new_v4()),
            event: EventId(Uuid::new_v4()),
        }
    }

    /// Remembers a decision for whoever asks why a ticket is where it is.
    pub(super) fn decided(&self, ticket: TicketId, what: Decision) {
        self.board.decisions.note(self.now(), ticket, what);
    }

    /// Tells the board and the roster that a ticket's life ended.
    pub(super) fn closed(&self, ticket: TicketId, user: UserId, outcome: TicketOutcome) {
        self.decided(ticket, Decision::Closed(outcome));
        self.ports.mirror.note(QueueChange::Gone(ticket));
        self.board.remove_ticket(ticket);
        let fact = RosterFact::Closed {
            ticket,
            user,
            outcome,
        };
        self.roster.report(fact);
    }

    /// Tells the board and the roster that a ticket was closed and another opened.
    pub(super) fn replaced(&self, old: TicketId, new: Ticket) {
        self.decided(old, Decision::ReplacedBy(new.id));
        self.ports.mirror.note(QueueChange::Gone(old));
        self.board.remove_ticket(old);
        self.board.put_ticket(new.id, &new.user, None);
        let new = Box::new(new);
        self.roster.report(RosterFact::Replaced { old, new });
    }

    /// Hands a write to the store; its outcome arrives in `inbox` as the fact that `fact` makes of it.
    pub(super) fn store<F: Send + 'static>(
        &self,
        write: Write,
        deadline: Option<Timestamp>,
        inbox: &Inbox<F>,
        fact: impl FnOnce(WriteOutcome) -> F + Send + 'static,
    ) {
        let inbox = inbox.clone();
        let done = Box::new(move |outcome| inbox.report(fact(outcome)));
        self.ports.store.submit(write, deadline, done);
    }
}
