//! Handing commands on to buckets, matches and sessions, without ever waiting.

use std::sync::Arc;

use actix::dev::{SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, Message};
use metrics::counter;

use super::RosterActor;
use crate::Inbox;
use crate::board::{BucketView, Mailbox};
use crate::matchmaker::MatchmakerActor;
use crate::messages::{
    AnswerProposal, AskAgain, BucketFact, ExplainTicket, JoinBucket, LeaveSession, ListQueue,
    Retire, WithdrawTicket,
};
use crate::session::SessionActor;
use domain::{
    AskAnswer, Breach, BucketKey, Guarantee, Holder, LeaveAnswer, ProposalAnswer, Timestamp,
    WithdrawAnswer,
};
use observability::{REFUSALS, breached};

/// Where a bucket's actor is.
pub(super) struct BucketHandle {
    pub(super) actor: Addr<MatchmakerActor>,
    pub(super) inbox: Inbox<BucketFact>,
    pub(super) view: Arc<BucketView>,
    pub(super) empty_since: Option<Timestamp>,
}

impl BucketHandle {
    /// False where the bucket has no room; whoever asked has been told.
    pub(super) fn send<M>(&self, command: M) -> bool
    where
        MatchmakerActor: Handler<M>,
        <MatchmakerActor as Actor>::Context: ToEnvelope<MatchmakerActor, M>,
        M: Message + Refusable + Send + 'static,
        M::Result: Send,
    {
        try_command(&self.actor, self.view.mailbox(), command, "bucket")
    }
}

impl RosterActor {
    /// Hands a command on to whoever decides about a ticket of `bucket`.
    pub(super) fn send_to_holder<M>(&self, holder: Holder, bucket: &BucketKey, command: M)
    where
        MatchmakerActor: Handler<M>,
        SessionActor: Handler<M>,
        M: Message + Refusable + Send + 'static,
        M::Result: Send,
    {
        let unknown = match holder {
            Holder::Opening | Holder::Bucket => match self.buckets.get(bucket) {
                Some(bucket) => {
                    bucket.send(command);
                    return;
                }
                None => command,
            },
            Holder::Match(id) => match self.matches.get(&id) {
                Some(handle) => {
                    let mailbox = &self.core.board.mailboxes.sessions;
                    try_command(&handle.actor, mailbox, command, "session");
                    return;
                }
                None => command,
            },
        };
        breached(Breach {
            guarantee: Guarantee::OneLiveClaim,
            seen: "a claim names a bucket or match that has no actor",
        });
        unknown.refuse();
    }
}

/// A command whose caller can be told that there is no room for it.
pub(super) trait Refusable {
    fn refuse(self);
}

impl Refusable for JoinBucket {
    fn refuse(self) {
        let _ = self.ask.reply.send(AskAnswer::Busy);
    }
}

impl Refusable for AskAgain {
    fn refuse(self) {
        let _ = self.ask.reply.send(AskAnswer::Busy);
    }
}

impl Refusable for WithdrawTicket {
    fn refuse(self) {
        let _ = self.reply.send(Some(WithdrawAnswer::Busy));
    }
}

impl Refusable for AnswerProposal {
    fn refuse(self) {
        let _ = self.reply.send(Some(ProposalAnswer::Busy));
    }
}

impl Refusable for LeaveSession {
    fn refuse(self) {
        let _ = self.reply.send(Some(LeaveAnswer::Busy));
    }
}

// Of these, whoever asks hears nothing, which is no answer.
impl Refusable for ExplainTicket {
    fn refuse(self) {}
}

impl Refusable for ListQueue {
    fn refuse(self) {}
}

/// Hands a command over without waiting; false where there is no room, and whoever asked has been
/// told. The one sender of each actor is used by reference: a clone of it would have a place of its
/// own beyond the mailbox's bound.
pub(super) fn try_command<A, M>(
    actor: &Addr<A>,
    mailbox: &Mailbox,
    command: M,
    kind: &'static str,
) -> bool
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Refusable + Send + 'static,
    M::Result: Send,
{
    mailbox.sent();
    let Err(SendError::Full(command) | SendError::Closed(command)) = actor.try_send(command) else {
        return true;
    };
    mailbox.taken();
    counter!(REFUSALS, "actor" => kind).increment(1);
    command.refuse();
    false
}

/// Stops an actor whose address has been forgotten, after everything that it was sent before.
pub(super) fn retire<A>(actor: &Addr<A>)
where
    A: Actor + Handler<Retire>,
    A::Context: ToEnvelope<A, Retire>,
{
    let sent = actor.send(Retire);
    actix_rt::spawn(async move {
        // An actor that is gone already has stopped as well.
        let _ = sent.await;
    });
}
