//! The bucket's flows, each in a sentence. Everything goes through [`Tested`], which fails as soon
//! as the bucket tells of something that the store has not confirmed.

use super::*;
use crate::domain::UserId;
use crate::domain::matches::Match;
use crate::domain::notices::{Breach, Guarantee};
use crate::domain::testing::{at_ms, match_id, session_id, ticket, user, wish};
use crate::domain::values::EventId;
use crate::domain::writes::{Refusal, WriteOutcome};

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

// --- join ---

#[test]
fn a_ticket_can_be_paired_only_after_it_is_stored() {
    let mut tested = Tested::with_waiting(1);

    let joined = tested.join(2, 2);

    assert_eq!(joined, [open(2)]);
    assert_eq!(tested.bucket.next_pair(), None);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (1, 1));
}

#[test]
fn a_stored_ticket_is_announced_answered_and_paired() {
    let mut tested = Tested::with_waiting(1);
    tested.join(2, 2);

    let stored = tested.ticket_written(2, STORED, 3);

    assert_eq!(stored, [Opened(ticket(2)), asked(2, holds(ticket(2)))]);
    assert_eq!(tested.bucket.next_pair(), pair(1, 2));
    assert_eq!(tested.bucket.oldest(), Some(at_ms(1)));
}

#[test]
fn an_ask_that_the_database_refuses_names_the_ticket_that_is_live() {
    let mut tested = Tested::new();
    tested.join(1, 1);
    let live = Refusal::AlreadyLive {
        ticket: ticket(9).id,
        matched: true,
    };

    let refused = tested.ticket_written(1, WriteOutcome::Refused(live), 2);

    let answer = AskAnswer::Duplicate {
        ticket: ticket(9).id,
        matched: true,
    };
    assert_eq!(
        refused,
        [closed(1, TicketOutcome::Refused), asked(1, answer)]
    );
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
}

#[test]
fn an_ask_that_the_store_could_not_take_leaves_nothing_behind() {
    let mut tested = Tested::new();
    tested.join(1, 1);

    let away = tested.ticket_written(1, AWAY, 2);

    let answer = AskAnswer::Unavailable;
    assert_eq!(away, [closed(1, TicketOutcome::Refused), asked(1, answer)]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
    assert_eq!(tested.bucket.next_wake(), None);
}

#[test]
fn a_second_ask_during_the_first_is_looked_at_again_once_the_first_is_stored() {
    let mut tested = Tested::new();
    tested.join(1, 1);

    let parked = tested.ask_again(again("Graph"), 7, 7);
    let stored = tested.ticket_written(1, STORED, 8);

    assert_eq!(parked, []);
    assert_eq!(
        stored,
        [
            Opened(ticket(1)),
            asked(1, holds(ticket(1))),
            Reconsider(CallId(7))
        ]
    );
}

#[test]
fn a_second_ask_during_one_that_fails_is_looked_at_again() {
    let mut tested = Tested::new();
    tested.join(1, 1);
    tested.ask_again(again("Array"), 7, 7);

    let away = tested.ticket_written(1, AWAY, 8);

    assert_eq!(
        away,
        [
            closed(1, TicketOutcome::Refused),
            asked(1, AskAnswer::Unavailable),
            Reconsider(CallId(7))
        ]
    );
}

// --- withdraw ---

#[test]
fn a_waiting_ticket_is_out_of_reach_at_once_and_withdrawn_once_that_is_stored() {
    let mut tested = Tested::with_waiting(2);

    let asked_for = tested.withdraw(1, 9, 20);
    let meanwhile = tested.bucket.next_pair();
    let stored = tested.ticket_written(1, STORED, 21);

    assert_eq!(asked_for, [close(1, TicketOutcome::Withdrawn, 20)]);
    assert_eq!(meanwhile, None);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Withdrawn),
            withdrawn(9, WithdrawAnswer::Withdrawn)
        ]
    );
}

#[test]
fn a_withdrawal_that_the_store_could_not_take_puts_the_ticket_back_in_its_place() {
    let mut tested = Tested::with_waiting(3);
    tested.withdraw(1, 9, 20);

    let away = tested.ticket_written(1, AWAY, 21);

    assert_eq!(away, [withdrawn(9, WithdrawAnswer::Unavailable)]);
    assert_eq!(tested.bucket.next_pair(), pair(1, 2));
}

#[test]
fn a_withdrawal_that_the_database_refuses_is_answered_and_counted_as_a_breach() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 20);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 21);

    assert_eq!(
        refused,
        [
            withdrawn(9, WithdrawAnswer::NotPending),
            breached(),
            closed(1, TicketOutcome::Refused)
        ]
    );
    assert_eq!(tested.bucket.waiting(), 0);
}

#[test]
fn a_ticket_that_is_not_here_is_looked_for_elsewhere() {
    let mut tested = Tested::new();

    assert_eq!(tested.withdraw(5, 9, 20), [Reconsider(CallId(9))]);
}

#[test]
fn a_canceller_waits_one_second_for_a_proposal_and_no_longer() {
    let mut tested = Tested::with_proposal();

    let parked = tested.withdraw(1, 9, 20);
    let wake = tested.bucket.next_wake();
    let early = tested.on_time(1_019);
    let due = tested.on_time(1_020);
    let granted = tested.proposal_written(1, STORED, 1_021);

    assert_eq!(parked, []);
    assert_eq!(wake, Some(at_ms(1_020)));
    assert_eq!(early, []);
    assert_eq!(due, [withdrawn(9, WithdrawAnswer::Busy)]);
    assert!(matches!(granted[..], [Matched(_)]), "{granted:?}");
}

#[test]
fn a_canceller_of_a_ticket_that_gets_matched_is_told_so() {
    let mut tested = Tested::with_proposal();
    tested.withdraw(2, 9, 20);

    let granted = tested.proposal_written(1, STORED, 30);

    assert!(matches!(granted[0], Matched(_)));
    assert_eq!(granted[1..], [withdrawn(9, WithdrawAnswer::NotPending)]);
    assert_eq!(tested.on_time(5_000), []);
}

#[test]
fn a_canceller_of_a_ticket_that_does_not_get_matched_goes_on() {
    let mut tested = Tested::with_proposal();
    tested.withdraw(2, 9, 20);

    let away = tested.proposal_written(1, AWAY, 30);
    let stored = tested.ticket_written(2, STORED, 31);

    assert_eq!(away, [close(2, TicketOutcome::Withdrawn, 30)]);
    assert_eq!(
        stored,
        [
            closed(2, TicketOutcome::Withdrawn),
            withdrawn(9, WithdrawAnswer::Withdrawn)
        ]
    );
}

#[test]
fn withdrawing_a_ticket_that_is_being_stored_waits_for_that() {
    let mut tested = Tested::new();
    tested.join(1, 1);

    let parked = tested.withdraw(1, 9, 2);
    let stored = tested.ticket_written(1, STORED, 3);

    assert_eq!(parked, []);
    assert_eq!(
        stored,
        [
            Opened(ticket(1)),
            asked(1, holds(ticket(1))),
            close(1, TicketOutcome::Withdrawn, 3)
        ]
    );
}

#[test]
fn withdrawing_twice_at_once_answers_both_and_stores_once() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 8, 20);

    let second = tested.withdraw(1, 9, 20);
    let stored = tested.ticket_written(1, STORED, 21);

    assert_eq!(second, []);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Withdrawn),
            withdrawn(8, WithdrawAnswer::Withdrawn),
            withdrawn(9, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn a_withdrawal_under_way_wins_against_the_end_of_the_wait() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 60_000);

    let due = tested.on_time(60_001);
    let stored = tested.ticket_written(1, STORED, 60_002);

    assert_eq!(due, []);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Withdrawn),
            withdrawn(9, WithdrawAnswer::Withdrawn)
        ]
    );
}

#[test]
fn the_end_of_the_wait_wins_against_a_withdrawal_that_comes_with_it() {
    let mut tested = Tested::with_waiting(1);

    let due = tested.withdraw(1, 9, 60_001);
    let stored = tested.ticket_written(1, STORED, 60_002);

    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_001)]);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Expired),
            withdrawn(9, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn a_withdrawal_that_failed_while_the_wait_ended_is_followed_by_that_end() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 60_000);

    let away = tested.ticket_written(1, AWAY, 60_002);

    assert_eq!(
        away,
        [
            withdrawn(9, WithdrawAnswer::Unavailable),
            close(1, TicketOutcome::Expired, 60_002)
        ]
    );
}

#[test]
fn one_ticket_keeps_a_bounded_number_of_callers_waiting() {
    let mut tested = Tested::with_proposal();
    for call in 0..PARKED_MAX as u64 {
        assert_eq!(tested.withdraw(1, 100 + call, 20), []);
    }

    let withdrawal = tested.withdraw(1, 200, 20);
    let ask = tested.ask_again(again("Array"), 201, 20);
    let other_ticket = tested.withdraw(2, 202, 20);

    assert_eq!(withdrawal, [withdrawn(200, WithdrawAnswer::Busy)]);
    assert_eq!(ask, [asked(201, AskAnswer::Busy)]);
    assert_eq!(other_ticket, []);
}

// --- propose ---

#[test]
fn the_two_oldest_are_set_aside_until_their_match_is_stored() {
    let mut tested = Tested::with_waiting(3);

    let proposed = tested.propose(1, 10);

    let proposal = Proposal {
        id: match_id(1),
        session: session_id(1),
        bucket: wish("array").bucket(),
        tickets: [ticket(1).id, ticket(2).id],
        users: [user(1), user(2)],
        proposed_at: at_ms(10),
        expires_at: at_ms(120_010),
    };
    assert_eq!(proposed, [Store(Write::ProposeMatch(proposal))]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (1, 2));
    assert_eq!(tested.propose(2, 10), []);
}

#[test]
fn a_granted_proposal_becomes_a_match_and_leaves_the_bucket() {
    let mut tested = Tested::with_proposal();

    let granted = tested.proposal_written(1, STORED, 15);

    let tickets = [ticket(1), ticket(2)];
    let new = Match::new(ids(1), tickets, at_ms(120_010), Timeouts::default());
    assert_eq!(granted, [Matched(Box::new(new))]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
    assert_eq!(tested.bucket.next_wake(), None);
}

#[test]
fn several_proposals_are_under_way_at_once_and_answered_in_any_order() {
    let mut tested = Tested::with_waiting(4);
    tested.propose(1, 10);
    tested.propose(2, 10);

    let second = tested.proposal_written(2, STORED, 11);
    let first = tested.proposal_written(1, STORED, 12);

    assert!(matches!(&second[..], [Matched(new)] if new.ids() == ids(2)));
    assert!(matches!(&first[..], [Matched(new)] if new.ids() == ids(1)));
}

#[test]
fn a_refused_proposal_drops_the_one_it_names_and_keeps_the_place_of_the_other() {
    let mut tested = Tested::with_waiting(3);
    tested.propose(1, 10);

    let refused = tested.proposal_written(1, not_waiting(&[1]), 15);

    assert_eq!(refused, [breached(), closed(1, TicketOutcome::Refused)]);
    assert_eq!(tested.bucket.next_pair(), pair(2, 3));
}

#[test]
fn a_refused_proposal_that_names_both_drops_both() {
    let mut tested = Tested::with_proposal();

    let refused = tested.proposal_written(1, not_waiting(&[1, 2]), 15);

    let end = TicketOutcome::Refused;
    assert_eq!(
        refused,
        [breached(), closed(1, end), breached(), closed(2, end)]
    );
    assert_eq!(tested.bucket.waiting(), 0);
}

#[test]
fn a_proposal_that_the_store_could_not_take_is_tried_again_after_growing_waits() {
    let mut tested = Tested::with_proposal();

    let away = tested.proposal_written(1, AWAY, 1_000);
    let held_back = (tested.bucket.next_pair(), tested.bucket.next_wake());
    tested.on_time(1_099);
    let early = tested.bucket.next_pair();
    tested.on_time(1_100);
    let due = tested.bucket.next_pair();
    tested.propose(2, 1_100);
    tested.proposal_written(2, AWAY, 2_000);

    assert_eq!(away, []);
    assert_eq!(held_back, (None, Some(at_ms(1_100))));
    assert_eq!((early, due), (None, pair(1, 2)));
    assert_eq!(tested.bucket.next_wake(), Some(at_ms(2_200)));
}

#[test]
fn a_success_lets_the_waits_begin_anew() {
    let mut tested = Tested::with_proposal();
    tested.proposal_written(1, AWAY, 1_000);
    tested.join(3, 1_010);
    tested.ticket_written(3, STORED, 1_011);
    tested.on_time(1_100);
    tested.propose(2, 1_100);

    tested.proposal_written(2, AWAY, 2_000);

    assert_eq!(tested.bucket.next_wake(), Some(at_ms(2_100)));
}

#[test]
fn a_ticket_whose_wait_ended_during_a_failed_proposal_ends_then() {
    let mut tested = Tested::with_proposal();

    let meanwhile = tested.on_time(60_001);
    let away = tested.proposal_written(1, AWAY, 60_001);

    assert_eq!(meanwhile, []);
    assert_eq!(away, [close(1, TicketOutcome::Expired, 60_001)]);
}

#[test]
fn a_ticket_that_was_put_back_stands_ahead_of_those_that_came_later() {
    let mut tested = Tested::new();
    for number in [2, 3] {
        tested.join(number, number as i64);
        tested.ticket_written(number, STORED, number as i64);
    }

    let admitted = tested.admit(put_back(1), 10);

    assert_eq!(admitted, [Opened(put_back(1))]);
    assert_eq!(tested.bucket.next_pair(), pair(1, 2));
}

// --- ask again ---

#[test]
fn who_waits_for_the_first_time_and_asks_again_is_told_of_the_duplicate() {
    let mut tested = Tested::with_waiting(1);

    let same = tested.ask_again(again("Array"), 7, 7);
    let other = tested.ask_again(again("Graph"), 8, 8);

    assert_eq!(same, [asked(7, duplicate(1))]);
    assert_eq!(other, [asked(8, duplicate(1))]);
}

#[test]
fn who_was_put_back_and_asks_for_the_same_bucket_keeps_the_ticket_and_is_counted() {
    let mut tested = Tested::with_put_back();

    let counted = tested.ask_again(again(" ARRAY "), 7, 20);
    let stored = tested.ticket_written(1, STORED, 21);

    let ticket = Ticket {
        asks: 1,
        ..put_back(1)
    };
    assert_eq!(counted, [count(1, 1)]);
    assert_eq!(stored, [asked(7, holds(ticket))]);
    assert_eq!(tested.bucket.waiting(), 1);
    assert_eq!(tested.ask_again(again("Array"), 8, 22), [count(1, 2)]);
}

#[test]
fn counting_while_the_store_is_away_changes_nothing() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Array"), 7, 20);

    let away = tested.ticket_written(1, AWAY, 21);

    assert_eq!(away, [asked(7, AskAnswer::Unavailable)]);
    assert_eq!(tested.ask_again(again("Array"), 8, 22), [count(1, 1)]);
}

#[test]
fn counting_that_the_database_refuses_ends_the_ticket_here_and_looks_again() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Array"), 7, 20);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 21);

    let end = closed(1, TicketOutcome::Refused);
    assert_eq!(refused, [breached(), end, Reconsider(CallId(7))]);
}

#[test]
fn who_was_put_back_and_asks_for_another_bucket_gets_a_ticket_there() {
    let mut tested = Tested::with_put_back();

    let replacing = tested.ask_again(again("Graph"), 7, 20);
    let stored = tested.ticket_written(1, STORED, 21);

    let new = again("Graph");
    assert_eq!(replacing, [replace(1, new.clone())]);
    let replaced = Replaced {
        old: ticket(1).id,
        new: new.clone(),
    };
    assert_eq!(stored, [replaced, asked(7, holds(new))]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
}

#[test]
fn replacing_while_the_store_is_away_keeps_the_old_ticket() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Graph"), 7, 20);

    let away = tested.ticket_written(1, AWAY, 21);

    assert_eq!(away, [asked(7, AskAnswer::Unavailable)]);
    assert_eq!(tested.bucket.waiting(), 1);
}

#[test]
fn replacing_that_the_database_refuses_ends_the_ticket_here_and_looks_again() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Graph"), 7, 20);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 21);

    let end = closed(1, TicketOutcome::Refused);
    assert_eq!(refused, [breached(), end, Reconsider(CallId(7))]);
}

#[test]
fn who_withdraws_a_ticket_while_it_is_replaced_is_told_that_it_is_over() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Graph"), 7, 20);
    tested.withdraw(1, 9, 20);

    let stored = tested.ticket_written(1, STORED, 21);

    let last = stored.last();
    assert_eq!(last, Some(&withdrawn(9, WithdrawAnswer::NotPending)));
}

#[test]
fn an_ask_for_a_ticket_that_is_set_aside_waits_for_the_outcome() {
    let mut matched = Tested::with_proposal();
    let mut put_back = Tested::with_proposal();
    matched.ask_again(again("Array"), 7, 20);
    put_back.ask_again(again("Array"), 7, 20);

    let granted = matched.proposal_written(1, STORED, 21);
    let away = put_back.proposal_written(1, AWAY, 21);

    assert_eq!(granted[1..], [Reconsider(CallId(7))]);
    assert_eq!(away, [Reconsider(CallId(7))]);
}

#[test]
fn an_ask_that_meets_a_ticket_whose_end_is_due_waits_for_that_end() {
    let mut tested = Tested::with_waiting(1);

    let due = tested.ask_again(again("Array"), 7, 60_001);
    let stored = tested.ticket_written(1, STORED, 60_002);

    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_001)]);
    assert_eq!(
        stored,
        [closed(1, TicketOutcome::Expired), Reconsider(CallId(7))]
    );
}

#[test]
fn an_ask_for_a_ticket_that_has_moved_on_is_looked_at_again() {
    let mut tested = Tested::new();

    assert_eq!(
        tested.ask_again(again("Array"), 7, 7),
        [Reconsider(CallId(7))]
    );
}

// --- abandon ---

#[test]
fn an_abandoned_ticket_is_withdrawn_however_long_the_store_is_away() {
    let mut tested = Tested::with_waiting(1);

    let abandoned = tested.abandon(1, 20);
    let away = tested.ticket_written(1, AWAY, 30);
    let retried = tested.on_time(130);
    let stored = tested.ticket_written(1, STORED, 131);

    assert_eq!(abandoned, [close(1, TicketOutcome::Withdrawn, 20)]);
    assert_eq!(away, []);
    assert_eq!(retried, [close(1, TicketOutcome::Withdrawn, 130)]);
    assert_eq!(stored, [closed(1, TicketOutcome::Withdrawn)]);
}

#[test]
fn a_ticket_that_is_abandoned_while_being_stored_ends_before_anybody_meets_it() {
    let mut tested = Tested::with_waiting(2);
    tested.join(3, 3);
    tested.propose(1, 10);

    let abandoned = tested.abandon(3, 20);
    let stored = tested.ticket_written(3, STORED, 21);

    assert_eq!(abandoned, []);
    assert_eq!(
        stored,
        [
            Opened(ticket(3)),
            asked(3, holds(ticket(3))),
            close(3, TicketOutcome::Withdrawn, 21)
        ]
    );
}

#[test]
fn an_ask_behind_an_abandoned_one_waits_for_its_end() {
    let mut tested = Tested::new();
    tested.join(1, 1);
    tested.ask_again(again("Array"), 7, 7);
    tested.abandon(1, 8);

    let stored = tested.ticket_written(1, STORED, 21);
    let reconsidered = tested.ask_again(again("Array"), 7, 21);
    let ended = tested.ticket_written(1, STORED, 22);

    let close = close(1, TicketOutcome::Withdrawn, 21);
    assert_eq!(stored[2..], [close, Reconsider(CallId(7))]);
    assert_eq!(reconsidered, []);
    assert_eq!(
        ended,
        [closed(1, TicketOutcome::Withdrawn), Reconsider(CallId(7))]
    );
}

#[test]
fn an_abandoned_ticket_whose_withdrawal_fails_does_not_wait_again() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 20);
    tested.abandon(1, 21);

    let away = tested.ticket_written(1, AWAY, 22);

    assert_eq!(
        away,
        [
            withdrawn(9, WithdrawAnswer::Unavailable),
            close(1, TicketOutcome::Withdrawn, 22)
        ]
    );
}

// --- time ---

#[test]
fn a_ticket_expires_exactly_when_its_wait_is_over() {
    let mut tested = Tested::with_waiting(1);

    let early = tested.on_time(60_000);
    let due = tested.on_time(60_001);
    let stored = tested.ticket_written(1, STORED, 60_005);

    assert_eq!(early, []);
    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_001)]);
    assert_eq!(stored, [closed(1, TicketOutcome::Expired)]);
}

#[test]
fn a_ticket_that_was_put_back_waits_its_whole_time_again() {
    let mut tested = Tested::with_put_back();

    assert_eq!(tested.on_time(60_009), []);
    assert_eq!(
        tested.on_time(60_010),
        [close(1, TicketOutcome::Expired, 60_010)]
    );
}

#[test]
fn an_end_that_the_store_could_not_take_is_tried_again_after_growing_waits() {
    let mut tested = Tested::with_waiting(1);
    tested.on_time(60_001);

    let away = tested.ticket_written(1, AWAY, 60_010);
    let first_wake = tested.bucket.next_wake();
    let early = tested.on_time(60_109);
    let due = tested.on_time(60_110);
    tested.ticket_written(1, AWAY, 60_120);

    assert_eq!((away, early), (vec![], vec![]));
    assert_eq!(first_wake, Some(at_ms(60_110)));
    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_110)]);
    assert_eq!(tested.bucket.next_wake(), Some(at_ms(60_320)));
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 1));
}

#[test]
fn an_end_that_the_database_refuses_is_a_breach() {
    let mut tested = Tested::with_waiting(1);
    tested.on_time(60_001);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 60_002);

    assert_eq!(refused, [breached(), closed(1, TicketOutcome::Refused)]);
}

#[test]
fn the_next_wake_is_the_nearest_of_deadlines_cancellers_and_retries() {
    let mut tested = Tested::with_waiting(5);
    let deadline = tested.bucket.next_wake();
    tested.propose(1, 10);
    let third = tested.bucket.next_wake();
    tested.withdraw(1, 9, 20);
    let canceller = tested.bucket.next_wake();
    tested.propose(2, 30);
    tested.proposal_written(2, AWAY, 40);
    let retry = tested.bucket.next_wake();

    assert_eq!(deadline, Some(at_ms(60_001)));
    assert_eq!(third, Some(at_ms(60_003)));
    assert_eq!(canceller, Some(at_ms(1_020)));
    assert_eq!(retry, Some(at_ms(140)));
}

#[test]
fn being_late_changes_nothing_but_the_time_of_the_end() {
    let mut tested = Tested::with_waiting(2);

    let late = tested.on_time(999_999);

    assert_eq!(
        late,
        [
            close(1, TicketOutcome::Expired, 999_999),
            close(2, TicketOutcome::Expired, 999_999)
        ]
    );
    assert_eq!(tested.bucket.next_pair(), None);
    assert_eq!(tested.bucket.next_wake(), None);
}

#[test]
fn an_answer_that_nobody_waits_for_is_harmless() {
    let mut bucket = Bucket::new(wish("Array").bucket(), Timeouts::default());

    assert_eq!(bucket.on_ticket_written(ticket(1).id, STORED, at_ms(1)), []);
    assert_eq!(
        bucket.on_proposal_written(match_id(1), &STORED, at_ms(1)),
        []
    );
}
