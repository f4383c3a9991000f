//! What a granted write changes, and whether it changes what must not change any more.

use matchmaker::domain::{
    Ending, EventId, Fate, Guarantee, MatchId, Proposal, SessionRecord, Ticket, TicketId,
    TicketOutcome, Write,
};

use super::{Database, MatchRow, MatchState, OutboxRow, SessionRow, Status, TicketRow, put_back};

impl Database {
    pub(super) fn store(&mut self, write: &Write) {
        match write {
            Write::OpenTicket(ticket) => self.open(ticket),
            Write::CloseTicket {
                ticket, outcome, ..
            } => self.set(*ticket, Status::Closed(*outcome)),
            Write::ReplaceTicket { old, new } => {
                self.set(*old, Status::Closed(TicketOutcome::Replaced));
                self.open(new);
            }
            Write::DiscardTicket { ticket, .. } => {
                self.set(*ticket, Status::Closed(TicketOutcome::Refused));
            }
            Write::CountAsk { ticket, asks } => {
                let over = matches!(self.status(*ticket), Some(Status::Closed(_)));
                self.breaks(
                    over,
                    Guarantee::OneOutcome,
                    "a ticket that is over was asked for",
                );
                if let Some(row) = self.tickets.get_mut(ticket) {
                    row.ticket.asks = *asks;
                }
            }
            Write::ProposeMatch(proposal) => self.propose(proposal),
            Write::ConfirmMatch { match_id, side } => {
                self.of_open_match(*match_id, |row| row.confirmed[side.index()] = true);
            }
            Write::EndMatch {
                match_id,
                ending,
                tickets,
                fates,
                opens,
                at,
                ..
            } => {
                let row = self.matches.get(match_id);
                let early = *ending == Ending::Expired
                    && row.is_some_and(|row| *at < row.proposal.expires_at);
                self.breaks(early, Guarantee::TimeKept, "a window ended before its time");
                self.of_open_match(*match_id, |row| {
                    row.state = MatchState::Ended(*ending);
                    row.put_back = put_back(fates);
                });
                for (ticket, fate) in tickets.iter().zip(fates.iter()) {
                    self.leave_match(*match_id, *ticket, fate);
                }
                opens.iter().for_each(|ticket| self.open(ticket));
            }
            Write::OpenSession {
                session,
                tickets,
                event,
                confirms,
            } => {
                if let Some(side) = confirms {
                    self.of_open_match(session.match_id, |row| row.confirmed[side.index()] = true);
                }
                self.open_session(session, *tickets, *event);
            }
            Write::LeaveSession { session, side, .. } => match self.sessions.get_mut(session) {
                Some(row) => row.record.left[side.index()] = true,
                None => self.breaks(true, Guarantee::Durable, "somebody left no session"),
            },
            Write::ExtendMatch {
                match_id,
                expires_at,
            } => {
                let again = |row: &MatchRow| row.extended && row.proposal.expires_at != *expires_at;
                let again = self.matches.get(match_id).is_some_and(again);
                self.breaks(again, Guarantee::TimeKept, "a window got more time twice");
                self.of_open_match(*match_id, |row| {
                    row.proposal.expires_at = *expires_at;
                    row.extended = true;
                });
            }
        }
    }

    fn propose(&mut self, proposal: &Proposal) {
        for ticket in proposal.tickets {
            let elsewhere = matches!(self.status(ticket), Some(Status::Matched(_)));
            let seen = "a ticket was put into a second match";
            self.breaks(elsewhere, Guarantee::SymmetricPairs, seen);
            self.set(ticket, Status::Matched(proposal.id));
        }
        let row = MatchRow {
            proposal: proposal.clone(),
            confirmed: [false; 2],
            extended: false,
            state: MatchState::Open,
            put_back: [false; 2],
        };
        let earlier = self.matches.insert(proposal.id, row);
        self.breaks(
            earlier.is_some(),
            Guarantee::OneOutcome,
            "a match was proposed twice",
        );
    }

    fn leave_match(&mut self, id: MatchId, ticket: TicketId, fate: &Fate) {
        let here = self.status(ticket) == Some(Status::Matched(id));
        let seen = "a match let go of a ticket that was not in it";
        self.breaks(!here, Guarantee::SymmetricPairs, seen);
        match fate {
            Fate::PutBack(back) => {
                self.set(ticket, Status::Waiting);
                if let Some(row) = self.tickets.get_mut(&ticket) {
                    row.ticket = back.clone();
                }
            }
            Fate::Closed(outcome) => self.set(ticket, Status::Closed(*outcome)),
        }
    }

    fn open_session(&mut self, session: &SessionRecord, tickets: [TicketId; 2], event: EventId) {
        let row = self.matches.get(&session.match_id);
        let confirmed = row.is_some_and(|row| row.confirmed == [true, true]);
        let seen = "a session opened that not both have confirmed";
        self.breaks(!confirmed, Guarantee::OneSession, seen);
        self.of_open_match(session.match_id, |row| row.state = MatchState::InSession);
        for ticket in tickets {
            self.set(ticket, Status::Closed(TicketOutcome::InSession));
        }
        let row = SessionRow {
            record: session.clone(),
            tickets,
            event,
        };
        let announced = OutboxRow {
            session: session.id,
            sent_at: None,
            removed: false,
        };
        let twice = self.sessions.insert(session.id, row).is_some();
        let twice = self.outbox.insert(event, announced).is_some() || twice;
        self.breaks(twice, Guarantee::OneSession, "a session opened twice");
    }

    fn open(&mut self, ticket: &Ticket) {
        let rival = self.live_of(&ticket.user).is_some();
        let seen = "a user got a second live ticket";
        self.breaks(rival, Guarantee::OneLiveClaim, seen);
        let row = TicketRow {
            ticket: ticket.clone(),
            status: Status::Waiting,
        };
        let earlier = self.tickets.insert(ticket.id, row);
        let seen = "a ticket was opened twice";
        self.breaks(earlier.is_some(), Guarantee::OneOutcome, seen);
    }

    fn set(&mut self, ticket: TicketId, status: Status) {
        let Some(row) = self.tickets.get_mut(&ticket) else {
            return self.breaks(true, Guarantee::Durable, "a write names an unknown ticket");
        };
        let was = std::mem::replace(&mut row.status, status);
        let over = matches!(was, Status::Closed(_)) && was != status;
        let seen = "a ticket that had ended got another outcome";
        self.breaks(over, Guarantee::OneOutcome, seen);
    }

    fn of_open_match(&mut self, id: MatchId, change: impl FnOnce(&mut MatchRow)) {
        let Some(row) = self.matches.get_mut(&id) else {
            return self.breaks(true, Guarantee::Durable, "a write names an unknown match");
        };
        let (over, before) = (row.state != MatchState::Open, row.clone());
        change(row);
        let changed = over && *row != before;
        let seen = "a match that was over was changed";
        self.breaks(changed, Guarantee::OneOutcome, seen);
    }
}
