//! The world of one run: everything that is in memory, stored and under way, and what users do.
//!
//! It plays the actors' part: routes between roster, buckets, matches and sessions, and carries
//! their effects out in order. What is outside (store, questions, shared sessions) answers when a
//! step says so, in any order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use matchmaker::domain::bucket::{Bucket, BucketEffect};
use matchmaker::domain::limits::Timeouts;
use matchmaker::domain::matches::{Match, MatchCommand, MatchEffect};
use matchmaker::domain::{
    BucketKey, CallId, Ending, Holder, MatchId, ProposalAnswer, Question, Roster, Session,
    SessionEffect, SessionId, SessionRecord, Ticket, TicketId, Timestamp, UserId, Wish,
    WithdrawAnswer, Write, WriteOutcome,
};
use uuid::Uuid;

use super::promises::Promises;
use super::referee::{Database, MatchState};
use super::witness::{Answer, Witness};

pub struct World {
    pub now: Timestamp,
    pub timeouts: Timeouts,
    pub db: Database,
    pub promises: Promises,
    pub witness: Witness,
    pub roster: Roster,
    pub buckets: BTreeMap<BucketKey, Bucket>,
    pub matches: BTreeMap<MatchId, Match>,
    pub sessions: BTreeMap<SessionId, Session>,
    /// The sessions that the collaboration service would read.
    pub shared: BTreeMap<SessionId, Question>,
    pub errands: Vec<Errand>,
    pub calls: BTreeMap<CallId, Call>,
    pub permits: usize,
    /// Tickets whose opening could not be told, and which must not be paired any more.
    pub abandoned: BTreeSet<TicketId>,
    /// Until when a bucket may hold back after a proposal that the store could not take.
    pub holds_back_until: BTreeMap<BucketKey, Timestamp>,
    /// What somebody else changed behind the server's back.
    pub tampered: BTreeSet<TicketId>,
    /// The write that has just failed: what time demands is not repeated without a wait.
    pub(super) just_failed: Option<(Owner, Write)>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) ids: u128,
}

/// Something under way outside.
#[derive(Debug, Clone)]
pub enum Errand {
    /// A write; with its outcome, if the store knows it and has only not said so yet.
    Write(Owner, Box<Write>, Option<WriteOutcome>),
    Question(MatchId),
    Share(MatchId, SessionRecord),
    ShareLeft(SessionId),
}

/// Who asked for a write. Each has one under way at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Ticket(BucketKey, TicketId),
    Proposal(BucketKey, MatchId),
    Match(MatchId),
    Session(SessionId),
}

pub(super) enum Effect {
    Bucket(BucketKey, BucketEffect),
    Match(MatchId, MatchEffect),
    Session(SessionId, SessionEffect),
}

/// A caller that waits for an answer.
#[derive(Debug, Clone)]
pub struct Call {
    pub user: UserId,
    pub want: Want,
    /// The caller hung up, or was answered 503.
    pub gone: bool,
}

#[derive(Debug, Clone)]
pub enum Want {
    /// A partner; with the ticket that was made for this call last, and whether it was claimed.
    Ask {
        wish: Wish,
        ticket: TicketId,
        claimed: bool,
    },
    Withdraw(TicketId),
    Confirm(MatchId),
    Decline(MatchId),
    Leave(SessionId),
}

/// How the outside answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Granted,
    Away,
    /// It was done, and the answer is still on its way.
    DoneUnsaid,
}

impl World {
    pub fn new(permits: usize) -> Self {
        Self {
            now: Timestamp::from_ms(1_000_000),
            timeouts: Timeouts::default(),
            db: Database::default(),
            promises: Promises::default(),
            witness: Witness::default(),
            roster: Roster::default(),
            buckets: BTreeMap::new(),
            matches: BTreeMap::new(),
            sessions: BTreeMap::new(),
            shared: BTreeMap::new(),
            errands: Vec::new(),
            calls: BTreeMap::new(),
            permits,
            abandoned: BTreeSet::new(),
            holds_back_until: BTreeMap::new(),
            tampered: BTreeSet::new(),
            just_failed: None,
            effects: VecDeque::new(),
            ids: 0,
        }
    }

    pub fn ask(&mut self, user: UserId, wish: Wish) {
        let want = Want::Ask {
            wish,
            ticket: TicketId(Uuid::nil()),
            claimed: false,
        };
        let call = self.call(user, want);
        self.route(call);
    }

    pub fn withdraw(&mut self, user: UserId, ticket: TicketId) {
        let call = self.call(user, Want::Withdraw(ticket));
        self.route(call);
    }

    pub fn confirm(&mut self, user: UserId, id: MatchId) {
        let call = self.call(user, Want::Confirm(id));
        self.route(call);
    }

    pub fn decline(&mut self, user: UserId, id: MatchId) {
        let call = self.call(user, Want::Decline(id));
        self.route(call);
    }

    pub fn leave(&mut self, user: UserId, id: SessionId) {
        let now = self.now;
        if let Some(session) = self.sessions.get_mut(&id) {
            self.ids += 1;
            let call = CallId(self.ids as u64);
            let effects = session.leave(user.clone(), call, None, now);
            self.calls.insert(
                call,
                Call {
                    user,
                    want: Want::Leave(id),
                    gone: false,
                },
            );
            self.run_session(id, effects);
        }
    }

    fn call(&mut self, user: UserId, want: Want) -> CallId {
        self.ids += 1;
        let call = CallId(self.ids as u64);
        self.calls.insert(
            call,
            Call {
                user,
                want,
                gone: false,
            },
        );
        call
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    /// Gives a call to whoever decides about it now.
    pub(super) fn route(&mut self, call: CallId) {
        let Call { user, want, gone } = self.calls[&call].clone();
        if gone {
            self.calls.remove(&call);
            return;
        }
        match want {
            Want::Ask { wish, .. } => self.route_ask(call, user, wish),
            Want::Withdraw(ticket) => self.route_withdraw(call, &user, ticket),
            Want::Confirm(id) => self.command(id, MatchCommand::Confirm(user, call), call),
            Want::Decline(id) => self.command(id, MatchCommand::Decline(user, call), call),
            Want::Leave(_) => unreachable!("sessions answer at once"),
        }
    }

    fn route_ask(&mut self, call: CallId, user: UserId, wish: Wish) {
        let (id, now) = (TicketId(self.uuid()), self.now);
        let ticket = Ticket::new(id, user.clone(), wish.clone(), now, self.timeouts);
        let claimed = self.roster.claim_for(&ticket, Holder::Opening);
        if let Some(known) = self.calls.get_mut(&call) {
            known.want = Want::Ask {
                wish,
                ticket: id,
                claimed,
            };
        }
        if claimed {
            let key = ticket.wish.bucket();
            let effects = self.bucket(&key).join(ticket, call, now);
            return self.run_bucket(&key, effects);
        }
        let claim = self
            .roster
            .claim(&user)
            .expect("a claim was in the way")
            .clone();
        match claim.holder {
            Holder::Opening | Holder::Bucket => {
                let held = claim.place.ticket;
                let effects = self
                    .bucket(&claim.bucket)
                    .ask_again(held, ticket, call, now);
                self.run_bucket(&claim.bucket, effects);
            }
            Holder::Match(id) => {
                self.command(id, MatchCommand::AskAgain(Box::new(ticket), call), call);
            }
        }
    }

    fn route_withdraw(&mut self, call: CallId, user: &UserId, ticket: TicketId) {
        let claim = self
            .roster
            .claim(user)
            .filter(|claim| claim.place.ticket == ticket)
            .cloned();
        match claim.map(|claim| (claim.holder, claim.bucket)) {
            Some((Holder::Match(id), _)) => self.command(id, MatchCommand::Withdraw(call), call),
            Some((Holder::Opening | Holder::Bucket, key)) => {
                let now = self.now;
                let effects = self.bucket(&key).withdraw(ticket, call, now);
                self.run_bucket(&key, effects);
            }
            None => self.answer(call, Answer::Withdraw(WithdrawAnswer::NotPending)),
        }
    }

    /// To the match, or to what the database says of it.
    fn command(&mut self, id: MatchId, command: MatchCommand, call: CallId) {
        let now = self.now;
        if let Some(known) = self.matches.get_mut(&id) {
            let effects = known.command(command, None, now);
            return self.run_match(id, effects);
        }
        let open = self.sessions.values().map(Session::record);
        if let Some(record) = open.into_iter().find(|record| record.match_id == id) {
            let answer = command.after_opening(record);
            return self.run_match(id, vec![answer]);
        }
        let user = &self.calls[&call].user;
        let declined = self
            .db
            .side(id, user)
            .map(|side| MatchState::Ended(Ending::Declined(side)));
        let state = self.db.matches.get(&id).map(|row| row.state);
        let answer = match command {
            MatchCommand::Decline(..) if state.is_some() && state == declined => {
                ProposalAnswer::Declined
            }
            _ => ProposalAnswer::NotFound,
        };
        self.answer(call, Answer::Proposal(answer));
    }

    /// A caller waits no longer.
    pub fn hang_up(&mut self, call: CallId) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.gone = true;
        }
    }
}
