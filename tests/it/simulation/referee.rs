//! A database in memory that applies writes on exactly the conditions that `Write` documents.

use std::collections::BTreeMap;

use matchmaker::domain::{
    Ending, EventId, Fate, MatchId, Proposal, Refusal, SessionId, SessionRecord, Side, Ticket,
    TicketId, TicketOutcome, UserId, Write, WriteOutcome,
};

/// All that is stored. A write is applied as a whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Database {
    pub tickets: BTreeMap<TicketId, TicketRow>,
    pub matches: BTreeMap<MatchId, MatchRow>,
    pub sessions: BTreeMap<SessionId, SessionRow>,
}

#[derive(Debug, Clone)]
pub struct TicketRow {
    pub ticket: Ticket,
    pub status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Waiting,
    Matched(MatchId),
    Closed(TicketOutcome),
}

#[derive(Debug, Clone)]
pub struct MatchRow {
    pub proposal: Proposal,
    pub confirmed: [bool; 2],
    pub extended: bool,
    pub state: MatchState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchState {
    Open,
    Ended(Ending),
    InSession,
}

#[derive(Debug, Clone)]
pub struct SessionRow {
    pub record: SessionRecord,
    pub tickets: [TicketId; 2],
    pub event: EventId,
}

impl Database {
    pub fn apply(&mut self, write: &Write) -> WriteOutcome {
        match self.refusal(write) {
            Some(refusal) => WriteOutcome::Refused(refusal),
            None => {
                self.store(write);
                WriteOutcome::Stored
            }
        }
    }

    pub fn is_waiting(&self, ticket: TicketId) -> bool {
        self.status(ticket) == Some(Status::Waiting)
    }

    pub fn status(&self, ticket: TicketId) -> Option<Status> {
        self.tickets.get(&ticket).map(|row| row.status)
    }

    /// The match if it has neither ended nor become a session.
    pub fn open_match(&self, id: MatchId) -> Option<&MatchRow> {
        let row = self.matches.get(&id)?;
        (row.state == MatchState::Open).then_some(row)
    }

    pub fn side(&self, id: MatchId, user: &UserId) -> Option<Side> {
        let users = &self.matches.get(&id)?.proposal.users;
        Side::BOTH
            .into_iter()
            .find(|side| users[side.index()] == *user)
    }

    /// Tickets that wait or are in an open match.
    pub fn live(&self) -> impl Iterator<Item = &TicketRow> {
        self.tickets
            .values()
            .filter(|row| !matches!(row.status, Status::Closed(_)))
    }

    fn live_of(&self, user: &UserId) -> Option<&TicketRow> {
        self.live().find(|row| row.ticket.user == *user)
    }

    fn refusal(&self, write: &Write) -> Option<Refusal> {
        match write {
            Write::OpenTicket(ticket) => {
                self.live_of(&ticket.user).map(|row| Refusal::AlreadyLive {
                    ticket: row.ticket.id,
                    matched: row.status != Status::Waiting,
                })
            }
            Write::CloseTicket { ticket, .. } | Write::ReplaceTicket { old: ticket, .. } => {
                self.not_waiting(&[*ticket])
            }
            Write::CountAsk { ticket, .. } | Write::DiscardTicket { ticket, .. } => {
                let live = self.live().any(|row| row.ticket.id == *ticket);
                (!live).then(|| Refusal::NotWaiting(vec![*ticket]))
            }
            Write::ProposeMatch(proposal) => self.not_waiting(&proposal.tickets),
            Write::ConfirmMatch { match_id, .. } | Write::EndMatch { match_id, .. } => self
                .open_match(*match_id)
                .is_none()
                .then_some(Refusal::NotOpen),
            Write::ExtendMatch { match_id, .. } => {
                let once = self.open_match(*match_id).is_some_and(|row| !row.extended);
                (!once).then_some(Refusal::NotOpen)
            }
            Write::OpenSession { session, .. } => {
                let confirmed = self.open_match(session.match_id).map(|row| row.confirmed);
                (confirmed != Some([true, true])).then_some(Refusal::NotOpen)
            }
            Write::LeaveSession { session, .. } => {
                (!self.sessions.contains_key(session)).then_some(Refusal::NotOpen)
            }
        }
    }

    fn not_waiting(&self, tickets: &[TicketId]) -> Option<Refusal> {
        let gone: Vec<TicketId> = tickets
            .iter()
            .copied()
            .filter(|ticket| !self.is_waiting(*ticket))
            .collect();
        (!gone.is_empty()).then_some(Refusal::NotWaiting(gone))
    }

    fn store(&mut self, write: &Write) {
        match write {
            Write::OpenTicket(ticket) => self.open(ticket),
            Write::CloseTicket {
                ticket, outcome, ..
            } => {
                self.set(*ticket, Status::Closed(*outcome));
            }
            Write::ReplaceTicket { old, new } => {
                self.set(*old, Status::Closed(TicketOutcome::Replaced));
                self.open(new);
            }
            Write::DiscardTicket { ticket, .. } => {
                self.set(*ticket, Status::Closed(TicketOutcome::Refused));
            }
            Write::CountAsk { ticket, asks } => self.ticket_mut(*ticket).ticket.asks = *asks,
            Write::ProposeMatch(proposal) => {
                for ticket in proposal.tickets {
                    self.set(ticket, Status::Matched(proposal.id));
                }
                let row = MatchRow {
                    proposal: proposal.clone(),
                    confirmed: [false; 2],
                    extended: false,
                    state: MatchState::Open,
                };
                let earlier = self.matches.insert(proposal.id, row);
                assert!(earlier.is_none(), "two matches have the same id");
            }
            Write::ConfirmMatch { match_id, side } => {
                self.match_mut(*match_id).confirmed[side.index()] = true;
            }
            Write::EndMatch { .. } => self.end_match(write),
            Write::OpenSession {
                session,
                tickets,
                event,
            } => self.open_session(session, *tickets, *event),
            Write::LeaveSession { session, side, .. } => {
                let row = self
                    .sessions
                    .get_mut(session)
                    .expect("the condition was checked");
                row.record.left[side.index()] = true;
            }
            Write::ExtendMatch {
                match_id,
                expires_at,
            } => {
                let row = self.match_mut(*match_id);
                row.proposal.expires_at = *expires_at;
                row.extended = true;
            }
        }
    }

    fn end_match(&mut self, write: &Write) {
        let Write::EndMatch {
            match_id,
            ending,
            tickets,
            fates,
            opens,
            ..
        } = write
        else {
            unreachable!("the caller looked");
        };
        self.match_mut(*match_id).state = MatchState::Ended(*ending);
        for (ticket, fate) in tickets.iter().zip(fates.iter()) {
            match fate {
                Fate::PutBack(back) => {
                    self.ticket_mut(*ticket).ticket = back.clone();
                    self.set(*ticket, Status::Waiting);
                }
                Fate::Closed(outcome) => self.set(*ticket, Status::Closed(*outcome)),
            }
        }
        opens.iter().for_each(|ticket| self.open(ticket));
    }

    fn open_session(&mut self, session: &SessionRecord, tickets: [TicketId; 2], event: EventId) {
        self.match_mut(session.match_id).state = MatchState::InSession;
        for ticket in tickets {
            self.set(ticket, Status::Closed(TicketOutcome::InSession));
        }
        let known = self.sessions.values().any(|row| row.event == event);
        assert!(!known, "two sessions are announced with the same event");
        let row = SessionRow {
            record: session.clone(),
            tickets,
            event,
        };
        let earlier = self.sessions.insert(session.id, row);
        assert!(earlier.is_none(), "two sessions have the same id");
    }

    fn open(&mut self, ticket: &Ticket) {
        // The unique index on live tickets: a write that breaks it is a fault of the domain.
        let live = self.live_of(&ticket.user);
        assert!(
            live.is_none(),
            "a second live ticket of one user: {ticket:?} beside {live:?}"
        );
        let row = TicketRow {
            ticket: ticket.clone(),
            status: Status::Waiting,
        };
        self.tickets.insert(ticket.id, row);
    }

    fn set(&mut self, ticket: TicketId, status: Status) {
        let row = self.ticket_mut(ticket);
        let over = matches!(row.status, Status::Closed(_));
        assert!(
            !over,
            "a ticket that ended got a second outcome: {row:?}, {status:?}"
        );
        row.status = status;
    }

    fn ticket_mut(&mut self, ticket: TicketId) -> &mut TicketRow {
        self.tickets
            .get_mut(&ticket)
            .expect("writes name known tickets")
    }

    fn match_mut(&mut self, id: MatchId) -> &mut MatchRow {
        self.matches
            .get_mut(&id)
            .expect("the condition was checked")
    }
}
