//! The commands, events and queries of the edge.

use actix::{Handler, ResponseFuture};

use super::RosterActor;
use super::routing::try_command;
use crate::messages::{
    AnswerProposal, CloseSockets, CountTickets, ExplainTicket, LeaveSession, ListQueue, OpenTicket,
    PartnerLeft, SocketClosed, SocketConnected, WithdrawTicket,
};
use domain::{Holder, Notice};

impl Handler<OpenTicket> for RosterActor {
    type Result = ();

    fn handle(&mut self, command: OpenTicket, ctx: &mut Self::Context) {
        self.core.board.mailboxes.roster.taken();
        self.catch_up();
        self.route_ask(command);
        self.step(ctx);
    }
}

impl Handler<WithdrawTicket> for RosterActor {
    type Result = ();

    fn handle(&mut self, command: WithdrawTicket, ctx: &mut Self::Context) {
        self.core.board.mailboxes.roster.taken();
        self.catch_up();
        self.route_withdraw(command);
        self.step(ctx);
    }
}

impl Handler<AnswerProposal> for RosterActor {
    type Result = ();

    fn handle(&mut self, command: AnswerProposal, ctx: &mut Self::Context) {
        self.core.board.mailboxes.roster.taken();
        self.catch_up();
        {
            let step = command.cause.step("roster answer");
            let _entered = step.enter();
            match self.matches.get(&command.match_id) {
                Some(handle) => {
                    let mailbox = &self.core.board.mailboxes.sessions;
                    try_command(&handle.actor, mailbox, command, "session");
                }
                None => {
                    let _ = command.reply.send(None);
                }
            }
        }
        self.step(ctx);
    }
}

impl Handler<LeaveSession> for RosterActor {
    type Result = ();

    fn handle(&mut self, command: LeaveSession, ctx: &mut Self::Context) {
        self.core.board.mailboxes.roster.taken();
        self.catch_up();
        let handle = self
            .sessions
            .get(&command.session)
            .and_then(|id| self.matches.get(id));
        {
            let step = command.cause.step("roster leave");
            let _entered = step.enter();
            match handle {
                Some(handle) => {
                    let mailbox = &self.core.board.mailboxes.sessions;
                    try_command(&handle.actor, mailbox, command, "session");
                }
                None => {
                    let _ = command.reply.send(None);
                }
            }
        }
        self.step(ctx);
    }
}

impl Handler<ExplainTicket> for RosterActor {
    type Result = ();

    fn handle(&mut self, query: ExplainTicket, ctx: &mut Self::Context) {
        self.core.board.mailboxes.roster.taken();
        self.catch_up();
        match self.buckets.get(&query.bucket) {
            Some(bucket) => {
                bucket.send(query);
            }
            None => {
                let _ = query.reply.send(None);
            }
        }
        self.step(ctx);
    }
}

impl Handler<ListQueue> for RosterActor {
    type Result = ();

    fn handle(&mut self, query: ListQueue, ctx: &mut Self::Context) {
        self.core.board.mailboxes.roster.taken();
        self.catch_up();
        match self.buckets.get(&query.bucket) {
            Some(bucket) => {
                bucket.send(query);
            }
            None => {
                let _ = query.reply.send(None);
            }
        }
        self.step(ctx);
    }
}

impl Handler<SocketConnected> for RosterActor {
    type Result = ();

    fn handle(&mut self, event: SocketConnected, ctx: &mut Self::Context) {
        self.catch_up();
        let waiting = match self.roster.claim(&event.user).map(|claim| claim.holder) {
            Some(Holder::Match(id)) => self
                .matches
                .get(&id)
                .and_then(|of| of.found_by(&event.user)),
            Some(Holder::Opening | Holder::Bucket) | None => None,
        };
        let (user, socket) = (event.user, event.socket);
        self.sockets
            .add(user.clone(), socket, event.recipient, event.too_slow);
        if let Some(found) = waiting {
            self.sockets.tell_one(&user, socket, found);
        }
        self.step(ctx);
    }
}

impl Handler<SocketClosed> for RosterActor {
    type Result = ();

    fn handle(&mut self, event: SocketClosed, ctx: &mut Self::Context) {
        self.sockets.remove(&event.user, event.socket);
        self.step(ctx);
    }
}

impl Handler<PartnerLeft> for RosterActor {
    type Result = ();

    fn handle(&mut self, event: PartnerLeft, ctx: &mut Self::Context) {
        self.catch_up();
        let left = Notice::PartnerLeft {
            session: event.session,
            user: event.user,
        };
        self.sockets.tell(&event.partner, left);
        self.step(ctx);
    }
}

impl Handler<CloseSockets> for RosterActor {
    type Result = ();

    fn handle(&mut self, _: CloseSockets, _ctx: &mut Self::Context) {
        self.catch_up();
        self.sockets.close_all();
    }
}

impl Handler<CountTickets> for RosterActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: CountTickets, _ctx: &mut Self::Context) -> Self::Result {
        self.catch_up();
        let (tickets, restoring) = (self.roster.len(), self.restoring.take());
        Box::pin(async move {
            if let Some(mut restoring) = restoring {
                // Ends when the last bucket has dropped its end.
                let _ = restoring.recv().await;
            }
            tickets
        })
    }
}
