//! One server's turn: it takes in what came and carries the domain's effects out, as the actors do.

use std::collections::{BTreeSet, VecDeque};

use matchmaker::domain::bucket::{Bucket, BucketEffect, MatchIds};
use matchmaker::domain::matches::{Match, MatchCommand, MatchEffect};
use matchmaker::domain::{
    Breach, BucketKey, CallId, Guarantee, Holder, MatchId, Place, Session, SessionEffect,
    SessionId, Side, Ticket, TicketId, TicketOutcome, Timestamp, UserId, Write, WriteOutcome,
};

use super::sealed::Sealed;
use super::setup::{Setup, TIMEOUTS, event_of, session_of, user, wish};
use super::state::{Call, Errand, Memory, Owner, Server, State, Want};
use super::witness::Answer;

enum Effect {
    Bucket(BucketKey, BucketEffect),
    Match(MatchId, MatchEffect),
    Session(SessionId, SessionEffect),
}

pub struct Turn<'a> {
    pub setup: &'a Setup,
    pub state: &'a mut State,
    pub server: usize,
    pub memory: Box<Memory>,
    pub now: Timestamp,
    effects: VecDeque<Effect>,
    /// Buckets in which something happened, which pair at the end of the turn.
    touched: BTreeSet<BucketKey>,
}

impl<'a> Turn<'a> {
    /// Takes over the memory of a server that is up.
    pub fn begin(setup: &'a Setup, state: &'a mut State, server: usize) -> Option<Self> {
        let taken = std::mem::replace(&mut state.servers[server], Sealed::new(Server::Down));
        match taken.into_inner() {
            Server::Up(memory) => Some(Self::with(setup, state, server, memory)),
            other => {
                state.servers[server] = Sealed::new(other);
                None
            }
        }
    }

    pub fn with(
        setup: &'a Setup,
        state: &'a mut State,
        server: usize,
        memory: Box<Memory>,
    ) -> Self {
        let now = state.now();
        Self {
            setup,
            state,
            server,
            memory,
            now,
            effects: VecDeque::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Everything that follows is done: effects in order, then pairs where something happened.
    pub fn end(mut self) {
        loop {
            while let Some(effect) = self.effects.pop_front() {
                match effect {
                    Effect::Bucket(key, effect) => self.bucket_effect(key, effect),
                    Effect::Match(id, effect) => self.match_effect(id, effect),
                    Effect::Session(id, effect) => self.session_effect(id, effect),
                }
            }
            let Some(key) = self.touched.pop_first() else {
                break;
            };
            self.pair(&key);
        }
        self.state.servers[self.server] = Sealed::new(Server::Up(self.memory));
    }

    fn pair(&mut self, key: &BucketKey) {
        let now = self.now;
        self.in_bucket(key, |bucket| bucket.on_time(now));
        self.touched.remove(key);
        if !self.effects.is_empty() {
            self.touched.insert(key.clone());
            return;
        }
        if self.memory.buckets[key].next_pair().is_some() {
            let id = self.state.fresh_match(self.server, &self.memory);
            let ids = self.ids(id);
            self.in_bucket(key, |bucket| bucket.propose_next(ids, now));
        }
    }

    pub fn ids(&self, id: MatchId) -> MatchIds {
        MatchIds {
            id,
            session: session_of(id),
            event: event_of(id, self.server, self.memory.life),
        }
    }

    pub fn in_bucket(
        &mut self,
        key: &BucketKey,
        act: impl FnOnce(&mut Bucket) -> Vec<BucketEffect>,
    ) {
        let bucket = self
            .memory
            .buckets
            .get_mut(key)
            .expect("every bucket is there");
        let effects = act(bucket).into_iter();
        let effects = effects.map(|effect| Effect::Bucket(key.clone(), effect));
        self.effects.extend(effects);
        self.touched.insert(key.clone());
    }

    pub fn in_match(&mut self, id: MatchId, act: impl FnOnce(&mut Match) -> Vec<MatchEffect>) {
        if let Some(known) = self.memory.matches.get_mut(&id) {
            let effects = act(known).into_iter();
            self.effects
                .extend(effects.map(|effect| Effect::Match(id, effect)));
        }
    }

    pub fn in_session(
        &mut self,
        id: SessionId,
        act: impl FnOnce(&mut Session) -> Vec<SessionEffect>,
    ) {
        if let Some(known) = self.memory.sessions.get_mut(&id) {
            let effects = act(known).into_iter();
            self.effects
                .extend(effects.map(|effect| Effect::Session(id, effect)));
        }
    }

    /// Somebody wants something of this server.
    pub fn call(&mut self, user: usize, want: Want) {
        let call = want.call(user);
        self.memory.calls.insert(call, Call { user, want });
        self.route(call);
    }

    fn route(&mut self, call: CallId) {
        let (who, now) = (&self.memory.calls[&call], self.now);
        let (number, want) = (who.user, who.want);
        let caller = user(number);
        match want {
            Want::Ask { bucket, .. } => self.route_ask(call, number, bucket),
            Want::Withdraw(ticket) => match self.memory.roster.claim(&caller).cloned() {
                Some(claim) if claim.place.ticket == ticket => match claim.holder {
                    Holder::Match(id) => self.command(id, call, MatchCommand::Withdraw(call)),
                    Holder::Opening | Holder::Bucket => {
                        self.in_bucket(&claim.bucket, |bucket| bucket.withdraw(ticket, call, now));
                    }
                },
                // Answered from the rows.
                _ => drop(self.memory.calls.remove(&call)),
            },
            Want::Confirm(id) => self.command(id, call, MatchCommand::Confirm(caller, call)),
            Want::Decline(id) => self.command(id, call, MatchCommand::Decline(caller, call)),
            Want::Leave(id) => {
                self.in_session(id, |session| session.leave(caller, call, None, now));
            }
        }
    }

    fn route_ask(&mut self, call: CallId, number: usize, bucket: usize) {
        let now = self.now;
        let id = self.state.fresh_ticket(number, &self.memory);
        let ticket = Ticket::new(id, user(number), wish(bucket), now, TIMEOUTS);
        if self.memory.roster.claim_for(&ticket, Holder::Opening) {
            let key = ticket.wish.bucket();
            return self.in_bucket(&key, |bucket| bucket.join(ticket, call, now));
        }
        let claim = self.memory.roster.claim(&ticket.user).cloned();
        let claim = claim.expect("a claim was in the way");
        match claim.holder {
            Holder::Opening | Holder::Bucket => {
                let held = claim.place.ticket;
                self.in_bucket(&claim.bucket, |bucket| {
                    bucket.ask_again(held, ticket, call, now)
                });
            }
            Holder::Match(id) => {
                self.command(id, call, MatchCommand::AskAgain(Box::new(ticket), call));
            }
        }
    }

    /// To the match, or to the session that it became; the rows answer for what is over.
    fn command(&mut self, id: MatchId, call: CallId, command: MatchCommand) {
        let now = self.now;
        let mut open = self.memory.sessions.values().map(Session::record);
        if self.memory.matches.contains_key(&id) {
            self.in_match(id, |known| known.command(command, None, now));
        } else if let Some(record) = open.find(|record| record.match_id == id) {
            let effect = command.after_opening(record);
            self.effects.push_back(Effect::Match(id, effect));
        } else {
            self.memory.calls.remove(&call);
        }
    }

    /// The store has answered.
    pub fn written(&mut self, owner: Owner, outcome: WriteOutcome) {
        let now = self.now;
        match owner {
            Owner::Ticket(key, ticket) => {
                self.in_bucket(&key, |bucket| {
                    bucket.on_ticket_written(ticket, outcome, now)
                });
            }
            Owner::Proposal(key, id) => {
                self.in_bucket(&key, |bucket| bucket.on_proposal_written(id, &outcome, now));
            }
            Owner::Match(id) => self.in_match(id, |known| known.on_written(&outcome, now)),
            Owner::Session(id) => self.in_session(id, |known| known.on_written(&outcome, now)),
        }
    }

    /// Every timer that is due goes off.
    pub fn on_time(&mut self) {
        let now = self.now;
        for key in self.memory.buckets.keys().cloned().collect::<Vec<_>>() {
            self.in_bucket(&key, |bucket| bucket.on_time(now));
        }
        for id in self.memory.matches.keys().copied().collect::<Vec<_>>() {
            self.in_match(id, |known| known.on_time(now));
        }
    }

    fn bucket_effect(&mut self, key: BucketKey, effect: BucketEffect) {
        match effect {
            BucketEffect::Store(write) => {
                let owner = match &write {
                    Write::OpenTicket(ticket) => Owner::Ticket(key, ticket.id),
                    Write::CloseTicket { ticket, .. }
                    | Write::CountAsk { ticket, .. }
                    | Write::ReplaceTicket { old: ticket, .. } => Owner::Ticket(key, *ticket),
                    Write::ProposeMatch(proposal) => Owner::Proposal(key, proposal.id),
                    other => unreachable!("a bucket does not write {other:?}"),
                };
                self.store(owner, write);
            }
            BucketEffect::Opened(ticket) => {
                self.moved(&ticket.user, ticket.place(), Holder::Bucket);
            }
            BucketEffect::Replaced { old, new } => self.replaced(old, new),
            BucketEffect::Closed {
                ticket,
                user,
                outcome,
            } => self.closed(ticket, user, outcome),
            BucketEffect::Matched(new) => self.matched(*new),
            BucketEffect::AnswerAsk(call, answer) => self.answer(call, Answer::Ask(answer)),
            BucketEffect::AnswerWithdraw(call, answer) => {
                self.answer(call, Answer::Withdraw(answer));
            }
            BucketEffect::Reconsider(call) => self.reconsider(call),
            BucketEffect::Breached(breach) => self.breached(breach),
        }
    }

    fn match_effect(&mut self, id: MatchId, effect: MatchEffect) {
        match effect {
            MatchEffect::Store(write) => self.store(Owner::Match(id), write),
            MatchEffect::FindQuestion => self.find_question(id),
            MatchEffect::Share(record) => self.share(id, record),
            // At once: the match is over, and nobody else has the id of its session.
            MatchEffect::Unshare => drop(self.state.shared.remove(&session_of(id))),
            MatchEffect::Tell(user, notice) => self.tell(user, notice),
            MatchEffect::PutBack(ticket) => {
                self.moved(&ticket.user, ticket.place(), Holder::Bucket);
                self.admit(ticket);
            }
            MatchEffect::Replaced { old, new } => self.replaced(old, new),
            MatchEffect::Closed {
                ticket,
                user,
                outcome,
            } => self.closed(ticket, user, outcome),
            MatchEffect::Opened(session) => {
                self.memory.matches.remove(&id);
                for (user, ticket) in session.record().users.iter().zip(session.tickets()) {
                    self.memory.roster.release(user, ticket);
                }
                self.memory.sessions.insert(session.record().id, *session);
            }
            MatchEffect::Answer(call, answer) => self.answer(call, Answer::Proposal(answer)),
            MatchEffect::AnswerAsk(call, answer) => self.answer(call, Answer::Ask(answer)),
            MatchEffect::AnswerWithdraw(call, answer) => {
                self.answer(call, Answer::Withdraw(answer));
            }
            MatchEffect::Reconsider(call) => self.reconsider(call),
            MatchEffect::Breached(breach) => self.breached(breach),
            MatchEffect::Over => drop(self.memory.matches.remove(&id)),
        }
    }

    fn session_effect(&mut self, id: SessionId, effect: SessionEffect) {
        match effect {
            SessionEffect::Store(write) => self.store(Owner::Session(id), write),
            SessionEffect::ShareLeft(_) => {
                let now = self.now;
                self.in_session(id, |known| known.on_shared(now));
            }
            SessionEffect::Changed(_) => {}
            SessionEffect::Tell(user, notice) => self.tell(user, notice),
            SessionEffect::AnswerLeave(call, answer) => self.answer(call, Answer::Leave(answer)),
            SessionEffect::Breached(breach) => self.breached(breach),
            SessionEffect::Over => drop(self.memory.sessions.remove(&id)),
        }
    }

    fn store(&mut self, owner: Owner, write: Write) {
        let answer = None;
        let other = self.memory.errands.insert(owner, Errand { write, answer });
        let seen = "two writes of one owner were under way at once";
        self.expect(other.is_none(), Guarantee::OneOutcome, seen);
    }

    fn matched(&mut self, new: Match) {
        let (id, now) = (new.ids().id, self.now);
        for ticket in new.tickets() {
            self.moved(&ticket.user, ticket.place(), Holder::Match(id));
        }
        for side in Side::BOTH {
            self.tell(new.tickets()[side.index()].user.clone(), new.found(side));
        }
        self.memory.matches.insert(id, new);
        self.in_match(id, |known| known.on_time(now));
    }

    pub fn admit(&mut self, ticket: Ticket) {
        let now = self.now;
        self.in_bucket(&ticket.wish.bucket(), |bucket| bucket.admit(ticket, now));
    }

    fn replaced(&mut self, old: TicketId, new: Ticket) {
        self.memory.roster.release(&new.user, old);
        self.claim(&new, Holder::Bucket);
        self.admit(new);
    }

    fn reconsider(&mut self, call: CallId) {
        if self.memory.calls.contains_key(&call) {
            self.route(call);
        }
    }

    fn moved(&mut self, user: &UserId, place: Place, holder: Holder) {
        let breach = self.memory.roster.moved(user, place, holder);
        breach.into_iter().for_each(|breach| self.breached(breach));
    }

    fn breached(&mut self, breach: Breach) {
        // With two servers, memory may be behind the rows: that is what the conditions are for.
        if self.setup.servers == 1 {
            self.state.broken(true, breach.guarantee, breach.seen);
        }
    }

    fn closed(&mut self, ticket: TicketId, user: UserId, outcome: TicketOutcome) {
        self.memory.roster.release(&user, ticket);
        self.told_closed(user, ticket, outcome);
    }
}
