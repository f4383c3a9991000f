//! Why a write was not granted: because it was stored before, or because of what its rows say.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;
use uuid::Uuid;

use super::super::rows::{self, IN_SESSION, MATCHED, OPEN, WAITING};
use super::cells::PgId;
use domain::{
    Ending, Fate, Refusal, Side, Ticket, TicketId, TicketOutcome, Timestamp, Write, WriteOutcome,
    confirmed_with,
};

const NOT_OPEN: WriteOutcome = WriteOutcome::Refused(Refusal::NotOpen);

/// Which rows tell why writes were not granted.
#[derive(Debug, Default)]
pub(super) struct Questions {
    pub(super) tickets: HashSet<Uuid>,
    pub(super) users: HashSet<String>,
    pub(super) matches: HashSet<Uuid>,
    pub(super) sessions: HashSet<Uuid>,
}

impl Questions {
    /// What is to be known of `write`.
    pub(super) fn add(&mut self, write: &Write) {
        match write {
            Write::OpenTicket(ticket) => {
                self.tickets.insert(ticket.id.0);
                self.users.insert(ticket.user.to_string());
            }
            Write::CloseTicket { ticket, .. } | Write::DiscardTicket { ticket, .. } => {
                self.tickets.insert(ticket.0);
            }
            Write::ReplaceTicket { old, new } => self.tickets.extend([old.0, new.id.0]),
            Write::ProposeMatch(proposal) => {
                self.tickets.extend(proposal.tickets.map(|ticket| ticket.0));
                self.matches.insert(proposal.id.0);
                self.sessions.insert(proposal.session.0);
            }
            Write::EndMatch {
                match_id, opens, ..
            } => {
                self.matches.insert(match_id.0);
                if let Some(opens) = opens {
                    self.tickets.insert(opens.id.0);
                    self.users.insert(opens.user.to_string());
                }
            }
            Write::OpenSession { session, .. } => {
                self.matches.insert(session.match_id.0);
            }
            Write::CountAsk { .. }
            | Write::ConfirmMatch { .. }
            | Write::LeaveSession { .. }
            | Write::ExtendMatch { .. } => {}
        }
    }
}

/// What the rows said a moment after the statements had run.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Users and states.
    tickets: HashMap<Uuid, (String, String)>,
    /// The live ticket of a user, and whether it is matched.
    live: HashMap<String, (TicketId, bool)>,
    matches: HashMap<Uuid, MatchFacts>,
    sessions: HashSet<Uuid>,
}

#[derive(Debug)]
struct MatchFacts {
    session: Uuid,
    tickets: [Uuid; 2],
    users: [String; 2],
    state: String,
    confirmed: [bool; 2],
    /// There is a row of its session, or of another one that names it.
    has_session: bool,
    /// Which of its tickets ended with it, and were not put back.
    closed: [bool; 2],
    expires_at: Timestamp,
}

impl Facts {
    pub(super) fn add_ticket(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        let PgId(id) = row.try_get(0)?;
        self.tickets.insert(id, (row.try_get(1)?, row.try_get(2)?));
        Ok(())
    }

    pub(super) fn add_live(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        let (PgId(id), status): (_, &str) = (row.try_get(0)?, row.try_get(2)?);
        let live = (TicketId(id), status == MATCHED);
        self.live.insert(row.try_get(1)?, live);
        Ok(())
    }

    pub(super) fn add_match(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        let [PgId(id), PgId(session), PgId(first), PgId(second)] = [
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
        ];
        let facts = MatchFacts {
            session,
            tickets: [first, second],
            users: [row.try_get(4)?, row.try_get(5)?],
            state: row.try_get(6)?,
            confirmed: [row.try_get(7)?, row.try_get(8)?],
            has_session: row.try_get(9)?,
            closed: [row.try_get(10)?, row.try_get(11)?],
            expires_at: Timestamp::from_ms(row.try_get(12)?),
        };
        self.sessions.insert(session);
        // The same match may be found twice, and only by its own id is everything looked for.
        let (has_session, closed) = (facts.has_session, facts.closed);
        let found = self.matches.entry(id).or_insert(facts);
        found.has_session |= has_session;
        found.closed = [0, 1].map(|side| found.closed[side] || closed[side]);
        Ok(())
    }

    fn outcome_of_discarding(&self, ticket: TicketId) -> WriteOutcome {
        match self.status(ticket.0) {
            Some(status) if status == rows::ended_status(TicketOutcome::Refused) => {
                WriteOutcome::Stored
            }
            _ => not_waiting(ticket),
        }
    }

    /// The outcome of a write that was not granted; nothing where its rows have changed since then so
    /// that it may be granted now.
    pub(super) fn outcome(&self, write: &Write) -> Option<WriteOutcome> {
        match write {
            Write::OpenTicket(ticket) => {
                let stored = self.tickets.contains_key(&ticket.id.0);
                stored
                    .then_some(WriteOutcome::Stored)
                    .or_else(|| self.already_live(ticket))
            }
            Write::CloseTicket {
                ticket, outcome, ..
            } => match self.status(ticket.0) {
                Some(status) if status == rows::ended_status(*outcome) => {
                    Some(WriteOutcome::Stored)
                }
                Some(WAITING) => None,
                _ => Some(not_waiting(*ticket)),
            },
            Write::ReplaceTicket { old, new } => {
                if self.tickets.contains_key(&new.id.0) {
                    return Some(WriteOutcome::Stored);
                }
                let waits = self.waits(old.0, new.user.as_str());
                (!waits).then(|| not_waiting(*old))
            }
            Write::DiscardTicket { ticket, .. } => Some(self.outcome_of_discarding(*ticket)),
            Write::CountAsk { ticket, .. } => Some(not_waiting(*ticket)),
            Write::ProposeMatch(proposal) => {
                if self.matches.contains_key(&proposal.id.0) {
                    return Some(WriteOutcome::Stored);
                }
                let gone = Side::BOTH.into_iter().filter(|side| {
                    let (ticket, user) = (
                        &proposal.tickets[side.index()],
                        &proposal.users[side.index()],
                    );
                    !self.waits(ticket.0, user.as_str())
                });
                let gone: Vec<TicketId> = gone.map(|side| proposal.tickets[side.index()]).collect();
                if !gone.is_empty() {
                    return Some(WriteOutcome::Refused(Refusal::NotWaiting(gone)));
                }
                // Another match has the session's id, which is random.
                self.sessions
                    .contains(&proposal.session.0)
                    .then_some(NOT_OPEN)
            }
            Write::EndMatch { .. } => self.outcome_of_end(write),
            Write::OpenSession { .. } => self.outcome_of_opening(write),
            Write::ConfirmMatch { .. } | Write::LeaveSession { .. } | Write::ExtendMatch { .. } => {
                Some(NOT_OPEN)
            }
        }
    }

    fn outcome_of_opening(&self, write: &Write) -> Option<WriteOutcome> {
        let Write::OpenSession {
            session,
            tickets,
            confirms,
            ..
        } = write
        else {
            return None;
        };
        let its_match = self.matches.get(&session.match_id.0);
        let its_match = its_match.filter(|found| {
            found.session == session.id.0
                && found.tickets == tickets.map(|ticket| ticket.0)
                && found.users[0] == session.users[0].as_str()
                && found.users[1] == session.users[1].as_str()
        });
        let facts = |found: &MatchFacts| {
            let confirmed = confirmed_with(found.confirmed, *confirms);
            (confirmed, found.has_session)
        };
        match its_match.map(|found| (found.state.as_str(), facts(found))) {
            Some((IN_SESSION, _)) => Some(WriteOutcome::Stored),
            Some((OPEN, ([true, true], false))) => None,
            _ => Some(NOT_OPEN),
        }
    }

    fn outcome_of_end(&self, write: &Write) -> Option<WriteOutcome> {
        let Write::EndMatch {
            match_id,
            ending,
            tickets,
            confirmed,
            fates,
            opens,
            at,
        } = write
        else {
            return None;
        };
        let its_match = self.matches.get(&match_id.0);
        let its_match = its_match.filter(|its| its.tickets == tickets.map(|ticket| ticket.0));
        let as_known = its_match.is_some_and(|found| found.confirmed == *confirmed);
        match its_match {
            Some(found) if found.state == OPEN => {
                let is_early = *ending == Ending::Expired && found.expires_at > *at;
                if as_known && !is_early {
                    return self.already_live(opens.as_ref()?);
                }
                Some(WriteOutcome::Refused(Refusal::OpenOtherwise {
                    confirmed: found.confirmed,
                    expires_at: found.expires_at,
                }))
            }
            Some(found) if as_known && found.state == rows::ended_state(*ending) => {
                // Confirmed by the same, and yet whoever was silent before may be known to one
                // server only; and a match may be declined with a new ticket and without one.
                let fates_agree = found.closed == fates.each_ref().map(Fate::is_closed);
                let opened = opens
                    .as_ref()
                    .map(|new| self.tickets.contains_key(&new.id.0));
                let same = fates_agree && opened.unwrap_or(true);
                Some(if same { WriteOutcome::Stored } else { NOT_OPEN })
            }
            Some(_) | None => Some(NOT_OPEN),
        }
    }

    fn already_live(&self, ticket: &Ticket) -> Option<WriteOutcome> {
        let (ticket, matched) = *self.live.get(ticket.user.as_str())?;
        Some(WriteOutcome::Refused(Refusal::AlreadyLive {
            ticket,
            matched,
        }))
    }

    fn status(&self, ticket: Uuid) -> Option<&str> {
        self.tickets.get(&ticket).map(|(_, status)| status.as_str())
    }

    fn waits(&self, ticket: Uuid, user: &str) -> bool {
        let stored = self.tickets.get(&ticket);
        stored.is_some_and(|(owner, status)| status == WAITING && owner == user)
    }
}

fn not_waiting(ticket: TicketId) -> WriteOutcome {
    WriteOutcome::Refused(Refusal::NotWaiting(vec![ticket]))
}
