//! The actor of one match, and of the session that it becomes.

mod effects;

use std::sync::Arc;

use actix::{Actor, ActorContext, Context, Handler, StreamHandler};
use metrics::histogram;
use tokio::sync::OwnedSemaphorePermit;

use super::Core;
use super::board::MatchView;
use super::calls::Calls;
use super::decisions::Decision;
use super::inbox::{Caused, Facts, Inbox};
use super::messages::{AnswerProposal, AskAgain, LeaveSession, OpenTicket, Retire, WithdrawTicket};
use super::timer::Timer;
use domain::matches::{Match, MatchCommand, MatchEffect};
use domain::{LeaveAnswer, MatchId, Question, Session, Side, TicketId, Timestamp, WriteOutcome};
use observability::{Cause, TIME_TO_CONFIRM, breached};
use ports::BearerToken;

/// Owns one [`Match`], then its [`Session`].
pub struct SessionActor {
    core: Arc<Core>,
    match_id: MatchId,
    stage: Stage,
    inbox: Inbox<SessionFact>,
    facts: Facts<SessionFact>,
    calls: Calls<Caller>,
    /// Held while the match is unconfirmed.
    permit: Option<OwnedSemaphorePermit>,
    /// The last to confirm: the question is looked for in that user's spelling.
    last_to_confirm: Side,
    /// The newest token of either of the two; lent to look for the question.
    token: Option<BearerToken>,
    /// The steps of the opening that have failed.
    failed: Vec<&'static str>,
    /// The last request to confirm: the session is opened for it.
    opens_for: Cause,
    /// What is counted when the write under way is stored.
    counted: Option<(&'static str, &'static str)>,
    /// What is decided about which ticket when the write under way is stored.
    decided: Option<(TicketId, Decision)>,
    timer: Timer,
}

/// The steps of the opening of a session that others take part in.
const FIND: &str = "question";
const SHARE: &str = "share";

enum Stage {
    Match(Box<Match>),
    Session(Box<Session>),
    Over,
}

/// What a match or session is told of what has happened.
#[derive(Debug)]
pub enum SessionFact {
    /// The store answered the write under way.
    Written(WriteOutcome),
    /// A question was found, or could not be.
    QuestionFound(Option<Question>),
    /// The shared session holds this question, or could not be written.
    Shared(Option<Question>),
    /// The shared session says who has left, or could not be written.
    LeftShared,
}

/// Somebody who waits for an answer of this match or session.
enum Caller {
    Answer(AnswerProposal),
    Ask {
        ask: OpenTicket,
        /// The ticket that this ask would open; to be withdrawn if nobody hears of it.
        opens: TicketId,
    },
    Withdraw(WithdrawTicket),
    Leave(LeaveSession),
}

impl SessionActor {
    /// The actor of a stored match, whose place among the unconfirmed ones is `permit`.
    pub(super) fn of_match(
        core: Arc<Core>,
        of: Match,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self::new(core, of.ids().id, Stage::Match(Box::new(of)), permit)
    }

    /// The actor of a stored session.
    pub(super) fn of_session(core: Arc<Core>, of: Session) -> Self {
        Self::new(
            core,
            of.record().match_id,
            Stage::Session(Box::new(of)),
            None,
        )
    }

    fn new(
        core: Arc<Core>,
        match_id: MatchId,
        stage: Stage,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let (inbox, facts) = Inbox::new();
        Self {
            core,
            match_id,
            stage,
            inbox,
            facts,
            calls: Calls::default(),
            permit,
            last_to_confirm: Side::First,
            token: None,
            failed: Vec::new(),
            opens_for: Cause::NONE,
            counted: None,
            decided: None,
            timer: Timer::default(),
        }
    }

    /// Takes all facts that have come: a command must not overtake them.
    fn catch_up(&mut self) {
        while let Some(fact) = self.facts.take() {
            self.take_in(fact);
        }
    }

    fn take_in(&mut self, fact: Caused<SessionFact>) {
        let (fact, _entered) = fact.enter();
        let now = self.core.now();
        if let SessionFact::Written(outcome) = &fact {
            self.count(outcome);
        }
        match &mut self.stage {
            Stage::Match(of) => {
                let was_opening = of.is_opening();
                if was_opening && matches!(fact, SessionFact::QuestionFound(None)) {
                    self.core.board.tokens.want(of.users());
                }
                let awaited = match &fact {
                    _ if !was_opening => None,
                    SessionFact::QuestionFound(None) => {
                        Some((FIND, Decision::QuestionAwaited(self.match_id)))
                    }
                    SessionFact::Shared(None) => {
                        Some((SHARE, Decision::SharingAwaited(self.match_id)))
                    }
                    _ => None,
                };
                if let Some((step, awaited)) = awaited {
                    if !self.failed.contains(&step) {
                        self.failed.push(step);
                    }
                    for ticket in of.tickets() {
                        self.core.decided(ticket.id, awaited);
                    }
                }
                let effects = match fact {
                    SessionFact::Written(outcome) => of.on_written(&outcome, now),
                    SessionFact::QuestionFound(question) => of.on_question(question, now),
                    SessionFact::Shared(question) => of.on_shared(question, now),
                    SessionFact::LeftShared => Vec::new(),
                };
                let opened = |effect: &MatchEffect| matches!(effect, MatchEffect::Opened(_));
                if !was_opening && (of.is_opening() || effects.iter().any(opened)) {
                    let window_ms = self.core.settings.timeouts.confirm_window_ms;
                    let left_ms = of.expires_at().ms_since(now);
                    let took_ms = window_ms.saturating_sub(left_ms);
                    histogram!(TIME_TO_CONFIRM).record(took_ms as f64 / 1_000.0);
                }
                if of.is_opening() && !was_opening {
                    self.core.board.put_match(self.match_id, MatchView::Opening);
                }
                self.run(effects);
            }
            Stage::Session(of) => {
                let effects = match fact {
                    SessionFact::Written(outcome) => of.on_written(&outcome, now),
                    SessionFact::LeftShared => of.on_shared(now),
                    SessionFact::QuestionFound(_) | SessionFact::Shared(_) => Vec::new(),
                };
                self.run_session(effects);
            }
            Stage::Over => {}
        }
    }

    fn settle(&mut self, ctx: &mut Context<Self>) {
        let now = self.core.now();
        match &mut self.stage {
            Stage::Match(of) => {
                let effects = of.on_time(now);
                self.run(effects);
            }
            Stage::Session(of) => {
                let effects = of.on_time(now);
                self.run_session(effects);
            }
            Stage::Over => {}
        }
        let next = match &self.stage {
            Stage::Match(of) => of.next_wake(),
            Stage::Session(of) => of.next_wake(),
            Stage::Over => None,
        };
        self.timer.arm(next, now, ctx, |actor, ctx| {
            let late = actor.timer.went_off(actor.core.now());
            late.into_iter().for_each(breached);
            let _entered = actor.opening().enter();
            actor.settle(ctx);
        });
    }

    /// The request for which a question is looked for again, if that is what time has come for.
    fn opening(&self) -> Cause {
        match &self.stage {
            Stage::Match(of) if of.is_opening() || of.is_about_to_open() => self.opens_for.clone(),
            Stage::Match(_) | Stage::Session(_) | Stage::Over => Cause::NONE,
        }
    }

    fn command(&mut self, command: MatchCommand, deadline: Timestamp, ctx: &mut Context<Self>) {
        let now = self.core.now();
        match &mut self.stage {
            Stage::Match(of) => {
                let effects = of.command(command, Some(deadline), now);
                self.run(effects);
            }
            Stage::Session(of) => {
                let effect = command.after_opening(of.record());
                self.run(vec![effect]);
            }
            Stage::Over => self.run(vec![command.after_ending()]),
        }
        self.settle(ctx);
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.facts.wake(ctx);
        self.settle(ctx);
    }
}

impl StreamHandler<Caused<SessionFact>> for SessionActor {
    fn handle(&mut self, fact: Caused<SessionFact>, ctx: &mut Self::Context) {
        self.take_in(fact);
        self.settle(ctx);
    }

    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl Handler<AnswerProposal> for SessionActor {
    type Result = ();

    fn handle(&mut self, command: AnswerProposal, ctx: &mut Self::Context) {
        self.core.board.mailboxes.sessions.taken();
        self.catch_up();
        let step = command.cause.step("session answer");
        let _entered = step.enter();
        let (user, deadline, confirmed) =
            (command.user.clone(), command.deadline, command.confirmed);
        if let Stage::Match(of) = &self.stage
            && let Some(side) = of.side_of(&user).filter(|_| confirmed)
        {
            self.last_to_confirm = side;
            self.token = Some(command.token.clone());
            self.opens_for = step.cause().clone();
        }
        let call = self.calls.add(Caller::Answer(command));
        let command = match confirmed {
            true => MatchCommand::Confirm(user, call),
            false => MatchCommand::Decline(user, call),
        };
        self.command(command, deadline, ctx);
    }
}

impl Handler<AskAgain> for SessionActor {
    type Result = ();

    fn handle(&mut self, command: AskAgain, ctx: &mut Self::Context) {
        self.core.board.mailboxes.sessions.taken();
        self.catch_up();
        let step = command.ask.cause.step("session ask again");
        let _entered = step.enter();
        let deadline = command.ask.deadline;
        let call = self.calls.add(Caller::Ask {
            ask: command.ask,
            opens: command.again.id,
        });
        self.command(
            MatchCommand::AskAgain(Box::new(command.again), call),
            deadline,
            ctx,
        );
    }
}

impl Handler<WithdrawTicket> for SessionActor {
    type Result = ();

    fn handle(&mut self, command: WithdrawTicket, ctx: &mut Self::Context) {
        self.core.board.mailboxes.sessions.taken();
        self.catch_up();
        let step = command.cause.step("session withdraw");
        let _entered = step.enter();
        let deadline = command.deadline;
        let call = self.calls.add(Caller::Withdraw(command));
        self.command(MatchCommand::Withdraw(call), deadline, ctx);
    }
}

impl Handler<LeaveSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, command: LeaveSession, ctx: &mut Self::Context) {
        self.core.board.mailboxes.sessions.taken();
        self.catch_up();
        // A session whose time is over ends first, however late its timer is.
        self.settle(ctx);
        let step = command.cause.step("session leave");
        let _entered = step.enter();
        let now = self.core.now();
        let (user, deadline) = (command.user.clone(), command.deadline);
        match &mut self.stage {
            Stage::Session(of) => {
                let call = self.calls.add(Caller::Leave(command));
                let effects = of.leave(user, call, Some(deadline), now);
                self.run_session(effects);
            }
            // Whoever looks at the rows finds out whether the session is unknown or over.
            Stage::Match(_) | Stage::Over => {
                let _ = command.reply.send(None::<LeaveAnswer>);
            }
        }
        self.settle(ctx);
    }
}

impl Handler<Retire> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
