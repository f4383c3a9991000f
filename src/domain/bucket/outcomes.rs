//! What a bucket does when the store has answered.

use crate::matches::Match;
use crate::notices::{AskAnswer, Breach, CallId, Guarantee, WithdrawAnswer};
use crate::tickets::{Ticket, TicketOutcome};
use crate::values::{MatchId, TicketId, Timestamp};
use crate::writes::{Proposal, Refusal, WriteOutcome};

use super::{Bucket, BucketEffect, Held, Parked, Why};

/// The store's answer about one held ticket, with all that waits for it.
struct Answered {
    ticket: Ticket,
    parked: Vec<Parked>,
    outcome: WriteOutcome,
    now: Timestamp,
}

impl Bucket {
    /// The store answered a write about one ticket.
    pub fn on_ticket_written(
        &mut self,
        ticket: TicketId,
        outcome: WriteOutcome,
        now: Timestamp,
    ) -> Vec<BucketEffect> {
        let mut effects = Vec::new();
        let Some(Held {
            ticket,
            why,
            parked,
        }) = self.held.remove(&ticket)
        else {
            return effects;
        };
        if outcome != WriteOutcome::Unavailable {
            self.backoff.reset();
        }
        let done = Answered {
            ticket,
            parked,
            outcome,
            now,
        };
        match why {
            Why::Opening(call) => self.opened(call, done, &mut effects),
            Why::Closing { outcome, caller } => self.closed(outcome, caller, done, &mut effects),
            Why::Counting(call) => self.counted(call, done, &mut effects),
            Why::Replacing { new, caller } => self.replaced(*new, caller, done, &mut effects),
            // A proposal is answered through `on_proposal_written`.
            Why::Proposed(_) => self.hold(done.ticket, why, done.parked),
        }
        effects
    }

    /// The store answered a proposal.
    pub fn on_proposal_written(
        &mut self,
        id: MatchId,
        outcome: &WriteOutcome,
        now: Timestamp,
    ) -> Vec<BucketEffect> {
        let mut effects = Vec::new();
        let Some(proposal) = self.proposals.remove(&id) else {
            return effects;
        };
        let [older, younger] = proposal.tickets.map(|ticket| self.held.remove(&ticket));
        if let (Some(older), Some(younger)) = (older, younger) {
            if *outcome != WriteOutcome::Unavailable {
                self.backoff.reset();
            }
            self.proposed(&proposal, [older, younger], outcome, now, &mut effects);
        }
        effects
    }

    fn opened(&mut self, call: CallId, done: Answered, effects: &mut Vec<BucketEffect>) {
        let answer = match done.outcome {
            WriteOutcome::Stored => {
                effects.push(BucketEffect::Opened(done.ticket.clone()));
                effects.push(BucketEffect::AnswerAsk(call, ticket_answer(&done.ticket)));
                self.back(done.ticket, done.parked, done.now, effects);
                return;
            }
            WriteOutcome::Refused(Refusal::AlreadyLive { ticket, matched }) => {
                AskAnswer::Duplicate { ticket, matched }
            }
            WriteOutcome::Refused(_) | WriteOutcome::Unavailable => AskAnswer::Unavailable,
        };
        effects.push(closed(&done.ticket, TicketOutcome::Refused));
        effects.push(BucketEffect::AnswerAsk(call, answer));
        self.dismiss(&done.ticket, done.parked, effects);
    }

    fn closed(
        &mut self,
        end: TicketOutcome,
        caller: Option<CallId>,
        done: Answered,
        effects: &mut Vec<BucketEffect>,
    ) {
        match (done.outcome, caller) {
            (WriteOutcome::Stored, _) => {
                effects.push(closed(&done.ticket, end));
                let answer = |call| BucketEffect::AnswerWithdraw(call, WithdrawAnswer::Withdrawn);
                effects.extend(caller.map(answer));
                self.dismiss(&done.ticket, done.parked, effects);
            }
            (WriteOutcome::Refused(_), _) => {
                let answer = |call| BucketEffect::AnswerWithdraw(call, WithdrawAnswer::NotPending);
                effects.extend(caller.map(answer));
                self.lost(done.ticket, done.parked, effects);
            }
            (WriteOutcome::Unavailable, Some(call)) => {
                let answer = WithdrawAnswer::Unavailable;
                effects.push(BucketEffect::AnswerWithdraw(call, answer));
                self.back(done.ticket, done.parked, done.now, effects);
            }
            (WriteOutcome::Unavailable, None) => {
                // Its end is due whether or not the store can take it now.
                let again_at = self.backoff.next(done.now);
                self.unfinished.insert((again_at, done.ticket.id));
                let why = Why::Closing {
                    outcome: end,
                    caller: None,
                };
                self.hold(done.ticket, why, done.parked);
            }
        }
    }

    fn counted(&mut self, call: CallId, mut done: Answered, effects: &mut Vec<BucketEffect>) {
        match done.outcome {
            WriteOutcome::Stored => {
                done.ticket.asks += 1;
                effects.push(BucketEffect::AnswerAsk(call, ticket_answer(&done.ticket)));
            }
            WriteOutcome::Unavailable => {
                effects.push(BucketEffect::AnswerAsk(call, AskAnswer::Unavailable));
            }
            WriteOutcome::Refused(_) => {
                self.lost(done.ticket, done.parked, effects);
                effects.push(BucketEffect::Reconsider(call));
                return;
            }
        }
        self.back(done.ticket, done.parked, done.now, effects);
    }

    fn replaced(
        &mut self,
        new: Ticket,
        call: CallId,
        done: Answered,
        effects: &mut Vec<BucketEffect>,
    ) {
        match done.outcome {
            WriteOutcome::Stored => {
                let answer = ticket_answer(&new);
                effects.push(BucketEffect::Replaced {
                    old: done.ticket.id,
                    new,
                });
                effects.push(BucketEffect::AnswerAsk(call, answer));
                self.dismiss(&done.ticket, done.parked, effects);
            }
            WriteOutcome::Unavailable => {
                effects.push(BucketEffect::AnswerAsk(call, AskAnswer::Unavailable));
                self.back(done.ticket, done.parked, done.now, effects);
            }
            WriteOutcome::Refused(_) => {
                self.lost(done.ticket, done.parked, effects);
                effects.push(BucketEffect::Reconsider(call));
            }
        }
    }

    fn proposed(
        &mut self,
        proposal: &Proposal,
        both: [Held; 2],
        outcome: &WriteOutcome,
        now: Timestamp,
        effects: &mut Vec<BucketEffect>,
    ) {
        if *outcome == WriteOutcome::Stored {
            self.matched(proposal, both, effects);
            return;
        }
        let blamed = |held: &Held| match outcome {
            WriteOutcome::Refused(refusal) => refusal.names(held.ticket.id),
            WriteOutcome::Stored | WriteOutcome::Unavailable => false,
        };
        if !both.iter().any(blamed) {
            // The same two would be proposed again at once.
            self.pairs_again_at = Some(self.backoff.next(now));
        }
        for held in both {
            if blamed(&held) {
                self.lost(held.ticket, held.parked, effects);
            } else {
                self.back(held.ticket, held.parked, now, effects);
            }
        }
    }

    fn matched(&mut self, proposal: &Proposal, both: [Held; 2], effects: &mut Vec<BucketEffect>) {
        let Why::Proposed(ids) = both[0].why else {
            return;
        };
        let [older, younger] = both;
        let tickets = [older.ticket.clone(), younger.ticket.clone()];
        let new = Match::new(ids, tickets, proposal.expires_at, self.timeouts);
        effects.push(BucketEffect::Matched(Box::new(new)));
        for held in [older, younger] {
            self.dismiss(&held.ticket, held.parked, effects);
        }
    }

    /// The ticket waits again. A parked withdrawal is decided as if it came now; whoever asked again
    /// may have gone meanwhile, and then nothing must be replaced for them: the roster sees to that.
    fn back(
        &mut self,
        ticket: Ticket,
        parked: Vec<Parked>,
        now: Timestamp,
        effects: &mut Vec<BucketEffect>,
    ) {
        let id = ticket.id;
        self.queue.insert(ticket);
        effects.extend(self.on_time(now));
        for parked in parked {
            match parked {
                Parked::Ask { call } => effects.push(BucketEffect::Reconsider(call)),
                Parked::Withdraw { call, until } => {
                    // Removed already where the time ran out just now: then it has its answer.
                    if self.impatient.remove(&(until, call, id)) {
                        self.decide_withdraw(id, call, until, now, effects);
                    }
                }
                Parked::Abandon => effects.extend(self.abandon(id, now)),
            }
        }
    }

    /// The ticket has left this bucket.
    fn dismiss(&mut self, ticket: &Ticket, parked: Vec<Parked>, effects: &mut Vec<BucketEffect>) {
        for parked in parked {
            match parked {
                Parked::Ask { call } => effects.push(BucketEffect::Reconsider(call)),
                Parked::Withdraw { call, until } => {
                    if self.impatient.remove(&(until, call, ticket.id)) {
                        let answer = WithdrawAnswer::NotPending;
                        effects.push(BucketEffect::AnswerWithdraw(call, answer));
                    }
                }
                Parked::Abandon => {}
            }
        }
    }

    /// The database does not know this ticket as waiting, although memory did: the database decides.
    fn lost(&mut self, ticket: Ticket, parked: Vec<Parked>, effects: &mut Vec<BucketEffect>) {
        effects.push(BucketEffect::Breached(Breach {
            guarantee: Guarantee::Durable,
            seen: "a stored ticket was found not to wait in the database",
        }));
        effects.push(closed(&ticket, TicketOutcome::Refused));
        self.dismiss(&ticket, parked, effects);
    }
}

fn ticket_answer(ticket: &Ticket) -> AskAnswer {
    AskAnswer::Ticket {
        ticket: Box::new(ticket.clone()),
        matched: false,
    }
}

fn closed(ticket: &Ticket, outcome: TicketOutcome) -> BucketEffect {
    BucketEffect::Closed {
        ticket: ticket.id,
        user: ticket.user.clone(),
        outcome,
    }
}
