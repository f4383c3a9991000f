//! A database in memory that applies writes on exactly the conditions of the stores, and sees what
//! would break a guarantee where one of them is left out.

mod announcing;
mod conditions;
mod sight;
mod storing;

use std::collections::BTreeMap;

use matchmaker::domain::{
    Breach, Ending, EventId, Fate, MatchId, Proposal, Refusal, SessionId, SessionRecord, Side,
    Ticket, TicketId, TicketOutcome, Timestamp, UserId, Write, WriteOutcome, confirmed_with,
};

pub use conditions::{Condition, Conditions};

/// All that is stored. A write is applied as a whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Database {
    pub tickets: BTreeMap<TicketId, TicketRow>,
    pub matches: BTreeMap<MatchId, MatchRow>,
    pub sessions: BTreeMap<SessionId, SessionRow>,
    /// Announcements, those too that were removed.
    pub outbox: BTreeMap<EventId, OutboxRow>,
    /// What was stored first that no store may ever hold.
    pub broken: Option<Breach>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TicketRow {
    pub ticket: Ticket,
    pub status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Waiting,
    Matched(MatchId),
    Closed(TicketOutcome),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MatchRow {
    pub proposal: Proposal,
    pub confirmed: [bool; 2],
    pub extended: bool,
    pub state: MatchState,
    /// Who was put back when it ended.
    pub put_back: [bool; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchState {
    Open,
    Ended(Ending),
    InSession,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionRow {
    pub record: SessionRecord,
    pub tickets: [TicketId; 2],
    pub event: EventId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutboxRow {
    pub session: SessionId,
    /// When it was marked as sent.
    pub sent_at: Option<Timestamp>,
    /// The row is gone.
    pub removed: bool,
}

enum Judgement {
    Grant,
    /// It was stored before; nothing is to be done.
    Known,
    Refuse(Refusal),
}

impl Judgement {
    /// Whether a match or a session is in the state that the write needs.
    fn if_open(open: bool) -> Self {
        if open {
            Self::Grant
        } else {
            Self::Refuse(Refusal::NotOpen)
        }
    }
}

impl Database {
    /// Applies `write` on the conditions that it documents; panics where that breaks a guarantee.
    pub fn apply(&mut self, write: &Write) -> WriteOutcome {
        let outcome = self.apply_on(Conditions::OF_FIRST_TRIES, write);
        assert_eq!(self.broken, None, "{write:?}");
        outcome
    }

    /// Applies `write` on these conditions; what that breaks is in `broken`.
    pub fn apply_on(&mut self, conditions: Conditions, write: &Write) -> WriteOutcome {
        match self.judge(conditions, write) {
            Judgement::Refuse(refusal) => WriteOutcome::Refused(refusal),
            Judgement::Known => WriteOutcome::Stored,
            Judgement::Grant => {
                self.store(write);
                self.look();
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
    pub fn live(&self) -> impl Iterator<Item = &TicketRow> + Clone {
        self.tickets
            .values()
            .filter(|row| !matches!(row.status, Status::Closed(_)))
    }

    fn live_of(&self, user: &UserId) -> Option<&TicketRow> {
        self.live().find(|row| row.ticket.user == *user)
    }

    fn judge(&self, on: Conditions, write: &Write) -> Judgement {
        match write {
            Write::OpenTicket(new) => {
                let known = self.tickets.contains_key(&new.id) && on.include(Condition::OpenKnown);
                let live = self.live_of(&new.user);
                match live.filter(|_| on.include(Condition::OpenNoOtherLive)) {
                    _ if known => Judgement::Known,
                    Some(row) => Judgement::Refuse(already_live(row)),
                    None => Judgement::Grant,
                }
            }
            Write::CloseTicket {
                ticket, outcome, ..
            } => {
                let conditions = (Condition::CloseWaits, Condition::CloseKnown);
                self.judge_end(on, conditions, *ticket, *outcome, |status| {
                    status == Status::Waiting
                })
            }
            Write::DiscardTicket { ticket, .. } => {
                let conditions = (Condition::DiscardLive, Condition::DiscardKnown);
                let live = |status| !matches!(status, Status::Closed(_));
                self.judge_end(on, conditions, *ticket, TicketOutcome::Refused, live)
            }
            Write::ReplaceTicket { old, new } => self.judge_replace(on, *old, new),
            Write::CountAsk { ticket, .. } => {
                let status = self.status(*ticket);
                let live = status.is_some_and(|status| !matches!(status, Status::Closed(_)));
                if live || !on.include(Condition::CountLive) {
                    Judgement::Grant
                } else {
                    Judgement::Refuse(Refusal::NotWaiting(vec![*ticket]))
                }
            }
            Write::ProposeMatch(proposal) => self.judge_proposal(on, proposal),
            Write::ConfirmMatch { match_id, .. } => {
                Judgement::if_open(self.is_open(on, Condition::ConfirmOpen, *match_id))
            }
            Write::EndMatch { .. } => self.judge_ending(on, write),
            Write::OpenSession {
                session,
                tickets,
                confirms,
                ..
            } => self.judge_session(on, session, *tickets, *confirms),
            Write::LeaveSession { session, .. } => {
                let known = self.sessions.contains_key(session);
                Judgement::if_open(known || !on.include(Condition::LeaveKnown))
            }
            Write::ExtendMatch {
                match_id,
                expires_at,
            } => {
                let once = self.matches.get(match_id).is_some_and(|row| {
                    !row.extended
                        || row.proposal.expires_at == *expires_at
                        || !on.include(Condition::ExtendOnce)
                });
                Judgement::if_open(once && self.is_open(on, Condition::ExtendOpen, *match_id))
            }
        }
    }

    fn judge_end(
        &self,
        on: Conditions,
        (in_time, known): (Condition, Condition),
        ticket: TicketId,
        outcome: TicketOutcome,
        may_end: impl Fn(Status) -> bool,
    ) -> Judgement {
        match self.status(ticket) {
            Some(status) if may_end(status) => Judgement::Grant,
            Some(Status::Closed(earlier)) if earlier == outcome && on.include(known) => {
                Judgement::Known
            }
            Some(_) if !on.include(in_time) => Judgement::Grant,
            _ => Judgement::Refuse(Refusal::NotWaiting(vec![ticket])),
        }
    }

    fn judge_replace(&self, on: Conditions, old: TicketId, new: &Ticket) -> Judgement {
        if self.tickets.contains_key(&new.id) && on.include(Condition::ReplaceKnown) {
            return Judgement::Known;
        }
        let Some(row) = self.tickets.get(&old) else {
            return Judgement::Refuse(Refusal::NotWaiting(vec![old]));
        };
        let waits = row.status == Status::Waiting || !on.include(Condition::ReplaceWaits);
        let same = row.ticket.user == new.user || !on.include(Condition::ReplaceSameUser);
        let other = self
            .live()
            .any(|row| row.ticket.user == new.user && row.ticket.id != old);
        if waits && same && !(other && on.include(Condition::ReplaceNoOtherLive)) {
            Judgement::Grant
        } else {
            Judgement::Refuse(Refusal::NotWaiting(vec![old]))
        }
    }

    fn judge_proposal(&self, on: Conditions, proposal: &Proposal) -> Judgement {
        let ([first, second], [one, other]) = (proposal.tickets, &proposal.users);
        if (first == second || one == other) && on.include(Condition::ProposeDistinct) {
            return Judgement::Refuse(Refusal::NotOpen);
        }
        let waits = [Condition::ProposeFirstWaits, Condition::ProposeSecondWaits];
        let gone = Side::BOTH.into_iter().filter(|side| {
            let row = self.tickets.get(&proposal.tickets[side.index()]);
            row.is_none_or(|row| {
                let user = &proposal.users[side.index()];
                (row.status != Status::Waiting && on.include(waits[side.index()]))
                    || (row.ticket.user != *user && on.include(Condition::ProposeOwners))
            })
        });
        let gone: Vec<TicketId> = gone.map(|side| proposal.tickets[side.index()]).collect();
        let mut others = self.matches.values().map(|row| &row.proposal);
        if self.matches.contains_key(&proposal.id) && on.include(Condition::ProposeKnown) {
            Judgement::Known
        } else if !gone.is_empty() {
            Judgement::Refuse(Refusal::NotWaiting(gone))
        } else {
            let taken = others.any(|row| row.session == proposal.session && row.id != proposal.id);
            Judgement::if_open(!taken || !on.include(Condition::ProposeSessionUnique))
        }
    }

    fn judge_ending(&self, on: Conditions, write: &Write) -> Judgement {
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
            unreachable!("the caller looked");
        };
        let row = self
            .matches
            .get(match_id)
            .filter(|row| row.proposal.tickets == *tickets || !on.include(Condition::EndTickets));
        let Some(row) = row else {
            return Judgement::Refuse(Refusal::NotOpen);
        };
        let holds = |condition, holds| holds || !on.include(condition);
        let same_confirmed = row.confirmed == *confirmed;
        if row.state == MatchState::Ended(*ending) && on.include(Condition::EndKnown) {
            let mut opens = opens.iter();
            let opened = opens.all(|new| self.tickets.contains_key(&new.id));
            let same_fates = row.put_back == put_back(fates);
            let known = holds(Condition::EndKnownConfirmed, same_confirmed)
                && holds(Condition::EndKnownWithTicket, opened)
                && holds(Condition::EndKnownSameFates, same_fates);
            return match known {
                true => Judgement::Known,
                false => Judgement::Refuse(Refusal::NotOpen),
            };
        }
        if !self.is_open(on, Condition::EndOpen, *match_id) {
            return Judgement::Refuse(Refusal::NotOpen);
        }
        let in_time = *ending != Ending::Expired || row.proposal.expires_at <= *at;
        if !holds(Condition::EndConfirmed, same_confirmed) || !holds(Condition::EndInTime, in_time)
        {
            return Judgement::Refuse(Refusal::OpenOtherwise {
                confirmed: row.confirmed,
                expires_at: row.proposal.expires_at,
            });
        }
        let ends = |id: TicketId| {
            let mut closed = tickets.iter().zip(fates.iter());
            closed.any(|(ticket, fate)| *ticket == id && fate.is_closed())
        };
        let rival = opens.as_ref().and_then(|new| {
            self.live()
                .find(|row| row.ticket.user == new.user && !ends(row.ticket.id))
        });
        match rival.filter(|_| on.include(Condition::EndNoOtherLive)) {
            Some(row) => Judgement::Refuse(already_live(row)),
            None => Judgement::Grant,
        }
    }

    fn judge_session(
        &self,
        on: Conditions,
        session: &SessionRecord,
        tickets: [TicketId; 2],
        confirms: Option<Side>,
    ) -> Judgement {
        let Some(row) = self.matches.get(&session.match_id) else {
            return Judgement::Refuse(Refusal::NotOpen);
        };
        let its_own = (row.proposal.session, &row.proposal.users) == (session.id, &session.users)
            && row.proposal.tickets == tickets;
        if !its_own && on.include(Condition::SessionOfMatch) {
            return Judgement::Refuse(Refusal::NotOpen);
        }
        if row.state == MatchState::InSession && on.include(Condition::SessionKnown) {
            return Judgement::Known;
        }
        let confirmed = confirmed_with(row.confirmed, confirms) == [true, true]
            || !on.include(Condition::SessionBothConfirmed);
        let mut sessions = self.sessions.values().map(|row| &row.record);
        let taken = sessions.any(|one| one.id == session.id || one.match_id == session.match_id)
            && on.include(Condition::SessionUnique);
        let open = self.is_open(on, Condition::SessionOpen, session.match_id);
        Judgement::if_open(open && confirmed && !taken)
    }

    fn is_open(&self, on: Conditions, condition: Condition, id: MatchId) -> bool {
        let row = self.matches.get(&id);
        row.is_some_and(|row| row.state == MatchState::Open || !on.include(condition))
    }
}

fn put_back(fates: &[Fate; 2]) -> [bool; 2] {
    fates.each_ref().map(|fate| !fate.is_closed())
}

fn already_live(row: &TicketRow) -> Refusal {
    Refusal::AlreadyLive {
        ticket: row.ticket.id,
        matched: row.status != Status::Waiting,
    }
}
