//! The commands and queries that the roster hands on.

use actix::{ActorContext, Handler};

use super::{Caller, MatchmakerActor};
use crate::messages::{
    AskAgain, ExplainTicket, Explained, JoinBucket, ListQueue, Retire, WithdrawTicket,
};
use domain::Timestamp;
use domain::bucket::BucketEffect;
use observability::Step;

impl MatchmakerActor {
    /// Carries out what follows from a command, as a step of its request.
    fn run_step(&mut self, step: Step, effects: Vec<BucketEffect>, deadline: Timestamp) {
        let _entered = step.enter();
        self.run(effects, Some(deadline));
    }
}

impl Handler<JoinBucket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, command: JoinBucket, ctx: &mut Self::Context) {
        self.view.mailbox().taken();
        self.catch_up();
        let step = command.ask.cause.step("matchmaker ask");
        let deadline = command.ask.deadline;
        let call = self.calls.add(Caller::Ask {
            ask: command.ask,
            opens: command.ticket.id,
        });
        let effects = self.bucket.join(command.ticket, call, self.core.now());
        self.run_step(step, effects, deadline);
        self.settle(ctx);
    }
}

impl Handler<AskAgain> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, command: AskAgain, ctx: &mut Self::Context) {
        self.view.mailbox().taken();
        self.catch_up();
        let step = command.ask.cause.step("matchmaker ask again");
        let deadline = command.ask.deadline;
        let call = self.calls.add(Caller::Ask {
            ask: command.ask,
            opens: command.again.id,
        });
        let effects = self
            .bucket
            .ask_again(command.held, command.again, call, self.core.now());
        self.run_step(step, effects, deadline);
        self.settle(ctx);
    }
}

impl Handler<WithdrawTicket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, command: WithdrawTicket, ctx: &mut Self::Context) {
        self.view.mailbox().taken();
        self.catch_up();
        let step = command.cause.step("matchmaker withdraw");
        let (ticket, deadline) = (command.ticket, command.deadline);
        let call = self.calls.add(Caller::Withdraw(command));
        let effects = self.bucket.withdraw(ticket, call, self.core.now());
        self.run_step(step, effects, deadline);
        self.settle(ctx);
    }
}

impl Handler<ExplainTicket> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, query: ExplainTicket, ctx: &mut Self::Context) {
        self.view.mailbox().taken();
        self.catch_up();
        let explained = self.bucket.standing(query.ticket);
        let explained = explained.map(|standing| Explained {
            standing,
            awaits_permit: self.awaits_permit,
        });
        let _ = query.reply.send(explained);
        // Facts may have been taken in, whoever asks.
        self.settle(ctx);
    }
}

impl Handler<ListQueue> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, query: ListQueue, ctx: &mut Self::Context) {
        self.view.mailbox().taken();
        self.catch_up();
        let page = self.bucket.list(query.after, query.limit);
        let _ = query.reply.send(Some(page));
        self.settle(ctx);
    }
}

impl Handler<Retire> for MatchmakerActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
