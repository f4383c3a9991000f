//! The actor of one bucket: owns its queue, and pairs on arrival.

mod handlers;

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};
use metrics::{counter, histogram};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::debug;

use super::asked::Asked;
use super::board::{BucketView, MatchView};
use super::calls::Calls;
use super::decisions::Decision;
use super::inbox::{Caused, Facts, Inbox};
use super::messages::{BucketFact, OpenTicket, RosterFact, WithdrawTicket};
use super::pace::{Pace, give_way};
use super::session::SessionActor;
use super::timer::Timer;
use super::{Core, SESSION_MAILBOX, start};
use domain::bucket::{Bucket, BucketEffect};
use domain::matches::Match;
use domain::{
    AskAnswer, BucketKey, CallId, MatchId, Notice, Side, Ticket, TicketId, TicketOutcome,
    Timestamp, Write, WriteOutcome,
};
use observability::{
    Limit, MATCHES_PROPOSED, PROPOSALS_FAILED, TICKETS_OPENED, TIME_TO_MATCH, breached,
};
use ports::QueueChange;

/// Owns one [`Bucket`].
pub struct MatchmakerActor {
    core: Arc<Core>,
    key: BucketKey,
    bucket: Bucket,
    restored: Restored,
    inbox: Inbox<BucketFact>,
    facts: Facts<BucketFact>,
    calls: Calls<Caller>,
    asked: Asked,
    permits: HashMap<MatchId, OwnedSemaphorePermit>,
    spare_permit: Option<OwnedSemaphorePermit>,
    awaits_permit: bool,
    timer: Timer,
    pace: Pace,
    view: Arc<BucketView>,
}

/// The tickets that waited in a bucket before a restart.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// In the order of their places.
    pub(super) tickets: Vec<Ticket>,
    /// Dropped when they are all in their places.
    pub(super) done: Option<mpsc::Sender<()>>,
}

/// Somebody who waits for an answer of this bucket.
enum Caller {
    Ask {
        ask: OpenTicket,
        /// The ticket that this ask would open; to be withdrawn if nobody hears of it.
        opens: TicketId,
    },
    Withdraw(WithdrawTicket),
}

impl MatchmakerActor {
    /// The actor of `key`, with the tickets that waited there before a restart.
    pub(super) fn new(core: Arc<Core>, key: BucketKey, restored: Restored) -> Self {
        let (inbox, facts) = Inbox::new();
        Self {
            bucket: Bucket::new(key.clone(), core.settings.timeouts),
            view: core.board.put_bucket(key.clone()),
            core,
            key,
            restored,
            inbox,
            facts,
            calls: Calls::default(),
            asked: Asked::default(),
            permits: HashMap::new(),
            spare_permit: None,
            awaits_permit: false,
            timer: Timer::default(),
            pace: Pace::default(),
        }
    }

    /// Where this bucket's facts are reported.
    pub(super) fn inbox(&self) -> Inbox<BucketFact> {
        self.inbox.clone()
    }

    /// Where this bucket's state is published.
    pub(super) fn view(&self) -> Arc<BucketView> {
        Arc::clone(&self.view)
    }

    /// Takes all facts that have come: a command must not overtake them.
    fn catch_up(&mut self) {
        while let Some(fact) = self.facts.take() {
            self.take_in(fact);
        }
    }

    fn take_in(&mut self, fact: Caused<BucketFact>) {
        let (fact, _entered) = fact.enter();
        self.pace.count();
        let now = self.core.now();
        let effects = match fact {
            BucketFact::TicketWritten(ticket, outcome) => {
                self.asked.waits(ticket);
                self.bucket.on_ticket_written(ticket, outcome, now)
            }
            BucketFact::ProposalWritten(id, outcome) => {
                if outcome != WriteOutcome::Stored {
                    counter!(PROPOSALS_FAILED).increment(1);
                    for ticket in self.bucket.tickets_proposed(id).into_iter().flatten() {
                        self.core.decided(ticket, Decision::ProposalFailed(id));
                    }
                    self.permits.remove(&id);
                }
                self.bucket.on_proposal_written(id, &outcome, now)
            }
            BucketFact::Admitted(ticket) => {
                self.asked.waits(ticket.id);
                self.bucket.admit(*ticket, now)
            }
            BucketFact::Abandoned(ticket) => self.bucket.abandon(ticket, now),
        };
        self.run(effects, None);
    }

    /// After every message: pair whoever fits, publish, and see to the next deadline.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        let now = self.core.now();
        let due = self.bucket.on_time(now);
        self.run(due, None);
        while let Some((older, younger)) = self.bucket.next_pair() {
            let Some(permit) = self.take_permit(ctx) else {
                break;
            };
            let step = self.asked.paired(older, younger);
            let _entered = step.enter();
            let ids = Core::match_ids();
            self.permits.insert(ids.id, permit);
            let effects = self.bucket.propose_next(ids, now);
            self.run(effects, None);
        }
        if !self.awaits_permit {
            self.asked.turn_is_over();
        }
        self.spare_permit = None;
        self.view.publish(
            self.bucket.waiting(),
            self.bucket.set_aside(),
            self.calls.len(),
            self.bucket.oldest(),
        );
        self.timer
            .arm(self.bucket.next_wake(), now, ctx, |actor, ctx| {
                let late = actor.timer.went_off(actor.core.now());
                late.into_iter().for_each(breached);
                actor.settle(ctx);
            });
        self.pace.count();
        if self.pace.is_due() {
            give_way(self, ctx);
        }
    }

    fn take_permit(&mut self, ctx: &mut Context<Self>) -> Option<OwnedSemaphorePermit> {
        if let Some(spare) = self.spare_permit.take() {
            return Some(spare);
        }
        if self.awaits_permit {
            return None;
        }
        if let Ok(permit) = Arc::clone(&self.core.permits).try_acquire_owned() {
            return Some(permit);
        }
        self.awaits_permit = true;
        Limit::Matches.reached();
        let waiting = Arc::clone(&self.core.permits).acquire_owned();
        ctx.spawn(waiting.into_actor(self).map(|permit, actor, ctx| {
            actor.awaits_permit = false;
            actor.spare_permit = permit.ok();
            actor.settle(ctx);
        }));
        None
    }

    fn run(&mut self, effects: Vec<BucketEffect>, deadline: Option<Timestamp>) {
        for effect in effects {
            match effect {
                BucketEffect::Store(write) => self.store(write, deadline),
                BucketEffect::Opened(ticket) => {
                    let waits = QueueChange::Waits(Box::new(ticket.clone()));
                    self.core.ports.mirror.note(waits);
                    self.core.board.put_ticket(ticket.id, &ticket.user, None);
                    self.core.decided(ticket.id, Decision::Waits);
                    self.core
                        .roster
                        .report(RosterFact::Opened(Box::new(ticket)));
                }
                BucketEffect::Replaced { old, new } => {
                    self.asked.gone(old);
                    self.core.replaced(old, new);
                }
                BucketEffect::Closed {
                    ticket,
                    user,
                    outcome,
                } => {
                    self.asked.gone(ticket);
                    self.core.closed(ticket, user.clone(), outcome);
                    if outcome == TicketOutcome::Expired {
                        let notice = Notice::TicketExpired { ticket };
                        self.core.roster.report(RosterFact::Tell(user, notice));
                    }
                }
                BucketEffect::Matched(matched) => self.start_session(*matched),
                BucketEffect::AnswerAsk(call, answer) => self.answer_ask(call, answer),
                BucketEffect::AnswerWithdraw(call, answer) => {
                    if let Some(Caller::Withdraw(withdraw)) = self.calls.take(call) {
                        let _ = withdraw.reply.send(Some(answer));
                    }
                }
                BucketEffect::Reconsider(call) => match self.calls.take(call) {
                    Some(Caller::Ask { ask, .. }) => {
                        self.core.roster.report(RosterFact::AskMoved(ask));
                    }
                    Some(Caller::Withdraw(withdraw)) => {
                        self.core.roster.report(RosterFact::WithdrawMoved(withdraw));
                    }
                    None => {}
                },
                BucketEffect::Breached(breach) => breached(breach),
            }
        }
    }

    fn store(&self, write: Write, deadline: Option<Timestamp>) {
        match write {
            Write::ProposeMatch(ref proposal) => {
                let id = proposal.id;
                for ticket in proposal.tickets {
                    self.core.decided(ticket, Decision::Proposed(id));
                }
                let fact = move |outcome| BucketFact::ProposalWritten(id, outcome);
                self.core.store(write, deadline, &self.inbox, fact);
            }
            Write::OpenTicket(Ticket { id: ticket, .. })
            | Write::CloseTicket { ticket, .. }
            | Write::ReplaceTicket { old: ticket, .. }
            | Write::CountAsk { ticket, .. } => {
                let fact = move |outcome| BucketFact::TicketWritten(ticket, outcome);
                self.core.store(write, deadline, &self.inbox, fact);
            }
            Write::ConfirmMatch { .. }
            | Write::EndMatch { .. }
            | Write::OpenSession { .. }
            | Write::LeaveSession { .. }
            | Write::ExtendMatch { .. }
            | Write::DiscardTicket { .. } => debug!("a bucket does not write that"),
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
            Some(_) if !unheard => counter!(TICKETS_OPENED).increment(1),
            Some(ticket) if ticket.wish.bucket() == self.key => {
                let effects = self.bucket.abandon(ticket.id, self.core.now());
                self.run(effects, None);
            }
            Some(ticket) => self.core.roster.report(RosterFact::Abandoned(ticket)),
            None => {}
        }
    }

    fn start_session(&mut self, matched: Match) {
        let Some(permit) = self.permits.remove(&matched.ids().id) else {
            return;
        };
        let now = self.core.now();
        let (id, tickets) = (matched.ids().id, Box::new(matched.tickets().clone()));
        let found = Box::new(Side::BOTH.map(|side| matched.found(side)));
        let view = MatchView::Proposed {
            expires_at: matched.expires_at(),
        };
        counter!(MATCHES_PROPOSED).increment(1);
        let wait_ms = self.core.settings.timeouts.ticket_wait_ms;
        let time_to_match = histogram!(TIME_TO_MATCH);
        for ticket in &*tickets {
            let left_ms = ticket.waits_until.ms_since(now);
            time_to_match.record(wait_ms.saturating_sub(left_ms) as f64 / 1_000.0);
        }
        self.core.board.put_match(id, view);
        for ticket in &*tickets {
            self.core.decided(ticket.id, Decision::Matched(id));
            self.core.ports.mirror.note(QueueChange::Gone(ticket.id));
            self.core
                .board
                .put_ticket(ticket.id, &ticket.user, Some(id));
        }
        let actor = SessionActor::of_match(Arc::clone(&self.core), matched, Some(permit));
        let actor = start(actor, SESSION_MAILBOX);
        self.core.roster.report(RosterFact::Matched {
            match_id: id,
            tickets,
            found,
            actor,
        });
    }
}

impl Actor for MatchmakerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.facts.wake(ctx);
        let now = self.core.now();
        let Restored { tickets, done } = std::mem::take(&mut self.restored);
        for ticket in tickets {
            let effects = self.bucket.admit(ticket, now);
            self.run(effects, None);
        }
        drop(done);
        self.settle(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        debug!(bucket = %self.key, "bucket {} has been empty for long and is gone", self.key);
    }
}

impl StreamHandler<Caused<BucketFact>> for MatchmakerActor {
    fn handle(&mut self, fact: Caused<BucketFact>, ctx: &mut Self::Context) {
        self.take_in(fact);
        self.catch_up();
        self.settle(ctx);
    }

    fn finished(&mut self, _ctx: &mut Self::Context) {}
}
