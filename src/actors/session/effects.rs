//! Carrying out what the domain wants done.

use std::future::Future;

use metrics::counter;
use tracing::{debug, info, warn};

use super::{Caller, FIND, SHARE, SessionActor, SessionFact, Stage};
use crate::board::MatchView;
use crate::decisions::Decision;
use crate::messages::RosterFact;
use domain::matches::MatchEffect;
use domain::{AskAnswer, CallId, Ending, Session, SessionEffect, Write, WriteOutcome};
use observability::{
    CONFIRMATIONS, Cause, MATCHES_ENDED, OPENINGS_FAILED, SESSIONS_LEFT, SESSIONS_OPENED,
    TICKETS_OPENED, breached,
};
use ports::Away;

impl SessionActor {
    pub(super) fn run(&mut self, effects: Vec<MatchEffect>) {
        for effect in effects {
            match effect {
                MatchEffect::Store(write) => self.store(write),
                MatchEffect::FindQuestion => self.find_question(),
                MatchEffect::Share(session) => {
                    let shared = self.core.ports.shared.clone();
                    let put = async move { shared.put_if_absent(&session).await };
                    self.await_backend(SHARE, "share session", put, SessionFact::Shared);
                }
                MatchEffect::Unshare => self.unshare(),
                MatchEffect::Tell(user, notice) => {
                    self.core.roster.report(RosterFact::Tell(user, notice));
                }
                MatchEffect::PutBack(ticket) => {
                    self.core
                        .decided(ticket.id, Decision::PutBack(self.match_id));
                    self.core.board.put_ticket(ticket.id, &ticket.user, None);
                    self.core
                        .roster
                        .report(RosterFact::PutBack(Box::new(ticket)));
                }
                MatchEffect::Replaced { old, new } => self.core.replaced(old, new),
                MatchEffect::Closed {
                    ticket,
                    user,
                    outcome,
                } => self.core.closed(ticket, user, outcome),
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
                    if let Stage::Match(of) = &self.stage {
                        self.core.board.tokens.forget(of.users());
                    }
                    self.core.board.remove_match(self.match_id);
                    self.core
                        .roster
                        .report(RosterFact::MatchOver(self.match_id));
                    self.stage = Stage::Over;
                    self.permit = None;
                    self.token = None;
                }
            }
        }
    }

    pub(super) fn run_session(&mut self, effects: Vec<SessionEffect>) {
        for effect in effects {
            match effect {
                SessionEffect::Store(write) => self.store(write),
                SessionEffect::ShareLeft(session) => {
                    let shared = self.core.ports.shared.clone();
                    let write = async move { shared.write_left(&session).await };
                    let fact = |_| SessionFact::LeftShared;
                    self.await_backend("share_left", "share leave", write, fact);
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

    fn store(&mut self, write: Write) {
        let deadline = match &self.stage {
            Stage::Match(of) => of.write_by(),
            Stage::Session(of) => of.write_by(),
            Stage::Over => None,
        };
        self.decided = match (&write, &self.stage) {
            (
                Write::ConfirmMatch { side, .. }
                | Write::OpenSession {
                    confirms: Some(side),
                    ..
                },
                Stage::Match(of),
            ) => {
                let confirmed = Decision::Confirmed(self.match_id);
                Some((of.tickets()[side.index()].id, confirmed))
            }
            _ => None,
        };
        self.counted = match &write {
            Write::ConfirmMatch { .. }
            | Write::OpenSession {
                confirms: Some(_), ..
            } => Some((CONFIRMATIONS, "")),
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

    pub(super) fn count(&mut self, outcome: &WriteOutcome) {
        let decided = self.decided.take();
        if let Some((ticket, what)) = decided.filter(|_| *outcome == WriteOutcome::Stored) {
            self.core.decided(ticket, what);
        }
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

    fn find_question(&mut self) {
        let Stage::Match(of) = &self.stage else {
            return;
        };
        if let Some(lent) = self.core.board.tokens.take(of.users()) {
            self.token = Some(lent);
        }
        let wish = of.tickets()[self.last_to_confirm.index()].wish.clone();
        let (questions, token) = (self.core.ports.questions.clone(), self.token.clone());
        let pick = async move { questions.pick(&wish, token.as_ref()).await };
        self.await_backend(FIND, "find question", pick, SessionFact::QuestionFound);
    }

    /// Calls a backend without being waited for; what it answers comes back as a fact.
    fn await_backend<T: Send + 'static>(
        &self,
        step: &'static str,
        name: &'static str,
        call: impl Future<Output = Result<T, Away>> + Send + 'static,
        fact: impl FnOnce(Option<T>) -> SessionFact + Send + 'static,
    ) {
        let (inbox, match_id) = (self.inbox.clone(), self.match_id);
        let (cause, is_first) = (Cause::current(), !self.failed.contains(&step));
        self.core.io.spawn(cause.clone().within(async move {
            let mut span = cause.step(name);
            let answer = span.cause().clone().within(call).await;
            if let Err(away) = &answer {
                span.fail(away);
                counter!(OPENINGS_FAILED, "step" => step).increment(1);
                // Once for each match and step: it is tried again every other second.
                if is_first {
                    warn!(%match_id, step, "match {match_id} waits, because {away}");
                } else {
                    debug!(%match_id, step, "match {match_id} still waits, because {away}");
                }
            }
            drop(span);
            inbox.report(fact(answer.ok()));
        }));
    }

    fn unshare(&self) {
        let Stage::Match(of) = &self.stage else {
            return;
        };
        let (shared, session) = (self.core.ports.shared.clone(), of.ids().session);
        let removed = async move {
            if let Err(away) = shared.remove(session).await {
                warn!(%session, "shared session {session} is removed later, because {away}");
            }
        };
        self.core.io.spawn(Cause::current().within(removed));
    }

    fn opened(&mut self, session: Box<Session>) {
        let record = session.record().clone();
        let (match_id, id) = (self.match_id, record.id);
        counter!(SESSIONS_OPENED).increment(1);
        for ticket in session.tickets() {
            self.core.decided(ticket, Decision::InSession(id));
        }
        info!(%match_id, session = %id, "match {match_id} became session {id}");
        self.core.board.tokens.forget(record.users.each_ref());
        self.core.board.put_session(record);
        self.core
            .board
            .put_match(match_id, MatchView::InSession(id));
        self.permit = None;
        self.token = None;
        self.opens_for = Cause::NONE;
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
