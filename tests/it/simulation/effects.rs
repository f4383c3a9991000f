//! Carries the domain's effects out, in order, as the actors do.

use matchmaker::domain::bucket::BucketEffect;
use matchmaker::domain::matches::{Match, MatchEffect};
use matchmaker::domain::{
    AskAnswer, Breach, BucketKey, CallId, Holder, MatchId, Notice, Place, Proposal, Session,
    SessionEffect, SessionId, Side, Ticket, TicketId, TicketOutcome, UserId, Write,
};
use uuid::Uuid;

use super::witness::Answer;
use super::world::{Effect, Errand, Owner, Want, World};

impl World {
    pub(super) fn run_bucket(&mut self, key: &BucketKey, effects: Vec<BucketEffect>) {
        self.run(
            effects
                .into_iter()
                .map(|effect| Effect::Bucket(key.clone(), effect))
                .collect(),
        );
    }

    pub(super) fn run_match(&mut self, id: MatchId, effects: Vec<MatchEffect>) {
        self.run(
            effects
                .into_iter()
                .map(|effect| Effect::Match(id, effect))
                .collect(),
        );
    }

    pub(super) fn run_session(&mut self, id: SessionId, effects: Vec<SessionEffect>) {
        self.run(
            effects
                .into_iter()
                .map(|effect| Effect::Session(id, effect))
                .collect(),
        );
    }

    /// Carries effects out in order; what follows from one comes after those that stand already.
    fn run(&mut self, effects: Vec<Effect>) {
        let outermost = self.effects.is_empty();
        self.effects.extend(effects);
        while outermost && let Some(effect) = self.effects.front_mut() {
            // The effect under way stays in the list as a mark that somebody carries effects out.
            let mark = Effect::Session(SessionId(Uuid::nil()), SessionEffect::Over);
            match std::mem::replace(effect, mark) {
                Effect::Bucket(key, effect) => self.bucket_effect(key, effect),
                Effect::Match(id, effect) => self.match_effect(id, effect),
                Effect::Session(id, effect) => self.session_effect(id, effect),
            }
            self.effects.pop_front();
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
                    other => panic!("a bucket does not write {other:?}"),
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
            BucketEffect::Matched(new) => {
                let id = new.ids().id;
                for ticket in new.tickets() {
                    self.moved(&ticket.user, ticket.place(), Holder::Match(id));
                }
                for side in Side::BOTH {
                    self.tell(new.tickets()[side.index()].user.clone(), new.found(side));
                }
                self.start_match_moved(*new);
            }
            BucketEffect::AnswerAsk(call, answer) => self.answer_ask(call, answer),
            BucketEffect::AnswerWithdraw(call, answer) => {
                self.answer(call, Answer::Withdraw(answer));
            }
            BucketEffect::Reconsider(call) => self.route(call),
            BucketEffect::Breached(breach) => self.breached(breach),
        }
    }

    fn match_effect(&mut self, id: MatchId, effect: MatchEffect) {
        match effect {
            MatchEffect::Store(write) => self.store(Owner::Match(id), write),
            MatchEffect::FindQuestion => self.errands.push(Errand::Question(id)),
            MatchEffect::Share(record) => self.errands.push(Errand::Share(id, record)),
            MatchEffect::Unshare => {
                self.shared.remove(&self.db.matches[&id].proposal.session);
            }
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
                let users = session.record().users.clone();
                for (user, ticket) in users.iter().zip(session.tickets()) {
                    assert!(
                        self.roster.release(user, ticket),
                        "G1: a session without a claim"
                    );
                }
                self.matches.remove(&id);
                self.start_session(*session);
            }
            MatchEffect::Answer(call, answer) => self.answer(call, Answer::Proposal(answer)),
            MatchEffect::AnswerAsk(call, answer) => self.answer_ask(call, answer),
            MatchEffect::AnswerWithdraw(call, answer) => {
                self.answer(call, Answer::Withdraw(answer));
            }
            MatchEffect::Reconsider(call) => self.route(call),
            MatchEffect::Breached(breach) => self.breached(breach),
            MatchEffect::Over => {
                self.matches.remove(&id);
                let Proposal {
                    session, tickets, ..
                } = &self.db.matches[&id].proposal;
                let may_stay = self.db.sessions.contains_key(session)
                    || tickets.iter().any(|ticket| self.tampered.contains(ticket));
                let stays = self.shared.contains_key(session);
                assert!(may_stay || !stays, "a shared session is left behind");
                self.witness.check_over(id, &self.db, &self.tampered);
            }
        }
    }

    fn session_effect(&mut self, id: SessionId, effect: SessionEffect) {
        match effect {
            SessionEffect::Store(write) => self.store(Owner::Session(id), write),
            SessionEffect::ShareLeft(_) => self.errands.push(Errand::ShareLeft(id)),
            SessionEffect::Changed(record) => assert_eq!(record, self.db.sessions[&id].record),
            SessionEffect::Tell(user, notice) => self.tell(user, notice),
            SessionEffect::AnswerLeave(call, answer) => self.answer(call, Answer::Leave(answer)),
            SessionEffect::Breached(breach) => self.breached(breach),
            SessionEffect::Over => {
                self.sessions.remove(&id);
            }
        }
    }

    fn store(&mut self, owner: Owner, write: Write) {
        self.check_write(&owner, &write);
        self.errands
            .push(Errand::Write(owner, Box::new(write), None));
    }

    pub(super) fn start_match(&mut self, new: Match) {
        for ticket in new.tickets() {
            let holder = Holder::Match(new.ids().id);
            assert!(
                self.roster.claim_for(ticket, holder),
                "G1 at start: {ticket:?}"
            );
        }
        self.start_match_moved(new);
    }

    fn start_match_moved(&mut self, mut new: Match) {
        let id = new.ids().id;
        let effects = new.on_time(self.now);
        self.matches.insert(id, new);
        self.run_match(id, effects);
    }

    fn start_session(&mut self, mut new: Session) {
        let id = new.record().id;
        let effects = new.on_time(self.now);
        self.sessions.insert(id, new);
        self.run_session(id, effects);
    }

    pub(super) fn admit(&mut self, ticket: Ticket) {
        let (key, now) = (ticket.wish.bucket(), self.now);
        let effects = self.bucket(&key).admit(ticket, now);
        self.run_bucket(&key, effects);
    }

    fn replaced(&mut self, old: TicketId, new: Ticket) {
        assert!(
            self.roster.release(&new.user, old),
            "G1: a replaced ticket without a claim"
        );
        assert!(
            self.roster.claim_for(&new, Holder::Bucket),
            "G1: a second claim"
        );
        self.admit(new);
    }

    fn closed(&mut self, ticket: TicketId, user: UserId, outcome: TicketOutcome) {
        assert!(
            self.roster.release(&user, ticket),
            "G1: a ticket ended without a claim"
        );
        self.abandoned.remove(&ticket);
        if outcome == TicketOutcome::Expired {
            self.tell(user, Notice::TicketExpired { ticket });
        }
    }

    fn moved(&mut self, user: &UserId, place: Place, holder: Holder) {
        assert_eq!(self.roster.moved(user, place, holder), None);
    }

    fn tell(&mut self, user: UserId, notice: Notice) {
        self.witness.told(user, notice, &self.db, &self.shared);
    }

    fn answer_ask(&mut self, call: CallId, answer: AskAnswer) {
        let asked = self.calls[&call].clone();
        if let (true, AskAnswer::Ticket { ticket, .. }) = (asked.gone, &answer)
            && let Want::Ask {
                ticket: made,
                claimed: true,
                ..
            } = asked.want
            && made == ticket.id
        {
            self.abandoned.insert(made);
            let (key, now) = (ticket.wish.bucket(), self.now);
            let effects = self.bucket(&key).abandon(made, now);
            self.run_bucket(&key, effects);
        }
        self.answer(call, Answer::Ask(answer));
    }

    pub(super) fn answer(&mut self, call: CallId, answer: Answer) {
        let asked = self.calls.remove(&call).expect("a call is answered once");
        self.witness
            .answered(&asked, &answer, &self.db, &self.tampered);
    }

    fn breached(&self, breach: Breach) {
        assert!(!self.tampered.is_empty(), "{breach:?}");
    }
}
