//! The bucket's flows, each in a sentence. Everything goes through [`Tested`], which fails as soon
//! as the bucket tells of something that the store has not confirmed.

mod asking;
mod proposing;
mod time;
mod withdrawing;

use super::*;
use crate::UserId;
use crate::matches::Match;
use crate::notices::{Breach, Guarantee};
use crate::testing::{at_ms, match_id, session_id, ticket, user, wish};
use crate::values::EventId;
use crate::writes::{Refusal, WriteOutcome};

use BucketEffect::{
    AnswerAsk, AnswerWithdraw, Breached, Closed, Matched, Opened, Reconsider, Replaced, Store,
};

const STORED: WriteOutcome = WriteOutcome::Stored;
const AWAY: WriteOutcome = WriteOutcome::Unavailable;

/// A bucket, with what was asked to be stored and what was confirmed.
struct Tested {
    bucket: Bucket,
    under_way: Vec<Write>,
    stored: Vec<Write>,
    withdrawals: Vec<(CallId, TicketId)>,
}

impl Tested {
    fn new() -> Self {
        Self {
            bucket: Bucket::new(wish("Array").bucket(), Timeouts::default()),
            under_way: Vec::new(),
            stored: Vec::new(),
            withdrawals: Vec::new(),
        }
    }

    /// With the tickets 1 to `tickets`, stored; ticket `n` was enqueued at `n` ms.
    fn with_waiting(tickets: u64) -> Self {
        let mut tested = Self::new();
        for number in 1..=tickets {
            tested.join(number, number as i64);
            tested.ticket_written(number, STORED, number as i64);
        }
        tested
    }

    /// With the tickets 1 and 2 set aside for match 1 since 10 ms.
    fn with_proposal() -> Self {
        let mut tested = Self::with_waiting(2);
        tested.propose(1, 10);
        tested
    }

    /// With ticket 1, put back at 10 ms.
    fn with_put_back() -> Self {
        let mut tested = Self::new();
        tested.admit(put_back(1), 10);
        tested
    }

    fn join(&mut self, number: u64, now: i64) -> Vec<BucketEffect> {
        let call = CallId(number);
        let effects = self.bucket.join(ticket(number), call, at_ms(now));
        self.checked(effects)
    }

    fn admit(&mut self, ticket: Ticket, now: i64) -> Vec<BucketEffect> {
        self.stored.push(Write::OpenTicket(ticket.clone()));
        let effects = self.bucket.admit(ticket, at_ms(now));
        self.checked(effects)
    }

    fn ask_again(&mut self, again: Ticket, call: u64, now: i64) -> Vec<BucketEffect> {
        let effects = self
            .bucket
            .ask_again(ticket(1).id, again, CallId(call), at_ms(now));
        self.checked(effects)
    }

    fn withdraw(&mut self, number: u64, call: u64, now: i64) -> Vec<BucketEffect> {
        let (id, call) = (ticket(number).id, CallId(call));
        self.withdrawals.push((call, id));
        let effects = self.bucket.withdraw(id, call, at_ms(now));
        self.checked(effects)
    }

    fn abandon(&mut self, number: u64, now: i64) -> Vec<BucketEffect> {
        let effects = self.bucket.abandon(ticket(number).id, at_ms(now));
        self.checked(effects)
    }

    fn propose(&mut self, number: u64, now: i64) -> Vec<BucketEffect> {
        let effects = self.bucket.propose_next(ids(number), at_ms(now));
        self.checked(effects)
    }

    fn on_time(&mut self, now: i64) -> Vec<BucketEffect> {
        let effects = self.bucket.on_time(at_ms(now));
        self.checked(effects)
    }

    fn ticket_written(
        &mut self,
        number: u64,
        outcome: WriteOutcome,
        now: i64,
    ) -> Vec<BucketEffect> {
        let id = ticket(number).id;
        let about_it = |write: &Write| match write {
            Write::OpenTicket(ticket) => ticket.id == id,
            Write::CloseTicket { ticket, .. } | Write::CountAsk { ticket, .. } => *ticket == id,
            Write::ReplaceTicket { old, .. } => *old == id,
            _ => false,
        };
        self.answered(&outcome, about_it);
        let effects = self.bucket.on_ticket_written(id, outcome, at_ms(now));
        self.checked(effects)
    }

    fn proposal_written(
        &mut self,
        number: u64,
        outcome: WriteOutcome,
        now: i64,
    ) -> Vec<BucketEffect> {
        let id = match_id(number);
        let about_it =
            |write: &Write| matches!(write, Write::ProposeMatch(proposal) if proposal.id == id);
        self.answered(&outcome, about_it);
        let effects = self.bucket.on_proposal_written(id, &outcome, at_ms(now));
        self.checked(effects)
    }

    fn answered(&mut self, outcome: &WriteOutcome, about_it: impl Fn(&Write) -> bool) {
        let index = self.under_way.iter().position(about_it);
        let write = self.under_way.remove(index.expect("a write is answered"));
        if *outcome == STORED {
            self.stored.push(write);
        }
    }

    fn checked(&mut self, effects: Vec<BucketEffect>) -> Vec<BucketEffect> {
        for effect in &effects {
            assert!(self.may_tell(effect), "told before stored: {effect:?}");
            if let Store(write) = effect {
                self.under_way.push(write.clone());
            }
        }
        effects
    }

    /// Whether the store has confirmed what the effect tells; true where it tells nothing good.
    fn may_tell(&self, effect: &BucketEffect) -> bool {
        let opened = |id: TicketId| {
            self.stored.iter().any(|write| match write {
                Write::OpenTicket(ticket) => ticket.id == id,
                Write::ReplaceTicket { new, .. } => new.id == id,
                _ => false,
            })
        };
        let closed = |id: TicketId, end: TicketOutcome| {
            self.stored.iter().any(|write| {
                matches!(write, Write::CloseTicket { ticket, outcome, .. }
                    if *ticket == id && *outcome == end)
            })
        };
        let counted = |ticket: &Ticket| {
            let count = Write::CountAsk {
                ticket: ticket.id,
                asks: ticket.asks,
            };
            ticket.asks == 0 || self.stored.contains(&count)
        };
        match effect {
            Opened(ticket) => opened(ticket.id),
            AnswerAsk(_, AskAnswer::Ticket { ticket, .. }) => {
                opened(ticket.id) && counted(ticket)
            }
            Replaced { new, .. } => opened(new.id),
            Closed {
                ticket, outcome, ..
            } => *outcome == TicketOutcome::Refused || closed(*ticket, *outcome),
            Matched(new) => self.stored.iter().any(|write| {
                matches!(write, Write::ProposeMatch(proposal) if proposal.id == new.ids().id)
            }),
            AnswerWithdraw(call, WithdrawAnswer::Withdrawn) => {
                self.withdrawals.iter().any(|(known, ticket)| {
                    known == call && closed(*ticket, TicketOutcome::Withdrawn)
                })
            }
            _ => true,
        }
    }
}

fn ids(number: u64) -> MatchIds {
    MatchIds {
        id: match_id(number),
        session: session_id(number),
        event: EventId(session_id(1_000 + number).0),
    }
}

fn put_back(number: u64) -> Ticket {
    ticket(number).back_in_place(at_ms(10), Timeouts::default(), None)
}

/// What user 1 asks for the second time, as ticket 7 at 7 ms.
fn again(topic: &str) -> Ticket {
    Ticket {
        user: user(1),
        wish: wish(topic),
        ..ticket(7)
    }
}

fn open(number: u64) -> BucketEffect {
    Store(Write::OpenTicket(ticket(number)))
}

fn close(number: u64, outcome: TicketOutcome, at: i64) -> BucketEffect {
    Store(Write::CloseTicket {
        ticket: ticket(number).id,
        outcome,
        at: at_ms(at),
    })
}

fn count(number: u64, asks: u32) -> BucketEffect {
    let ticket = ticket(number).id;
    Store(Write::CountAsk { ticket, asks })
}

fn replace(old: u64, new: Ticket) -> BucketEffect {
    let old = ticket(old).id;
    Store(Write::ReplaceTicket { old, new })
}

fn closed(number: u64, outcome: TicketOutcome) -> BucketEffect {
    let (ticket, user): (TicketId, UserId) = (ticket(number).id, user(number));
    Closed {
        ticket,
        user,
        outcome,
    }
}

fn asked(call: u64, answer: AskAnswer) -> BucketEffect {
    AnswerAsk(CallId(call), answer)
}

fn holds(ticket: Ticket) -> AskAnswer {
    AskAnswer::Ticket {
        ticket: Box::new(ticket),
        matched: false,
    }
}

fn duplicate(number: u64) -> AskAnswer {
    AskAnswer::Duplicate {
        ticket: ticket(number).id,
        matched: false,
    }
}

fn withdrawn(call: u64, answer: WithdrawAnswer) -> BucketEffect {
    AnswerWithdraw(CallId(call), answer)
}

fn breached() -> BucketEffect {
    Breached(Breach {
        guarantee: Guarantee::Durable,
        seen: "a stored ticket was found not to wait in the database",
    })
}

fn not_waiting(numbers: &[u64]) -> WriteOutcome {
    let tickets = numbers.iter().map(|number| ticket(*number).id).collect();
    WriteOutcome::Refused(Refusal::NotWaiting(tickets))
}

fn pair(older: u64, younger: u64) -> Option<(TicketId, TicketId)> {
    Some((ticket(older).id, ticket(younger).id))
}
