//! A bucket: who waits for one difficulty and topic, and what is under way with whom.
//!
//! A ticket is either in the queue, where it may be paired, or *held*: out of reach while one write
//! about it is under way. What arrives for a held ticket is parked until that write is answered.
//! What the answers do is in `outcomes`.

mod effects;
mod outcomes;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{CANCEL_WAIT_MS, PARKED_MAX, Timeouts};
use crate::notices::{AskAnswer, CallId, WithdrawAnswer};
use crate::pairing::oldest_pair;
use crate::queue::Queue;
use crate::retry::Backoff;
use crate::tickets::{Ticket, TicketOutcome};
use crate::values::{BucketKey, MatchId, TicketId, Timestamp};
use crate::writes::{Proposal, Write};

pub use effects::{BucketEffect, MatchIds};
pub use standing::{HeldFor, LOOKED_AT_MAX, Listed, Standing};

/// The waiting queue of one bucket. Effects are to be carried out in order.
#[derive(Debug, Clone, Hash)]
pub struct Bucket {
    key: BucketKey,
    timeouts: Timeouts,
    queue: Queue,
    held: BTreeMap<TicketId, Held>,
    proposals: BTreeMap<MatchId, Proposal>,
    /// Withdrawals that wait for a proposal's outcome, by the time at which they give up.
    impatient: BTreeSet<(Timestamp, CallId, TicketId)>,
    /// Closings that the store could not take, by the time at which they are tried again.
    unfinished: BTreeSet<(Timestamp, TicketId)>,
    backoff: Backoff,
    pairs_again_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Hash)]
struct Held {
    ticket: Ticket,
    why: Why,
    parked: Vec<Parked>,
}

#[derive(Debug, Clone, Hash)]
enum Why {
    Opening(CallId),
    Proposed(MatchIds),
    Closing {
        outcome: TicketOutcome,
        caller: Option<CallId>,
    },
    Counting(CallId),
    Replacing {
        new: Box<Ticket>,
        caller: CallId,
    },
}

#[derive(Debug, Clone, Hash)]
enum Parked {
    Ask { call: CallId },
    Withdraw { call: CallId, until: Timestamp },
    Abandon,
}

impl Bucket {
    /// An empty bucket.
    pub fn new(key: BucketKey, timeouts: Timeouts) -> Self {
        Self {
            key,
            timeouts,
            queue: Queue::default(),
            held: BTreeMap::new(),
            proposals: BTreeMap::new(),
            impatient: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            backoff: Backoff::default(),
            pairs_again_at: None,
        }
    }

    /// How many may be paired.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How many are out of reach while a write about them is under way.
    pub fn set_aside(&self) -> usize {
        self.held.len()
    }

    /// When the oldest of those that may be paired was first enqueued.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.queue.iter().next().map(|ticket| ticket.enqueued_at)
    }

    /// When [`Bucket::on_time`] has something to do next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let impatient = self.impatient.first().map(|(at, ..)| *at);
        let unfinished = self.unfinished.first().map(|(at, _)| *at);
        [
            self.queue.next_deadline(),
            impatient,
            unfinished,
            self.pairs_again_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes a ticket and asks for it to be stored; it cannot be paired before that.
    pub fn join(&mut self, ticket: Ticket, call: CallId, now: Timestamp) -> Vec<BucketEffect> {
        let mut effects = self.on_time(now);
        effects.push(BucketEffect::Store(Write::OpenTicket(ticket.clone())));
        self.hold(ticket, Why::Opening(call), Vec::new());
        effects
    }

    /// Takes a ticket that is stored already: put back, replaced hither, or read at start-up.
    pub fn admit(&mut self, ticket: Ticket, now: Timestamp) -> Vec<BucketEffect> {
        let mut effects = vec![BucketEffect::Opened(ticket.clone())];
        self.queue.insert(ticket);
        effects.extend(self.on_time(now));
        effects
    }

    /// Somebody who holds `held` asks again, for what `again` says, which is not stored yet.
    pub fn ask_again(
        &mut self,
        held: TicketId,
        again: Ticket,
        call: CallId,
        now: Timestamp,
    ) -> Vec<BucketEffect> {
        let mut effects = self.on_time(now);
        self.decide_ask(held, Box::new(again), call, &mut effects);
        effects
    }

    /// Somebody withdraws their ticket.
    pub fn withdraw(
        &mut self,
        ticket: TicketId,
        call: CallId,
        now: Timestamp,
    ) -> Vec<BucketEffect> {
        let mut effects = self.on_time(now);
        self.decide_withdraw(ticket, call, now.plus_ms(CANCEL_WAIT_MS), now, &mut effects);
        effects
    }

    /// Withdraws a ticket of whose opening its user could not be told, as soon as no other write
    /// about it is under way.
    pub fn abandon(&mut self, ticket: TicketId, now: Timestamp) -> Vec<BucketEffect> {
        let mut effects = Vec::new();
        if let Some(ticket) = self.queue.remove(ticket) {
            self.close(ticket, TicketOutcome::Withdrawn, None, now, &mut effects);
        } else if let Some(held) = self.held.get_mut(&ticket) {
            // Before all others: they wait for that end.
            held.parked.insert(0, Parked::Abandon);
        }
        effects
    }

    /// The pair to propose next, if one may be proposed now; [`Bucket::on_time`] comes first.
    pub fn next_pair(&self) -> Option<(TicketId, TicketId)> {
        match self.pairs_again_at {
            Some(_) => None,
            None => oldest_pair(self.queue.iter()),
        }
    }

    /// Sets the next pair aside and asks for its match to be stored.
    pub fn propose_next(&mut self, ids: MatchIds, now: Timestamp) -> Vec<BucketEffect> {
        let Some((older, younger)) = self.next_pair() else {
            return Vec::new();
        };
        let (Some(older), Some(younger)) = (self.queue.remove(older), self.queue.remove(younger))
        else {
            return Vec::new();
        };
        let proposal = Proposal {
            id: ids.id,
            session: ids.session,
            bucket: self.key.clone(),
            tickets: [older.id, younger.id],
            users: [older.user.clone(), younger.user.clone()],
            proposed_at: now,
            expires_at: now.plus_ms(self.timeouts.confirm_window_ms),
        };
        self.proposals.insert(ids.id, proposal.clone());
        self.hold(older, Why::Proposed(ids), Vec::new());
        self.hold(younger, Why::Proposed(ids), Vec::new());
        vec![BucketEffect::Store(Write::ProposeMatch(proposal))]
    }

    /// Does what is due at `now`. Being late changes nothing but the time at which it is done.
    pub fn on_time(&mut self, now: Timestamp) -> Vec<BucketEffect> {
        let mut effects = Vec::new();
        if self.pairs_again_at.is_some_and(|at| at <= now) {
            self.pairs_again_at = None;
        }
        while let Some((_, call, ticket)) = self
            .impatient
            .first()
            .copied()
            .filter(|(at, ..)| *at <= now)
        {
            self.impatient.pop_first();
            if let Some(held) = self.held.get_mut(&ticket) {
                held.parked.retain(|parked| parked.call() != Some(call));
            }
            effects.push(BucketEffect::AnswerWithdraw(call, WithdrawAnswer::Busy));
        }
        while let Some((_, ticket)) = self
            .unfinished
            .first()
            .copied()
            .filter(|(at, _)| *at <= now)
        {
            self.unfinished.pop_first();
            effects.extend(self.closing_write(ticket, now));
        }
        while let Some(due) = self.queue.pop_due(now) {
            self.close(due, TicketOutcome::Expired, None, now, &mut effects);
        }
        effects
    }

    fn decide_ask(
        &mut self,
        held: TicketId,
        again: Box<Ticket>,
        call: CallId,
        effects: &mut Vec<BucketEffect>,
    ) {
        if let Some(busy) = self.held.get_mut(&held) {
            if busy.parked.len() < PARKED_MAX {
                busy.parked.push(Parked::Ask { call });
            } else {
                effects.push(BucketEffect::AnswerAsk(call, AskAnswer::Busy));
            }
            return;
        }
        let Some(ticket) = self.queue.get(held) else {
            effects.push(BucketEffect::Reconsider(call));
            return;
        };
        if !ticket.put_back {
            let duplicate = AskAnswer::Duplicate {
                ticket: held,
                matched: false,
            };
            effects.push(BucketEffect::AnswerAsk(call, duplicate));
            return;
        }
        let same_bucket = again.wish.bucket() == self.key;
        let (asks, Some(ticket)) = (ticket.asks + 1, self.queue.remove(held)) else {
            return;
        };
        if same_bucket {
            effects.push(BucketEffect::Store(Write::CountAsk { ticket: held, asks }));
            self.hold(ticket, Why::Counting(call), Vec::new());
        } else {
            let write = Write::ReplaceTicket {
                old: held,
                new: (*again).clone(),
            };
            effects.push(BucketEffect::Store(write));
            self.hold(
                ticket,
                Why::Replacing {
                    new: again,
                    caller: call,
                },
                Vec::new(),
            );
        }
    }

    fn decide_withdraw(
        &mut self,
        ticket: TicketId,
        call: CallId,
        until: Timestamp,
        now: Timestamp,
        effects: &mut Vec<BucketEffect>,
    ) {
        if let Some(held) = self.held.get_mut(&ticket) {
            if held.parked.len() < PARKED_MAX {
                held.parked.push(Parked::Withdraw { call, until });
                self.impatient.insert((until, call, ticket));
            } else {
                effects.push(BucketEffect::AnswerWithdraw(call, WithdrawAnswer::Busy));
            }
        } else if let Some(ticket) = self.queue.remove(ticket) {
            self.close(ticket, TicketOutcome::Withdrawn, Some(call), now, effects);
        } else {
            effects.push(BucketEffect::Reconsider(call));
        }
    }

    fn hold(&mut self, ticket: Ticket, why: Why, parked: Vec<Parked>) {
        self.held.insert(
            ticket.id,
            Held {
                ticket,
                why,
                parked,
            },
        );
    }

    fn close(
        &mut self,
        ticket: Ticket,
        outcome: TicketOutcome,
        caller: Option<CallId>,
        now: Timestamp,
        effects: &mut Vec<BucketEffect>,
    ) {
        let id = ticket.id;
        self.hold(ticket, Why::Closing { outcome, caller }, Vec::new());
        effects.extend(self.closing_write(id, now));
    }

    fn closing_write(&self, ticket: TicketId, now: Timestamp) -> Option<BucketEffect> {
        match self.held.get(&ticket)?.why {
            Why::Closing { outcome, .. } => Some(BucketEffect::Store(Write::CloseTicket {
                ticket,
                outcome,
                at: now,
            })),
            _ => None,
        }
    }
}

impl Parked {
    fn call(&self) -> Option<CallId> {
        match self {
            Self::Ask { call } | Self::Withdraw { call, .. } => Some(*call),
            Self::Abandon => None,
        }
    }
}
