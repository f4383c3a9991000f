//! The match's flows, each in a sentence. Everything goes through [`Tested`], which fails as soon as
//! the match tells of something that the store has not confirmed.

use super::*;
use crate::domain::limits::OPENING_GIVE_UP_MS;
use crate::domain::notices::{Breach, Guarantee};
use crate::domain::sessions::{Question, Session};
use crate::domain::testing::{at_ms, match_id, session_id, ticket, user, wish};
use crate::domain::values::EventId;
use crate::domain::writes::{Refusal, WriteOutcome};

use MatchEffect::{
    Answer, AnswerAsk, AnswerWithdraw, Breached, Closed, FindQuestion, Opened, Over, PutBack,
    Reconsider, Replaced, Share, Store, Tell, Unshare,
};
use Side::{First, Second};

const STORED: WriteOutcome = WriteOutcome::Stored;
const AWAY: WriteOutcome = WriteOutcome::Unavailable;
const REFUSED: WriteOutcome = WriteOutcome::Refused(Refusal::NotOpen);

/// The end of the confirmation window of every match here, in milliseconds.
const WINDOW_ENDS: i64 = 100_000;
/// When an opening is given up, in milliseconds.
const GIVES_UP: i64 = WINDOW_ENDS + OPENING_GIVE_UP_MS as i64;

/// Match 1 of the tickets 1 and 2, with what was asked to be stored and what was confirmed.
struct Tested {
    tested: Match,
    under_way: Option<Write>,
    stored: Vec<Write>,
    callers: Vec<(CallId, UserId)>,
}

impl Tested {
    fn new() -> Self {
        Self::of([ticket(1), ticket(2)])
    }

    fn of(tickets: [Ticket; 2]) -> Self {
        let ends = at_ms(WINDOW_ENDS);
        Self {
            tested: Match::new(ids(), tickets, ends, Timeouts::default()),
            under_way: None,
            stored: Vec::new(),
            callers: Vec::new(),
        }
    }

    /// User 1 has confirmed, at 1,000 ms.
    fn confirmed_by_first() -> Self {
        let mut tested = Self::new();
        tested.confirm(1, 1, 1_000);
        tested.written(STORED, 1_000);
        tested
    }

    /// Both have confirmed by 2,000 ms; call 2 of user 2 waits, and a question is looked for.
    fn opening() -> Self {
        let mut tested = Self::confirmed_by_first();
        tested.confirm(2, 2, 2_000);
        let effects = tested.written(STORED, 2_000);
        assert_eq!(effects, [FindQuestion]);
        tested
    }

    /// As [`Tested::opening`]; the session's rows are being written since 3,000 ms.
    fn storing_session() -> Self {
        let mut tested = Self::opening();
        tested.question(Some(question(7)), 3_000);
        tested.shared(Some(question(7)), 3_000);
        tested
    }

    /// As [`Tested::opening`]; it fails at 2,000 ms, and is tried again after 100 ms.
    fn opening_failed() -> Self {
        let mut tested = Self::opening();
        tested.question(None, 2_000);
        tested
    }

    fn confirm(&mut self, number: u64, call: u64, now: i64) -> Vec<MatchEffect> {
        self.callers.push((CallId(call), user(number)));
        let command = MatchCommand::Confirm(user(number), CallId(call));
        self.command(command, now)
    }

    fn decline(&mut self, number: u64, call: u64, now: i64) -> Vec<MatchEffect> {
        self.callers.push((CallId(call), user(number)));
        let command = MatchCommand::Decline(user(number), CallId(call));
        self.command(command, now)
    }

    fn ask_again(&mut self, new: Ticket, call: u64, now: i64) -> Vec<MatchEffect> {
        let command = MatchCommand::AskAgain(Box::new(new), CallId(call));
        self.command(command, now)
    }

    fn withdraw(&mut self, call: u64, now: i64) -> Vec<MatchEffect> {
        self.command(MatchCommand::Withdraw(CallId(call)), now)
    }

    fn command(&mut self, command: MatchCommand, now: i64) -> Vec<MatchEffect> {
        let effects = self.tested.command(command, at_ms(now));
        self.checked(effects)
    }

    fn on_time(&mut self, now: i64) -> Vec<MatchEffect> {
        let effects = self.tested.on_time(at_ms(now));
        self.checked(effects)
    }

    fn question(&mut self, question: Option<Question>, now: i64) -> Vec<MatchEffect> {
        let effects = self.tested.on_question(question, at_ms(now));
        self.checked(effects)
    }

    fn shared(&mut self, question: Option<Question>, now: i64) -> Vec<MatchEffect> {
        let effects = self.tested.on_shared(question, at_ms(now));
        self.checked(effects)
    }

    fn written(&mut self, outcome: WriteOutcome, now: i64) -> Vec<MatchEffect> {
        let write = self.under_way.take().expect("a write is answered");
        if outcome == STORED {
            self.stored.push(write);
        }
        let effects = self.tested.on_written(&outcome, at_ms(now));
        self.checked(effects)
    }

    fn checked(&mut self, effects: Vec<MatchEffect>) -> Vec<MatchEffect> {
        for effect in &effects {
            assert!(self.may_tell(effect), "told before stored: {effect:?}");
            if let Store(write) = effect {
                let other = self.under_way.replace(write.clone());
                assert_eq!(other, None, "two writes at once");
            }
        }
        effects
    }

    /// Whether the store has confirmed what the effect tells; true where it tells nothing good.
    fn may_tell(&self, effect: &MatchEffect) -> bool {
        let any = |is_it: &dyn Fn(&Write) -> bool| self.stored.iter().any(is_it);
        let confirmed = |by: Side| {
            any(&|write| matches!(write, Write::ConfirmMatch { side, .. } if *side == by))
        };
        let ended = || any(&|write| matches!(write, Write::EndMatch { .. }));
        let in_session = || any(&|write| matches!(write, Write::OpenSession { .. }));
        match effect {
            Answer(call, ProposalAnswer::WaitingForPartner) => confirmed(self.side(*call)),
            Answer(_, ProposalAnswer::AlreadyConfirmed | ProposalAnswer::QuestionUnavailable) => {
                confirmed(First) && confirmed(Second)
            }
            Answer(call, ProposalAnswer::Declined) => any(&|write| {
                matches!(write, Write::EndMatch { ending: Ending::Declined(by), .. }
                    if *by == self.side(*call))
            }),
            Answer(_, ProposalAnswer::Session(_)) | Opened(_) => in_session(),
            Tell(_, Notice::MatchReady { .. }) => in_session(),
            Tell(..) | PutBack(_) | Replaced { .. } | Unshare => ended(),
            Closed { outcome, .. } => *outcome == TicketOutcome::Refused || ended(),
            AnswerAsk(_, AskAnswer::Ticket { ticket, matched }) => any(&|write| match write {
                Write::CountAsk { ticket: id, asks } => {
                    *matched && (*id, *asks) == (ticket.id, ticket.asks)
                }
                Write::EndMatch { opens, .. } => !matched && opens.as_ref() == Some(&**ticket),
                _ => false,
            }),
            _ => true,
        }
    }

    fn side(&self, call: CallId) -> Side {
        let caller = self.callers.iter().find(|(known, _)| *known == call);
        let user = &caller.expect("a known caller").1;
        self.tested.side_of(user).expect("one of the two")
    }
}

fn ids() -> MatchIds {
    MatchIds {
        id: match_id(1),
        session: session_id(1),
        event: EventId(session_id(1_001).0),
    }
}

fn question(id: i64) -> Question {
    Question {
        id,
        title: "Two Sum".into(),
        difficulty: "easy".into(),
        topics: vec!["Array".into()],
    }
}

fn record(question: Question, opened_at: i64) -> SessionRecord {
    SessionRecord {
        id: session_id(1),
        match_id: match_id(1),
        users: [user(1), user(2)],
        question,
        opened_at: at_ms(opened_at),
        ends_at: at_ms(opened_at).plus_ms(Timeouts::default().session_ttl_ms),
        left: [false, false],
    }
}

/// What a user asks for the second time, as ticket 7.
fn again(number: u64, topic: &str) -> Ticket {
    Ticket {
        user: user(number),
        wish: wish(topic),
        ..ticket(7)
    }
}

fn confirmation(side: Side) -> MatchEffect {
    Store(Write::ConfirmMatch {
        match_id: match_id(1),
        side,
    })
}

fn count(number: u64, asks: u32) -> MatchEffect {
    let ticket = ticket(number).id;
    Store(Write::CountAsk { ticket, asks })
}

fn end(ending: Ending, fates: [Fate; 2], opens: Option<Ticket>, at: i64) -> MatchEffect {
    Store(Write::EndMatch {
        match_id: match_id(1),
        ending,
        tickets: [ticket(1).id, ticket(2).id],
        fates,
        opens,
        at: at_ms(at),
    })
}

fn open_session(record: SessionRecord) -> MatchEffect {
    Store(Write::OpenSession {
        session: record,
        tickets: [ticket(1).id, ticket(2).id],
        event: ids().event,
    })
}

/// `ticket`, put back at `at` because that user declined.
fn declined_by(number: u64, ticket: Ticket, at: i64) -> Ticket {
    let avoid = Avoided::Decliner(user(number));
    ticket.back_in_place(at_ms(at), Timeouts::default(), Some(avoid))
}

/// `ticket`, put back at `at` because the proposal with ticket `with` ran out.
fn ran_out(ticket: Ticket, with: u64, silent: [bool; 2], at: i64) -> Ticket {
    let [own, other] = silent;
    let avoid = Avoided::Silence {
        ticket: self::ticket(with).id,
        own_asks: own.then_some(ticket.asks),
        their_asks: other.then_some(0),
    };
    let back = ticket.back_in_place(at_ms(at), Timeouts::default(), Some(avoid));
    let silences = if own { ticket.silences + 1 } else { 0 };
    Ticket { silences, ..back }
}

fn gave_up(number: u64, at: i64) -> Ticket {
    ticket(number).back_in_place(at_ms(at), Timeouts::default(), None)
}

fn closed(number: u64, outcome: TicketOutcome) -> MatchEffect {
    Closed {
        ticket: ticket(number).id,
        user: user(number),
        outcome,
    }
}

fn expired(number: u64, reason: ExpiryReason, requeued: bool) -> MatchEffect {
    let notice = Notice::MatchExpired {
        match_id: match_id(1),
        reason,
        requeued,
    };
    Tell(user(number), notice)
}

fn ready(number: u64, question_id: i64) -> MatchEffect {
    let notice = Notice::MatchReady {
        match_id: match_id(1),
        session: session_id(1),
        question_id,
        partner: user(3 - number),
    };
    Tell(user(number), notice)
}

fn answer(call: u64, answer: ProposalAnswer) -> MatchEffect {
    Answer(CallId(call), answer)
}

fn asked(call: u64, answer: AskAnswer) -> MatchEffect {
    AnswerAsk(CallId(call), answer)
}

fn withdrawn(call: u64, answer: WithdrawAnswer) -> MatchEffect {
    AnswerWithdraw(CallId(call), answer)
}

fn breached() -> MatchEffect {
    Breached(Breach {
        guarantee: Guarantee::OneOutcome,
        seen: "an open match was found not to be open in the database",
    })
}

const SILENT: [bool; 2] = [true, true];

// --- confirm ---

#[test]
fn a_confirmation_is_answered_once_it_is_stored() {
    let mut tested = Tested::new();

    let confirming = tested.confirm(1, 1, 1_000);
    let stored = tested.written(STORED, 1_001);

    assert_eq!(confirming, [confirmation(First)]);
    assert_eq!(stored, [answer(1, ProposalAnswer::WaitingForPartner)]);
}

#[test]
fn repeating_a_confirmation_gives_the_same_answer_without_a_write() {
    let mut tested = Tested::confirmed_by_first();

    let repeated = tested.confirm(1, 3, 1_500);

    assert_eq!(repeated, [answer(3, ProposalAnswer::WaitingForPartner)]);
}

#[test]
fn a_confirmation_sent_twice_at_once_is_stored_once() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);

    let second = tested.confirm(1, 2, 1_000);
    let stored = tested.written(STORED, 1_001);

    let waits = ProposalAnswer::WaitingForPartner;
    assert_eq!(second, []);
    assert_eq!(stored, [answer(1, waits.clone()), answer(2, waits)]);
}

#[test]
fn both_confirming_at_once_are_stored_one_after_the_other() {
    let mut tested = Tested::new();
    tested.confirm(2, 2, 1_000);

    let parked = tested.confirm(1, 1, 1_000);
    let first_stored = tested.written(STORED, 1_001);
    let both_stored = tested.written(STORED, 1_002);

    let waits = answer(2, ProposalAnswer::WaitingForPartner);
    assert_eq!(parked, []);
    assert_eq!(first_stored, [waits, confirmation(First)]);
    assert_eq!(both_stored, [FindQuestion]);
    assert!(tested.tested.is_opening());
}

#[test]
fn a_confirmation_that_the_store_could_not_take_changes_nothing() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);

    let away = tested.written(AWAY, 1_001);

    assert_eq!(away, [answer(1, ProposalAnswer::Unavailable)]);
    assert_eq!(tested.confirm(1, 2, 1_002), [confirmation(First)]);
    assert_eq!(tested.written(STORED, 1_003).len(), 1);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(WINDOW_ENDS)));
}

#[test]
fn a_stranger_moves_nothing_and_waits_for_nothing() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);

    let confirming = tested
        .tested
        .command(MatchCommand::Confirm(user(3), CallId(8)), at_ms(1_000));
    let declining = tested
        .tested
        .command(MatchCommand::Decline(user(3), CallId(9)), at_ms(1_000));

    assert_eq!(confirming, [answer(8, ProposalAnswer::NotFound)]);
    assert_eq!(declining, [answer(9, ProposalAnswer::NotFound)]);
}

#[test]
fn what_waits_for_a_write_is_bounded() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);
    for call in 0..PARKED_MAX as u64 {
        assert_eq!(tested.confirm(2, 100 + call, 1_000), []);
    }

    let (confirm, decline) = (tested.confirm(2, 200, 1_000), tested.decline(2, 201, 1_000));
    let (ask, withdraw) = (
        tested.ask_again(again(2, "Array"), 202, 1_000),
        tested.withdraw(203, 1_000),
    );

    assert_eq!(confirm, [answer(200, ProposalAnswer::Busy)]);
    assert_eq!(decline, [answer(201, ProposalAnswer::Busy)]);
    assert_eq!(ask, [asked(202, AskAnswer::Busy)]);
    assert_eq!(withdraw, [withdrawn(203, WithdrawAnswer::Busy)]);
}

#[test]
fn who_waits_for_the_session_is_bounded() {
    let mut tested = Tested::opening();
    for call in 1..PARKED_MAX as u64 {
        assert_eq!(tested.confirm(1, 100 + call, 2_000), []);
    }

    assert_eq!(
        tested.confirm(1, 200, 2_000),
        [answer(200, ProposalAnswer::Busy)]
    );
}

// --- decline ---

#[test]
fn declining_closes_the_own_ticket_and_puts_the_partner_back_in_place() {
    let mut tested = Tested::new();

    let declining = tested.decline(1, 1, 5_000);
    let stored = tested.written(STORED, 5_001);

    let partner = declined_by(1, ticket(2), 5_000);
    let declined = Fate::Closed(TicketOutcome::Declined);
    let fates = [declined, Fate::PutBack(partner.clone())];
    assert_eq!(
        declining,
        [end(Ending::Declined(First), fates, None, 5_000)]
    );
    assert_eq!(partner.place(), ticket(2).place());
    assert_eq!(partner.waits_until, at_ms(65_000));
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Declined),
            PutBack(partner),
            answer(1, ProposalAnswer::Declined),
            expired(2, ExpiryReason::PartnerDeclined, true),
            Over
        ]
    );
}

#[test]
fn the_younger_side_declines_likewise_also_after_the_partner_confirmed() {
    let mut tested = Tested::confirmed_by_first();

    let declining = tested.decline(2, 2, 5_000);
    let stored = tested.written(STORED, 5_001);

    let partner = declined_by(2, ticket(1), 5_000);
    let declined = Fate::Closed(TicketOutcome::Declined);
    let fates = [Fate::PutBack(partner.clone()), declined];
    assert_eq!(
        declining,
        [end(Ending::Declined(Second), fates, None, 5_000)]
    );
    assert_eq!(
        stored,
        [
            PutBack(partner),
            closed(2, TicketOutcome::Declined),
            answer(2, ProposalAnswer::Declined),
            expired(1, ExpiryReason::PartnerDeclined, true),
            Over
        ]
    );
}

#[test]
fn who_has_confirmed_may_still_decline_while_the_partner_has_not_answered() {
    let mut tested = Tested::confirmed_by_first();

    let declining = tested.decline(1, 2, 5_000);

    assert!(matches!(
        declining[..],
        [Store(Write::EndMatch {
            ending: Ending::Declined(First),
            ..
        })]
    ));
}

#[test]
fn after_both_confirmed_nobody_declines() {
    let mut tested = Tested::opening();

    let declining = tested.decline(1, 3, 2_500);

    assert_eq!(declining, [answer(3, ProposalAnswer::AlreadyConfirmed)]);
}

#[test]
fn declining_twice_at_once_gives_the_same_answer_twice() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);

    let second = tested.decline(1, 2, 5_000);
    let stored = tested.written(STORED, 5_001);
    let later = tested.decline(1, 3, 5_002);

    assert_eq!(second, []);
    assert_eq!(stored.last(), Some(&answer(2, ProposalAnswer::Declined)));
    assert_eq!(later, [answer(3, ProposalAnswer::Declined)]);
}

#[test]
fn a_confirmation_that_comes_with_the_partners_decline_is_not_found() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);
    tested.confirm(2, 2, 5_000);
    tested.decline(2, 3, 5_000);

    let stored = tested.written(STORED, 5_001);

    let gone = ProposalAnswer::NotFound;
    assert_eq!(stored[5..], [answer(2, gone.clone()), answer(3, gone)]);
}

#[test]
fn a_decline_that_comes_with_the_partners_confirmation_wins_when_the_store_was_away() {
    let mut tested = Tested::confirmed_by_first();
    tested.confirm(2, 2, 5_000);
    tested.decline(2, 3, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away[0], answer(2, ProposalAnswer::Unavailable));
    assert!(matches!(
        away[1..],
        [Store(Write::EndMatch {
            ending: Ending::Declined(Second),
            ..
        })]
    ));
}

#[test]
fn a_decline_that_the_store_could_not_take_changes_nothing() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away, [answer(1, ProposalAnswer::Unavailable)]);
    assert_eq!(tested.confirm(1, 2, 5_002), [confirmation(First)]);
}

#[test]
fn a_partner_who_was_silent_before_stays_so_when_put_back_by_a_decline() {
    let silent = Ticket {
        silences: 1,
        ..ticket(2)
    };
    let mut tested = Tested::of([ticket(1), silent.clone()]);
    tested.decline(1, 1, 5_000);

    let stored = tested.written(STORED, 5_001);

    assert_eq!(stored[1], PutBack(declined_by(1, silent, 5_000)));
}

#[test]
fn confirming_ends_the_row_of_silences_also_across_a_restart() {
    let silent = Ticket {
        silences: 1,
        ..ticket(2)
    };
    let mut restarted = Tested::of([ticket(1), silent.clone()]);
    restarted.tested = restarted.tested.with_confirmations([false, true]);
    let mut tested = Tested::of([ticket(1), silent]);
    tested.confirm(2, 2, 1_000);
    tested.written(STORED, 1_000);

    for mut tested in [tested, restarted] {
        tested.decline(1, 1, 5_000);
        let stored = tested.written(STORED, 5_001);

        let back = declined_by(1, ticket(2), 5_000);
        assert_eq!(stored[1], PutBack(back));
    }
}

// --- the end of the window ---

#[test]
fn two_silent_ones_are_put_back_and_avoid_each_other() {
    let mut tested = Tested::new();

    let early = tested.on_time(WINDOW_ENDS - 1);
    let due = tested.on_time(WINDOW_ENDS);
    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    let first = ran_out(ticket(1), 2, SILENT, WINDOW_ENDS);
    let second = ran_out(ticket(2), 1, SILENT, WINDOW_ENDS);
    let fates = [Fate::PutBack(first.clone()), Fate::PutBack(second.clone())];
    assert_eq!(early, []);
    assert_eq!(due, [end(Ending::Expired, fates, None, WINDOW_ENDS)]);
    assert_eq!((first.silences, second.silences), (1, 1));
    assert!(!first.may_meet(&second));
    assert_eq!(
        stored,
        [
            PutBack(first),
            PutBack(second),
            expired(1, ExpiryReason::ConfirmationTimeout, true),
            expired(2, ExpiryReason::ConfirmationTimeout, true),
            Over
        ]
    );
}

#[test]
fn who_confirmed_is_put_back_without_a_silence() {
    let mut tested = Tested::confirmed_by_first();

    let due = tested.on_time(WINDOW_ENDS);

    let faithful = ran_out(ticket(1), 2, [false, true], WINDOW_ENDS);
    let silent = ran_out(ticket(2), 1, [true, false], WINDOW_ENDS);
    assert_eq!((faithful.silences, silent.silences), (0, 1));
    let fates = [Fate::PutBack(faithful), Fate::PutBack(silent)];
    assert_eq!(due, [end(Ending::Expired, fates, None, WINDOW_ENDS)]);
}

#[test]
fn a_second_silence_in_a_row_ends_the_ticket() {
    let silent = Ticket {
        silences: 1,
        ..ticket(1)
    };
    let mut tested = Tested::of([silent, ticket(2)]);

    let due = tested.on_time(WINDOW_ENDS);
    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    let over = Fate::Closed(TicketOutcome::Expired);
    let second = ran_out(ticket(2), 1, SILENT, WINDOW_ENDS);
    let fates = [over, Fate::PutBack(second.clone())];
    assert_eq!(due, [end(Ending::Expired, fates, None, WINDOW_ENDS)]);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Expired),
            PutBack(second),
            expired(1, ExpiryReason::ConfirmationTimeout, false),
            expired(2, ExpiryReason::ConfirmationTimeout, true),
            Over
        ]
    );
}

#[test]
fn a_confirmation_takes_earlier_silences_away() {
    let silent = Ticket {
        silences: 1,
        ..ticket(1)
    };
    let mut tested = Tested::of([silent, ticket(2)]);
    tested.confirm(1, 1, 1_000);
    tested.written(STORED, 1_000);

    let due = tested.on_time(WINDOW_ENDS);

    let faithful = ran_out(ticket(1), 2, [false, true], WINDOW_ENDS);
    let silent = ran_out(ticket(2), 1, [true, false], WINDOW_ENDS);
    let fates = [Fate::PutBack(faithful), Fate::PutBack(silent)];
    assert_eq!(due, [end(Ending::Expired, fates, None, WINDOW_ENDS)]);
}

#[test]
fn a_late_timer_changes_nothing_for_who_confirms_after_the_window() {
    let mut tested = Tested::confirmed_by_first();

    let late = tested.confirm(2, 2, WINDOW_ENDS);
    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    assert!(matches!(
        late[..],
        [Store(Write::EndMatch {
            ending: Ending::Expired,
            ..
        })]
    ));
    assert_eq!(stored.last(), Some(&answer(2, ProposalAnswer::NotFound)));
}

#[test]
fn an_end_that_the_store_could_not_take_is_tried_again_after_growing_waits() {
    let mut tested = Tested::new();
    tested.on_time(WINDOW_ENDS);

    let away = tested.written(AWAY, WINDOW_ENDS);
    let wake = tested.tested.next_wake();
    let early = tested.on_time(WINDOW_ENDS + 99);
    let due = tested.on_time(WINDOW_ENDS + 100);
    tested.written(AWAY, WINDOW_ENDS + 100);

    assert_eq!((away, early), (vec![], vec![]));
    assert_eq!(wake, Some(at_ms(WINDOW_ENDS + 100)));
    assert!(matches!(
        due[..],
        [Store(Write::EndMatch {
            ending: Ending::Expired,
            ..
        })]
    ));
    assert_eq!(tested.tested.next_wake(), Some(at_ms(WINDOW_ENDS + 300)));
}

#[test]
fn while_the_end_of_the_window_cannot_be_stored_nothing_else_wins() {
    let mut tested = Tested::confirmed_by_first();
    tested.on_time(WINDOW_ENDS);
    tested.confirm(2, 2, WINDOW_ENDS);
    tested.ask_again(again(2, "Graph"), 3, WINDOW_ENDS);

    let away = tested.written(AWAY, WINDOW_ENDS + 1);
    let decline = tested.decline(2, 4, WINDOW_ENDS + 2);
    let ask = tested.ask_again(again(2, "Graph"), 5, WINDOW_ENDS + 2);
    let withdraw = tested.withdraw(6, WINDOW_ENDS + 2);

    let unavailable = ProposalAnswer::Unavailable;
    assert_eq!(
        away,
        [answer(2, unavailable.clone()), Reconsider(CallId(3))]
    );
    assert_eq!(decline, [answer(4, unavailable)]);
    assert_eq!(ask, [asked(5, AskAnswer::Unavailable)]);
    assert_eq!(withdraw, [withdrawn(6, WithdrawAnswer::Unavailable)]);
}

#[test]
fn a_confirmation_whose_failed_write_outlasts_the_window_leaves_the_end_to_time() {
    let mut tested = Tested::confirmed_by_first();
    tested.confirm(2, 2, WINDOW_ENDS - 1);

    let meanwhile = tested.on_time(WINDOW_ENDS);
    let away = tested.written(AWAY, WINDOW_ENDS + 1);
    let retried = tested.on_time(WINDOW_ENDS + 101);

    assert_eq!(meanwhile, []);
    assert_eq!(away, [answer(2, ProposalAnswer::Unavailable)]);
    assert_eq!(retried.len(), 1);
}

#[test]
fn a_second_confirmation_under_way_when_the_window_ends_wins() {
    let mut tested = Tested::confirmed_by_first();
    tested.confirm(2, 2, WINDOW_ENDS - 1);

    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    assert_eq!(stored, [FindQuestion]);
}

#[test]
fn who_asks_or_withdraws_while_the_match_ends_is_looked_at_again() {
    let mut tested = Tested::new();
    tested.on_time(WINDOW_ENDS);
    tested.ask_again(again(1, "Graph"), 3, WINDOW_ENDS);
    tested.withdraw(4, WINDOW_ENDS);

    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    assert_eq!(
        stored[4..],
        [Over, Reconsider(CallId(3)), Reconsider(CallId(4))]
    );
}

// --- ask again, withdraw ---

#[test]
fn who_has_not_answered_and_asks_for_the_same_bucket_keeps_the_ticket_as_it_stands() {
    let mut tested = Tested::new();

    let counting = tested.ask_again(again(1, "ARRAY"), 3, 5_000);
    let stored = tested.written(STORED, 5_001);

    let ticket = Box::new(Ticket {
        asks: 1,
        ..ticket(1)
    });
    let matched = true;
    assert_eq!(counting, [count(1, 1)]);
    assert_eq!(stored, [asked(3, AskAnswer::Ticket { ticket, matched })]);
    assert_eq!(tested.ask_again(again(1, "Array"), 4, 5_002), [count(1, 2)]);
}

#[test]
fn counting_while_the_store_is_away_changes_nothing() {
    let mut tested = Tested::new();
    tested.ask_again(again(2, "Array"), 3, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away, [asked(3, AskAnswer::Unavailable)]);
    assert_eq!(tested.ask_again(again(2, "Array"), 4, 5_002), [count(2, 1)]);
}

#[test]
fn asking_again_before_the_end_does_not_end_the_avoidance_after_it() {
    let mut tested = Tested::new();
    tested.ask_again(again(1, "Array"), 3, 5_000);
    tested.written(STORED, 5_001);
    tested.on_time(WINDOW_ENDS);

    let stored = tested.written(STORED, WINDOW_ENDS);

    let [PutBack(first), PutBack(second), ..] = &stored[..] else {
        panic!("both are put back: {stored:?}");
    };
    assert!(!first.may_meet(second));
    let asked_again = Ticket {
        asks: 2,
        ..first.clone()
    };
    assert!(asked_again.may_meet(second));
}

#[test]
fn who_has_not_answered_and_asks_for_another_bucket_declines_and_gets_a_ticket_there() {
    let mut tested = Tested::confirmed_by_first();

    let replacing = tested.ask_again(again(2, "Graph"), 3, 5_000);
    let stored = tested.written(STORED, 5_001);

    let new = again(2, "Graph");
    let partner = declined_by(2, ticket(1), 5_000);
    let replaced = Fate::Closed(TicketOutcome::Replaced);
    let fates = [Fate::PutBack(partner.clone()), replaced];
    let ending = Ending::Declined(Second);
    assert_eq!(replacing, [end(ending, fates, Some(new.clone()), 5_000)]);
    let (ticket, matched) = (Box::new(new.clone()), false);
    let old = self::ticket(2).id;
    assert_eq!(
        stored,
        [
            PutBack(partner),
            Replaced { old, new },
            expired(1, ExpiryReason::PartnerDeclined, true),
            asked(3, AskAnswer::Ticket { ticket, matched }),
            Over
        ]
    );
}

#[test]
fn replacing_while_the_store_is_away_changes_nothing() {
    let mut tested = Tested::new();
    tested.ask_again(again(1, "Graph"), 3, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away, [asked(3, AskAnswer::Unavailable)]);
    assert_eq!(tested.confirm(1, 1, 5_002), [confirmation(First)]);
}

#[test]
fn who_has_confirmed_and_asks_again_is_told_of_the_duplicate() {
    let mut tested = Tested::confirmed_by_first();

    let asking = tested.ask_again(again(1, "Graph"), 3, 5_000);

    let duplicate = AskAnswer::Duplicate {
        ticket: ticket(1).id,
        matched: true,
    };
    assert_eq!(asking, [asked(3, duplicate)]);
}

#[test]
fn a_matched_ticket_cannot_be_withdrawn() {
    let mut tested = Tested::new();

    assert_eq!(
        tested.withdraw(3, 5_000),
        [withdrawn(3, WithdrawAnswer::NotPending)]
    );
}

// --- opening ---

#[test]
fn the_second_confirmation_is_answered_with_the_session_once_its_rows_are_stored() {
    let mut tested = Tested::opening();

    let found = tested.question(Some(question(7)), 2_500);
    let shared = tested.shared(Some(question(7)), 3_000);
    let stored = tested.written(STORED, 3_001);

    let session = record(question(7), 3_000);
    assert_eq!(found, [Share(record(question(7), 2_500))]);
    assert_eq!(shared, [open_session(session.clone())]);
    let tickets = [ticket(1).id, ticket(2).id];
    let opened = Session::new(session.clone(), tickets);
    assert_eq!(
        stored,
        [
            Opened(Box::new(opened)),
            ready(1, 7),
            ready(2, 7),
            answer(2, ProposalAnswer::Session(Box::new(session)))
        ]
    );
    assert_eq!(tested.tested.next_wake(), None);
}

#[test]
fn a_question_that_was_shared_already_is_the_one_used() {
    let mut tested = Tested::opening();
    tested.question(Some(question(7)), 2_500);

    let shared = tested.shared(Some(question(8)), 3_000);

    assert_eq!(shared, [open_session(record(question(8), 3_000))]);
}

#[test]
fn whoever_waits_is_told_that_no_question_can_be_had_and_it_is_tried_again_by_itself() {
    let mut tested = Tested::opening();

    let failed = tested.question(None, 2_000);
    let wake = tested.tested.next_wake();
    let early = tested.on_time(2_099);
    let retried = tested.on_time(2_100);
    let failed_again = tested.question(None, 2_100);

    assert_eq!(failed, [answer(2, ProposalAnswer::QuestionUnavailable)]);
    assert_eq!(wake, Some(at_ms(2_100)));
    assert_eq!(early, []);
    assert_eq!(retried, [FindQuestion]);
    assert_eq!(failed_again, []);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(2_300)));
}

#[test]
fn a_session_that_cannot_be_shared_or_stored_is_like_a_question_that_cannot_be_had() {
    let mut unshared = Tested::opening();
    unshared.question(Some(question(7)), 2_000);
    let mut unstored = Tested::storing_session();

    let shared = unshared.shared(None, 2_000);
    let stored = unstored.written(AWAY, 3_000);

    let unavailable = answer(2, ProposalAnswer::QuestionUnavailable);
    assert_eq!(shared, [unavailable.clone()]);
    assert_eq!(stored, [unavailable]);
    assert_eq!(unshared.on_time(2_100), [FindQuestion]);
    assert_eq!(unstored.on_time(3_100), [FindQuestion]);
}

#[test]
fn repeating_a_confirmation_starts_a_try_at_once() {
    let mut tested = Tested::opening_failed();

    let repeated = tested.confirm(1, 3, 2_050);
    let meanwhile = tested.confirm(2, 4, 2_060);
    let failed = tested.question(None, 2_070);

    assert_eq!(repeated, [FindQuestion]);
    assert_eq!(meanwhile, []);
    let unavailable = ProposalAnswer::QuestionUnavailable;
    assert_eq!(
        failed,
        [answer(3, unavailable.clone()), answer(4, unavailable)]
    );
    assert_eq!(tested.tested.next_wake(), Some(at_ms(2_270)));
}

#[test]
fn whoever_confirms_while_the_rows_are_written_gets_the_session_too() {
    let mut tested = Tested::storing_session();
    tested.confirm(1, 3, 3_000);
    tested.decline(1, 4, 3_000);
    tested.ask_again(again(1, "Array"), 5, 3_000);
    tested.withdraw(6, 3_000);

    let stored = tested.written(STORED, 3_001);

    let session = Box::new(record(question(7), 3_000));
    assert_eq!(
        stored[4..],
        [
            answer(3, ProposalAnswer::Session(session)),
            answer(4, ProposalAnswer::AlreadyConfirmed),
            Reconsider(CallId(5)),
            withdrawn(6, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn whoever_confirms_while_the_rows_fail_starts_the_next_try() {
    let mut tested = Tested::storing_session();
    tested.confirm(1, 3, 3_000);

    let away = tested.written(AWAY, 3_001);

    assert_eq!(
        away,
        [answer(2, ProposalAnswer::QuestionUnavailable), FindQuestion]
    );
}

#[test]
fn thirty_seconds_after_the_window_the_opening_is_given_up_and_both_are_put_back() {
    let mut tested = Tested::opening();
    tested.question(None, GIVES_UP - 10);

    let wake = tested.tested.next_wake();
    let early = tested.on_time(GIVES_UP - 1);
    let due = tested.on_time(GIVES_UP);
    let stored = tested.written(STORED, GIVES_UP + 1);

    let (first, second) = (gave_up(1, GIVES_UP), gave_up(2, GIVES_UP));
    let fates = [Fate::PutBack(first.clone()), Fate::PutBack(second.clone())];
    assert_eq!(wake, Some(at_ms(GIVES_UP)));
    assert_eq!(early, []);
    assert_eq!(
        due,
        [end(Ending::QuestionUnavailable, fates, None, GIVES_UP)]
    );
    assert!(first.may_meet(&second));
    assert_eq!(
        stored,
        [
            Unshare,
            PutBack(first),
            PutBack(second),
            expired(1, ExpiryReason::QuestionUnavailable, true),
            expired(2, ExpiryReason::QuestionUnavailable, true),
            Over
        ]
    );
}

#[test]
fn a_question_that_comes_after_giving_up_is_not_used() {
    let mut unasked = Tested::opening();
    let mut unshared = Tested::opening();
    unshared.question(Some(question(7)), GIVES_UP - 1);

    let question_found = unasked.question(Some(question(7)), GIVES_UP);
    let shared = unshared.shared(Some(question(7)), GIVES_UP);

    for effects in [question_found, shared] {
        assert_eq!(effects[0], answer(2, ProposalAnswer::QuestionUnavailable));
        assert!(matches!(
            effects[1..],
            [Store(Write::EndMatch {
                ending: Ending::QuestionUnavailable,
                ..
            })]
        ));
    }
}

#[test]
fn rows_under_way_when_it_would_be_given_up_still_win() {
    let mut tested = Tested::opening();
    tested.question(Some(question(7)), GIVES_UP - 1);
    tested.shared(Some(question(7)), GIVES_UP - 1);

    let meanwhile = tested.on_time(GIVES_UP);
    let stored = tested.written(STORED, GIVES_UP + 1);

    assert_eq!(meanwhile, []);
    assert!(matches!(stored[0], Opened(_)));
}

#[test]
fn giving_up_while_the_store_is_away_is_tried_again_after_growing_waits() {
    let mut tested = Tested::opening_failed();
    tested.on_time(GIVES_UP);

    let away = tested.written(AWAY, GIVES_UP);
    let wake = tested.tested.next_wake();
    let early = tested.on_time(GIVES_UP + 199);
    let due = tested.on_time(GIVES_UP + 200);
    tested.written(AWAY, GIVES_UP + 200);

    assert_eq!((away, early), (vec![], vec![]));
    assert_eq!(wake, Some(at_ms(GIVES_UP + 200)));
    assert_eq!(due.len(), 1);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(GIVES_UP + 600)));
}

#[test]
fn a_confirmed_match_read_at_start_begins_with_a_question() {
    let restarted = Tested::new().tested.with_confirmations([true, true]);
    let mut tested = Tested::new();
    tested.tested = restarted;

    assert!(tested.tested.is_opening());
    assert_eq!(tested.on_time(5_000), [FindQuestion]);
}

// --- writes that the database refuses ---

#[test]
fn a_confirmation_that_the_database_refuses_ends_the_match_here() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);
    tested.confirm(2, 2, 1_000);
    tested.ask_again(again(2, "Array"), 3, 1_000);

    let refused = tested.written(REFUSED, 1_001);

    let gone = ProposalAnswer::NotFound;
    assert_eq!(
        refused,
        [
            breached(),
            closed(1, TicketOutcome::Refused),
            closed(2, TicketOutcome::Refused),
            answer(1, gone.clone()),
            Over,
            answer(2, gone),
            Reconsider(CallId(3))
        ]
    );
    assert_eq!(tested.tested.next_wake(), None);
}

#[test]
fn whatever_the_database_refuses_is_a_breach_and_answers_everybody() {
    let mut declining = Tested::new();
    declining.decline(1, 1, 1_000);
    let mut counting = Tested::new();
    counting.ask_again(again(1, "Array"), 1, 1_000);
    let mut replacing = Tested::new();
    replacing.ask_again(again(1, "Graph"), 1, 1_000);
    let mut expiring = Tested::new();
    expiring.on_time(WINDOW_ENDS);
    let mut opening = Tested::storing_session();

    let gone = |call| answer(call, ProposalAnswer::NotFound);
    let cases = [
        (&mut declining, Some(gone(1))),
        (&mut counting, Some(Reconsider(CallId(1)))),
        (&mut replacing, Some(Reconsider(CallId(1)))),
        (&mut expiring, None),
        (&mut opening, Some(gone(2))),
    ];

    for (tested, expected) in cases {
        let refused = tested.written(REFUSED, WINDOW_ENDS + 1);

        let end = TicketOutcome::Refused;
        assert!(matches!(refused[0], Breached(_)), "{refused:?}");
        assert_eq!(refused[1..3], [closed(1, end), closed(2, end)]);
        let answers = &refused[3..refused.len() - 1];
        assert_eq!(answers, expected.as_slice());
        assert_eq!(refused.last(), Some(&Over));
    }
}

#[test]
fn a_match_that_is_over_answers_as_one_that_is_not_known() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 1_000);
    tested.written(STORED, 1_001);

    assert_eq!(
        tested.confirm(2, 2, 1_002),
        [answer(2, ProposalAnswer::NotFound)]
    );
    assert_eq!(
        tested.ask_again(again(1, "Array"), 3, 1_002),
        [Reconsider(CallId(3))]
    );
    assert_eq!(tested.withdraw(4, 1_002), [Reconsider(CallId(4))]);
    assert_eq!(tested.on_time(GIVES_UP), []);
    assert_eq!(tested.tested.next_wake(), None);
}

#[test]
fn both_are_told_of_the_proposal_each_with_the_others_id_and_the_own_spelling() {
    let mut other = ticket(2);
    other.wish = wish("ARRAY");
    let tested = Tested::of([ticket(1), other]);

    let told = Side::BOTH.map(|side| tested.tested.found(side));

    let found = |partner, topic| Notice::MatchFound {
        match_id: match_id(1),
        partner: user(partner),
        wish: wish(topic),
        expires_at: at_ms(WINDOW_ENDS),
    };
    assert_eq!(told, [found(2, "Array"), found(1, "ARRAY")]);
}
