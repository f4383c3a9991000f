//! The match's flows, each in a sentence. Everything goes through [`Tested`], which fails as soon as
//! the match tells of something that the store has not confirmed.

mod asking;
mod confirming;
mod declining;
mod expiring;
mod opening;
mod otherwise;
mod refused;
mod together;

use super::*;
use crate::limits::OPENING_GIVE_UP_MS;
use crate::notices::{Breach, Guarantee};
use crate::sessions::{Question, Session};
use crate::testing::{at_ms, match_id, session_id, ticket, user, wish};
use crate::values::EventId;
use crate::writes::{Refusal, WriteOutcome};
use crate::{Avoided, ExpiryReason, TicketOutcome};

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
#[derive(Clone)]
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

    /// As [`Tested::confirmed_by_first`]; user 2 confirms too, at 1,900 ms, with call 2.
    fn confirming_together() -> Self {
        let mut tested = Self::confirmed_by_first();
        assert_eq!(tested.confirm(2, 2, 1_900), [FindQuestion]);
        tested
    }

    /// Both have confirmed by 2,000 ms; call 2 of user 2 waits, and a question is looked for.
    fn opening() -> Self {
        let mut tested = Self::confirming_together();
        assert_eq!(tested.on_time(2_000), [confirmation(Second)]);
        assert_eq!(tested.written(STORED, 2_000), []);
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
        let effects = self.tested.command(command, None, at_ms(now));
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
            any(&|write| match write {
                Write::ConfirmMatch { side, .. } => *side == by,
                Write::OpenSession { confirms, .. } => *confirms == Some(by),
                _ => false,
            })
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
                Write::EndMatch { opens, .. } => !matched && opens.as_deref() == Some(&**ticket),
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

fn end(
    confirmed: [bool; 2],
    ending: Ending,
    fates: [Fate; 2],
    opens: Option<Ticket>,
    at: i64,
) -> MatchEffect {
    Store(Write::EndMatch {
        match_id: match_id(1),
        ending,
        tickets: [ticket(1).id, ticket(2).id],
        confirmed,
        fates: Box::new(fates),
        opens: opens.map(Box::new),
        at: at_ms(at),
    })
}

fn open_session(record: SessionRecord) -> MatchEffect {
    open_session_with(None, record)
}

fn open_session_with(confirms: Option<Side>, record: SessionRecord) -> MatchEffect {
    Store(Write::OpenSession {
        session: record,
        tickets: [ticket(1).id, ticket(2).id],
        event: ids().event,
        confirms,
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
    let avoid = own.then(|| Avoided::Silence {
        user: user(with),
        own_asks: ticket.asks,
        theirs: other.then_some((self::ticket(with).id, 0)),
    });
    let back = ticket.back_in_place(at_ms(at), Timeouts::default(), avoid);
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
        seen: "an open match was found otherwise in the database",
    })
}

const SILENT: [bool; 2] = [true, true];
/// Who has confirmed.
const NOBODY: [bool; 2] = [false, false];
const THE_FIRST: [bool; 2] = [true, false];
