//! Hears every answer and every notice, and compares each with the rows of that moment.
//!
//! What has ended never changes in the rows, confirmations and leavings are never taken back, and
//! the referee sees to that at every write: so what was true when it was said stays true, and two
//! answers that agree with the rows agree with each other.

use matchmaker::domain::{
    AskAnswer, CallId, Ending, ExpiryReason, Guarantee, Holder, LeaveAnswer, MatchId, Notice,
    ProposalAnswer, SessionId, Side, Ticket, TicketId, TicketOutcome, UserId, WithdrawAnswer,
};

use super::setup::user;
use super::state::{State, Want};
use super::turn::Turn;
use crate::simulation::checks::touched;
use crate::simulation::referee::{Database, MatchState, Status};

#[derive(Debug, Clone)]
pub enum Answer {
    Ask(AskAnswer),
    Withdraw(WithdrawAnswer),
    Proposal(ProposalAnswer),
    Leave(LeaveAnswer),
}

impl State {
    /// Notes what was seen to be broken first.
    pub fn broken(&mut self, broken: bool, guarantee: Guarantee, seen: &'static str) {
        if broken {
            self.db.change(|db| db.breaks(true, guarantee, seen));
        }
    }
}

impl Turn<'_> {
    /// Takes over a claim that is stored.
    pub fn claim(&mut self, ticket: &Ticket, holder: Holder) {
        let claimed = self.memory.roster.claim_for(ticket, holder);
        let seen = "a second live ticket was claimed for a user";
        let alone = self.setup.servers == 1;
        self.expect(claimed || !alone, Guarantee::OneLiveClaim, seen);
    }

    pub fn expect(&mut self, holds: bool, guarantee: Guarantee, otherwise: &'static str) {
        self.state.broken(!holds, guarantee, otherwise);
    }

    pub fn told_closed(&mut self, user: UserId, ticket: TicketId, outcome: TicketOutcome) {
        if outcome == TicketOutcome::Expired {
            self.tell(user, Notice::TicketExpired { ticket });
        }
    }

    pub fn tell(&mut self, user: UserId, notice: Notice) {
        let db = self.state.db.clone();
        let alone = self.setup.servers == 1;
        match notice {
            Notice::MatchFound {
                match_id, partner, ..
            } => {
                let seen = "a match was told that is not stored like this";
                let told = is_partner(&db, match_id, &user, &partner);
                let open = db.open_match(match_id).is_some();
                self.expect(told && (open || !alone), Guarantee::SymmetricPairs, seen);
            }
            Notice::MatchReady {
                match_id,
                session,
                question_id,
                partner,
            } => {
                let seen = "a session was told that is not stored like this";
                let told = is_partner(&db, match_id, &user, &partner)
                    && is_open(&db, match_id, session, question_id);
                self.expect(told, Guarantee::OneOutcome, seen);
                let readable = self.state.shared.get(&session) == Some(&question_id);
                let seen = "a session was told that cannot be read";
                self.expect(readable, Guarantee::OneSession, seen);
            }
            Notice::MatchExpired {
                match_id,
                reason,
                requeued,
            } => {
                let seen = "an end of a match was told that is not stored like this";
                let told = is_end(&db, match_id, &user, reason, requeued);
                self.expect(told, Guarantee::OneOutcome, seen);
            }
            Notice::TicketExpired { ticket } => {
                let seen = "a ticket was told to be over that is not";
                let told = db.status(ticket) == Some(Status::Closed(TicketOutcome::Expired));
                self.expect(told, Guarantee::OneOutcome, seen);
            }
            Notice::PartnerLeft {
                session,
                user: leaver,
            } => {
                let seen = "a leaving was told that is not stored";
                let told = has_left(&db, session, &leaver);
                self.expect(told, Guarantee::OneOutcome, seen);
            }
        }
    }

    pub fn answer(&mut self, call: CallId, answer: Answer) {
        let Some(asked) = self.memory.calls.remove(&call) else {
            let seen = "a call was answered twice";
            return self.expect(false, Guarantee::OneOutcome, seen);
        };
        let (db, alone) = (self.state.db.clone(), self.setup.servers == 1);
        let caller = user(asked.user);
        match (asked.want, answer) {
            (Want::Ask { .. }, Answer::Ask(answer)) => self.check_ask(&db, &caller, &answer, alone),
            (Want::Withdraw(ticket), Answer::Withdraw(answer)) => {
                let status = db.status(ticket);
                let holds = match answer {
                    WithdrawAnswer::Withdrawn => {
                        status == Some(Status::Closed(TicketOutcome::Withdrawn))
                    }
                    WithdrawAnswer::NotPending => status != Some(Status::Waiting) || !alone,
                    WithdrawAnswer::Busy | WithdrawAnswer::Unavailable => true,
                };
                let seen = "a withdrawal was answered otherwise than it is stored";
                self.expect(holds, Guarantee::Durable, seen);
            }
            (Want::Confirm(id) | Want::Decline(id), Answer::Proposal(answer)) => {
                self.check_proposal(&db, &caller, id, &answer, alone);
            }
            (Want::Leave(id), Answer::Leave(answer)) => {
                let holds = answer != LeaveAnswer::Left || has_left(&db, id, &caller);
                let seen = "a leaving was answered that is not stored";
                self.expect(holds, Guarantee::Durable, seen);
            }
            (want, answer) => unreachable!("{want:?} was answered {answer:?}"),
        }
    }

    fn check_ask(&mut self, db: &Database, caller: &UserId, answer: &AskAnswer, alone: bool) {
        match answer {
            AskAnswer::Ticket { ticket, .. } => {
                let row = db.tickets.get(&ticket.id);
                let stored = row.is_some_and(|row| row.ticket.user == *caller);
                let seen = "a ticket was answered that is not stored";
                self.expect(stored, Guarantee::Durable, seen);
                let live = row.is_some_and(|row| !matches!(row.status, Status::Closed(_)));
                let seen = "a ticket was answered that is over";
                self.expect(live || !alone, Guarantee::OneOutcome, seen);
            }
            AskAnswer::Duplicate { ticket, .. } => {
                let row = db.tickets.get(ticket);
                let live = row.is_some_and(|row| !matches!(row.status, Status::Closed(_)));
                // While it is being stored, or its end is, it is in the way as well.
                let mut errands = self.memory.errands.values();
                let busy = errands.any(|errand| touched(&errand.write, db).contains(ticket));
                let seen = "a duplicate of a ticket that is over";
                self.expect(live || busy || !alone, Guarantee::OneLiveClaim, seen);
            }
            AskAnswer::Busy | AskAnswer::Unavailable => {}
        }
    }

    fn check_proposal(
        &mut self,
        db: &Database,
        caller: &UserId,
        id: MatchId,
        answer: &ProposalAnswer,
        alone: bool,
    ) {
        let (Some(row), Some(side)) = (db.matches.get(&id), db.side(id, caller)) else {
            let seen = "a match was answered that is not stored";
            return self.expect(false, Guarantee::SymmetricPairs, seen);
        };
        let confirmed = row.confirmed[side.index()];
        let (guarantee, holds) = match answer {
            ProposalAnswer::WaitingForPartner => (Guarantee::Durable, confirmed),
            ProposalAnswer::Session(record) => {
                let open = is_open(db, id, record.id, record.question.id);
                (Guarantee::Durable, confirmed && open)
            }
            ProposalAnswer::Declined => {
                let declined = MatchState::Ended(Ending::Declined(side));
                (Guarantee::Durable, row.state == declined)
            }
            ProposalAnswer::AlreadyConfirmed | ProposalAnswer::QuestionUnavailable => {
                (Guarantee::Durable, row.confirmed == [true, true])
            }
            ProposalAnswer::NotFound => {
                let over = row.state != MatchState::Open;
                (Guarantee::OneOutcome, over || !alone)
            }
            ProposalAnswer::Busy | ProposalAnswer::Unavailable => (Guarantee::Durable, true),
        };
        let seen = "a proposal was answered otherwise than it is stored";
        self.expect(holds, guarantee, seen);
    }
}

fn is_partner(db: &Database, id: MatchId, user: &UserId, partner: &UserId) -> bool {
    db.side(id, user).is_some_and(|side: Side| {
        let users = &db.matches[&id].proposal.users;
        users[side.other().index()] == *partner
    })
}

fn is_open(db: &Database, id: MatchId, session: SessionId, question: i64) -> bool {
    let row = db.sessions.get(&session).map(|row| &row.record);
    let stored = row.is_some_and(|row| row.match_id == id && row.question.id == question);
    stored && db.matches[&id].state == MatchState::InSession
}

fn is_end(db: &Database, id: MatchId, user: &UserId, reason: ExpiryReason, requeued: bool) -> bool {
    let Some(side) = db.side(id, user) else {
        return false;
    };
    let row = &db.matches[&id];
    let reason_fits = match row.state {
        MatchState::Ended(Ending::Declined(by)) => {
            by != side && reason == ExpiryReason::PartnerDeclined
        }
        MatchState::Ended(Ending::Expired) => reason == ExpiryReason::ConfirmationTimeout,
        MatchState::Ended(Ending::QuestionUnavailable) => {
            reason == ExpiryReason::QuestionUnavailable
        }
        MatchState::Open | MatchState::InSession => false,
    };
    reason_fits && row.put_back[side.index()] == requeued
}

fn has_left(db: &Database, session: SessionId, user: &UserId) -> bool {
    let row = db.sessions.get(&session).map(|row| &row.record);
    row.is_some_and(|row| row.side_of(user).is_some_and(|side| row.left[side.index()]))
}
