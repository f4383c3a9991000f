//! The actor of one match, and of the session that it becomes.

use std::future::Future;

use actix::{Actor, ActorContext, Context, Handler, StreamHandler};
use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{info, warn};

use super::board::MatchView;
use super::calls::Calls;
use super::inbox::{Facts, Inbox};
use super::messages::{
    AnswerProposal, AskAgain, LeaveSession, OpenTicket, RosterFact, WithdrawTicket,
};
use super::timer::Timer;
use super::{Core, SESSION_MAILBOX};
use crate::domain::matches::{Match, MatchCommand, MatchEffect};
use crate::domain::{
    AskAnswer, CallId, Ending, LeaveAnswer, MatchId, Question, Session, SessionEffect, Side,
    TicketId, Timestamp, Write, WriteOutcome,
};
use crate::observability::{
    CONFIRMATIONS, MATCHES_ENDED, OPENINGS_FAILED, SESSIONS_LEFT, SESSIONS_OPENED, TICKETS_OPENED,
    breached,
};
use crate::ports::Away;

/// Owns one [`Match`], then its [`Session`].
pub struct SessionActor {
    core: Core,
    match_id: MatchId,
    stage: Stage,
    inbox: Inbox<SessionFact>,
    facts: Facts<SessionFact>,
    calls: Calls<Caller>,
    /// Held while the match is unconfirmed.
    permit: Option<OwnedSemaphorePermit>,
    /// The last to confirm: the question is looked for in that user's spelling.
    last_to_confirm: Side,
    /// What is counted when the write under way is stored.
    counted: Option<(&'static str, &'static str)>,
    timer: Timer,
}

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
    pub(super) fn of_match(core: Core, of: Match, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self::new(core, of.ids().id, Stage::Match(Box::new(of)), permit)
    }

    /// The actor of a stored session.
    pub(super) fn of_session(core: Core, of: Session) -> Self {
        Self::new(
            core,
            of.record().match_id,
            Stage::Session(Box::new(of)),
            None,
        )
    }

    fn new(
        core: Core,
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
            counted: None,
            timer: Timer::default(),
        }
    }

    /// Takes all facts that have come: a command must not overtake them.
    fn catch_up(&mut self) {
        while let Some(fact) = self.facts.take() {
            self.take_in(fact);
        }
    }

    fn take_in(&mut self, fact: SessionFact) {
        let now = self.core.now();
        if let SessionFact::Written(outcome) = &fact {
            self.count(outcome);
        }
        match &mut self.stage {
            Stage::Match(of) => {
                let effects = match fact {
                    SessionFact::Written(outcome) => of.on_written(&outcome, now),
                    SessionFact::QuestionFound(question) => of.on_question(question, now),
                    SessionFact::Shared(question) => of.on_shared(question, now),
                    SessionFact::LeftShared => Vec::new(),
                };
                self.run(effects, None);
            }
            Stage::Session(of) => {
                let effects = match fact {
                    SessionFact::Written(outcome) => of.on_written(&outcome, now),
                    SessionFact::LeftShared => of.on_shared(now),
                    SessionFact::QuestionFound(_) | SessionFact::Shared(_) => Vec::new(),
                };
                self.run_session(effects, None);
            }
            Stage::Over => {}
        }
    }

    fn settle(&mut self, ctx: &mut Context<Self>) {
        let now = self.core.now();
        match &mut self.stage {
            Stage::Match(of) => {
                let effects = of.on_time(now);
                self.run(effects, None);
            }
            Stage::Session(of) => {
                let effects = of.on_time(now);
                self.run_session(effects, None);
            }
            Stage::Over => {}
        }
        let next = match &self.stage {
            Stage::Match(of) => of.next_wake(),
            Stage::Session(of) => of.next_wake(),
            Stage::Over => {
                ctx.stop();
                None
            }
        };
        self.timer.arm(next, now, ctx, |actor, ctx| {
            actor.timer.went_off();
            actor.settle(ctx);
        });
    }

    fn command(&mut self, command: MatchCommand, deadline: Timestamp, ctx: &mut Context<Self>) {
        let now = self.core.now();
        match &mut self.stage {
            Stage::Match(of) => {
                let effects = of.command(command, now);
                self.run(effects, Some(deadline));
            }
            Stage::Session(of) => {
                let effect = command.after_opening(of.record());
                self.run(vec![effect], None);
            }
            Stage::Over => self.run(vec![command.after_ending()], None),
        }
        self.settle(ctx);
    }

    fn run(&mut self, effects: Vec<MatchEffect>, deadline: Option<Timestamp>) {
        for effect in effects {
            match effect {
                MatchEffect::Store(write) => self.store(write, deadline),
                MatchEffect::FindQuestion => self.find_question(),
                MatchEffect::Share(session) => {
                    let shared = self.core.ports.shared.clone();
                    let put = async move { shared.put_if_absent(&session).await };
                    self.await_backend("share", put, SessionFact::Shared);
                }
                MatchEffect::Unshare => self.unshare(),
                MatchEffect::Tell(user, notice) => {
                    self.core.roster.report(RosterFact::Tell(user, notice));
                }
                MatchEffect::PutBack(ticket) => {
                    self.core.board.put_ticket(ticket.id, &ticket.user, None);
                    self.core
                        .roster
                        .report(RosterFact::PutBack(Box::new(ticket)));
                }
                MatchEffect::Replaced { old, new } => {
                    self.core.board.remove_ticket(old);
                    self.core.board.put_ticket(new.id, &new.user, None);
                    let new = Box::new(new);
                    self.core.roster.report(RosterFact::Replaced { old, new });
                }
                MatchEffect::Closed {
                    ticket,
                    user,
                    outcome,
                } => {
                    self.core.board.remove_ticket(ticket);
                    self.core.roster.report(RosterFact::Closed {
                        ticket,
                        user,
                        outcome,
                    });
                }
                MatchEffect::Opened(session) => self.opened(session),
                MatchEffect::Answer(call, answer) => {
                    if let Some(Caller::Answer(caller)) = self.calls.take(call) {
                        let _ = caller.reply.send(Some(answer));
                    }
                }
                MatchEffect::AnswerAsk(call, answer) => self.answer_ask(call, answer),
                MatchEffect::AnswerWithdraw(call, answer) => {
                    if let Some(Caller::Withdraw(caller)) = self.calls.take(call) {
                        let _ = caller.reply.send(Some(answer));
                    }
                }
                MatchEffect::Reconsider(call) => self.reconsider(call),
                MatchEffect::Breached(breach) => breached(breach),
                MatchEffect::Over => {
                    self.core.board.remove_match(self.match_id);
                    self.core
                        .roster
                        .report(RosterFact::MatchOver(self.match_id));
                    self.stage = Stage::Over;
                    self.permit = None;
                }
            }
        }
    }

    fn run_session(&mut self, effects: Vec<SessionEffect>, deadline: Option<Timestamp>) {
        for effect in effects {
            match effect {
                SessionEffect::Store(write) => self.store(write, deadline),
                SessionEffect::ShareLeft(session) => {
                    let shared = self.core.ports.shared.clone();
                    let write = async move { shared.write_left(&session).await };
                    self.await_backend("share_left", write, |_| SessionFact::LeftShared);
                }
                SessionEffect::Changed(session) => {
                    self.core.board.put_session(session);
                }
                SessionEffect::Tell(user, notice) => {
                    self.core.roster.report(RosterFact::Tell(user, notice));
                }
                SessionEffect::AnswerLeave(call, answer) => {
                    if let Some(Caller::Leave(caller)) = self.calls.take(call) {
                        let _ = caller.reply.send(Some(answer));
                    }
                }
                SessionEffect::Breached(breach) => breached(breach),
                SessionEffect::Over => self.session_over(),
            }
        }
    }

    fn store(&mut self, write: Write, deadline: Option<Timestamp>) {
        self.counted = match &write {
            Write::ConfirmMatch { .. } => Some((CONFIRMATIONS, "")),
            Write::LeaveSession { .. } => Some((SESSIONS_LEFT, "")),
            Write::EndMatch {
                ending: Ending::Declined(_),
                ..
            } => Some((MATCHES_ENDED, "declined")),
            Write::EndMatch {
                ending: Ending::Expired,
                ..
            } => Some((MATCHES_ENDED, "expired")),
            Write::EndMatch {
                ending: Ending::QuestionUnavailable,
                ..
            } => Some((MATCHES_ENDED, "question_unavailable")),
            _ => None,
        };
        self.core
            .store(write, deadline, &self.inbox, SessionFact::Written);
    }

    fn count(&mut self, outcome: &WriteOutcome) {
        match self
            .counted
            .take()
            .filter(|_| *outcome == WriteOutcome::Stored)
        {
            Some((name, "")) => counter!(name).increment(1),
            Some((name, ending)) => counter!(name, "ending" => ending).increment(1),
            None => {}
        }
    }

    fn find_question(&self) {
        let Stage::Match(of) = &self.stage else {
            return;
        };
        self.core.board.put_match(self.match_id, MatchView::Opening);
        let wish = of.tickets()[self.last_to_confirm.index()].wish.clone();
        let questions = self.core.ports.questions.clone();
        let pick = async move { questions.pick(&wish).await };
        self.await_backend("question", pick, SessionFact::QuestionFound);
    }

    /// Calls a backend away from this thread; what it answers comes back as a fact.
    fn await_backend<T: Send + 'static>(
        &self,
        step: &'static str,
        call: impl Future<Output = Result<T, Away>> + Send + 'static,
        fact: impl FnOnce(Option<T>) -> SessionFact + Send + 'static,
    ) {
        let (inbox, match_id) = (self.inbox.clone(), self.match_id);
        self.core.io.spawn(async move {
            let answer = call.await.inspect_err(|away| {
                counter!(OPENINGS_FAILED, "step" => step).increment(1);
                warn!(%match_id, step, "match {match_id} waits, because {away}");
            });
            inbox.report(fact(answer.ok()));
        });
    }

    fn unshare(&self) {
        let Stage::Match(of) = &self.stage else {
            return;
        };
        let (shared, session) = (self.core.ports.shared.clone(), of.ids().session);
        self.core.io.spawn(async move {
            if let Err(away) = shared.remove(session).await {
                warn!(%session, "shared session {session} was not removed, because {away}");
            }
        });
    }

    fn opened(&mut self, session: Box<Session>) {
        let record = session.record().clone();
        let (match_id, id) = (self.match_id, record.id);
        counter!(SESSIONS_OPENED).increment(1);
        info!(%match_id, session = %id, "match {match_id} became session {id}");
        self.core.board.put_session(record);
        self.core
            .board
            .put_match(match_id, MatchView::InSession(id));
        self.permit = None;
        self.stage = Stage::Session(session);
        self.core.roster.report(RosterFact::SessionOpened {
            match_id,
            session: id,
        });
    }

    fn session_over(&mut self) {
        if let Stage::Session(of) = std::mem::replace(&mut self.stage, Stage::Over) {
            let session = of.record().id;
            for ticket in of.tickets() {
                self.core.board.remove_ticket(ticket);
            }
            self.core.board.remove_session(session);
            self.core.board.remove_match(self.match_id);
            self.core
                .roster
                .report(RosterFact::SessionOver(self.match_id, session));
        }
    }

    /// A ticket of which nobody heard is withdrawn again.
    fn answer_ask(&mut self, call: CallId, answer: AskAnswer) {
        let Some(Caller::Ask { ask, opens }) = self.calls.take(call) else {
            return;
        };
        let opened = match &answer {
            AskAnswer::Ticket { ticket, .. } if ticket.id == opens => Some(ticket.clone()),
            _ => None,
        };
        let unheard = ask.reply.send(answer).is_err();
        match opened {
            Some(ticket) if unheard => self.core.roster.report(RosterFact::Abandoned(ticket)),
            Some(_) => counter!(TICKETS_OPENED).increment(1),
            None => {}
        }
    }

    fn reconsider(&mut self, call: CallId) {
        match self.calls.take(call) {
            Some(Caller::Ask { ask, .. }) => self.core.roster.report(RosterFact::AskMoved(ask)),
            Some(Caller::Withdraw(withdraw)) => {
                self.core.roster.report(RosterFact::WithdrawMoved(withdraw));
            }
            Some(Caller::Answer(_) | Caller::Leave(_)) | None => {}
        }
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(SESSION_MAILBOX);
        self.facts.wake(ctx);
        self.settle(ctx);
    }
}

impl StreamHandler<SessionFact> for SessionActor {
    fn handle(&mut self, fact: SessionFact, ctx: &mut Self::Context) {
        self.take_in(fact);
        self.settle(ctx);
    }

    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl Handler<AnswerProposal> for SessionActor {
    type Result = ();

    fn handle(&mut self, command: AnswerProposal, ctx: &mut Self::Context) {
        self.catch_up();
        let (user, deadline, confirmed) =
            (command.user.clone(), command.deadline, command.confirmed);
        if let Stage::Match(of) = &self.stage
            && let Some(side) = of.side_of(&user).filter(|_| confirmed)
        {
            self.last_to_confirm = side;
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
        self.catch_up();
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
        self.catch_up();
        let deadline = command.deadline;
        let call = self.calls.add(Caller::Withdraw(command));
        self.command(MatchCommand::Withdraw(call), deadline, ctx);
    }
}

impl Handler<LeaveSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, command: LeaveSession, ctx: &mut Self::Context) {
        self.catch_up();
        let now = self.core.now();
        let (user, deadline) = (command.user.clone(), command.deadline);
        match &mut self.stage {
            Stage::Session(of) => {
                let call = self.calls.add(Caller::Leave(command));
                let effects = of.leave(user, call, now);
                self.run_session(effects, Some(deadline));
            }
            // Whoever looks at the rows finds out whether the session is unknown or over.
            Stage::Match(_) | Stage::Over => {
                let _ = command.reply.send(None::<LeaveAnswer>);
            }
        }
        self.settle(ctx);
    }
}
