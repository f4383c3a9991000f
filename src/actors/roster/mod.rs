//! The actor that knows who holds which ticket, and where buckets, matches, sessions and sockets are.

mod buckets;
mod handlers;
mod restore;
mod routing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, StreamHandler};
use metrics::counter;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use uuid::{ContextV7, Uuid};

use self::routing::{BucketHandle, retire};
use super::board::Board;
use super::inbox::{Caused, Facts, Inbox};
use super::matchmaker::Restored;
use super::messages::{AskAgain, BucketFact, JoinBucket, OpenTicket, RosterFact, WithdrawTicket};
use super::pace::{Pace, give_way};
use super::session::SessionActor;
use super::sockets::Sockets;
use super::{Core, CoreSettings, ROSTER_MAILBOX};
use domain::{
    AskAnswer, Breach, BucketKey, Guarantee, Holder, MatchId, Notice, Roster, SessionId, Ticket,
    TicketId, TicketOutcome, Timestamp, UserId,
};
use observability::{REFUSALS, TICKETS_CLOSED, TICKETS_PUT_BACK, breached};
use ports::{LiveState, Ports};

/// How long a bucket stays empty before its actor is stopped.
const BUCKET_IDLE_MS: u64 = 60_000;
/// How often empty buckets are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

/// What may be reported of one ticket before the roster looks: it was opened, matched, put back,
/// closed, and its user is to be told of each.
const FACTS_PER_TICKET_MAX: usize = 8;

/// Owns the [`Roster`] and the addresses of everybody else.
pub struct RosterActor {
    core: Arc<Core>,
    roster: Roster,
    facts: Facts<RosterFact>,
    restored: LiveState,
    /// Ends when every bucket that waited before a restart has its tickets back.
    restoring: Option<mpsc::Receiver<()>>,
    buckets: BTreeMap<BucketKey, BucketHandle>,
    /// Buckets that became empty, with the time at which they did.
    emptied: VecDeque<(Timestamp, BucketKey)>,
    matches: HashMap<MatchId, MatchHandle>,
    sessions: HashMap<SessionId, MatchId>,
    sockets: Sockets,
    ticket_ids: ContextV7,
    pace: Pace,
}

/// A match, or the session that it became.
struct MatchHandle {
    actor: Addr<SessionActor>,
    /// Its users and what they were told, while it is unconfirmed.
    found: Option<Box<[(UserId, TicketId, Notice); 2]>>,
}

impl RosterActor {
    /// The roster of a server that begins with what was stored.
    pub fn new(
        ports: Ports,
        board: Arc<Board>,
        settings: CoreSettings,
        io: Handle,
        restored: LiveState,
    ) -> Self {
        let (inbox, facts) = Inbox::new();
        Self {
            core: Core::new(ports, board, settings, io, inbox),
            roster: Roster::default(),
            facts,
            restored,
            restoring: None,
            buckets: BTreeMap::new(),
            emptied: VecDeque::new(),
            matches: HashMap::new(),
            sessions: HashMap::new(),
            sockets: Sockets::default(),
            ticket_ids: ContextV7::new(),
            pace: Pace::default(),
        }
    }

    /// Takes all facts that have come: a command must not overtake them.
    fn catch_up(&mut self) {
        while let Some(fact) = self.facts.take() {
            self.take_in(fact);
        }
    }

    fn take_in(&mut self, fact: Caused<RosterFact>) {
        let (fact, _entered) = fact.enter();
        self.pace.count();
        match fact {
            RosterFact::Opened(ticket) => self.moved(&ticket, Holder::Bucket),
            RosterFact::PutBack(ticket) => {
                counter!(TICKETS_PUT_BACK).increment(1);
                self.moved(&ticket, Holder::Bucket);
                self.admit(ticket);
            }
            RosterFact::Replaced { old, new } => {
                self.closed(&new.user, old, TicketOutcome::Replaced);
                self.claim(&new, Holder::Bucket);
                self.admit(new);
            }
            RosterFact::Closed {
                ticket,
                user,
                outcome,
            } => self.closed(&user, ticket, outcome),
            RosterFact::Abandoned(ticket) => {
                if let Some(bucket) = self.buckets.get(&ticket.wish.bucket()) {
                    bucket.inbox.report(BucketFact::Abandoned(ticket.id));
                }
            }
            RosterFact::Matched {
                match_id,
                tickets,
                found,
                actor,
            } => {
                self.matched(match_id, *tickets, *found, actor, true);
            }
            RosterFact::SessionOpened { match_id, session } => {
                self.session_opened(match_id, session);
            }
            RosterFact::MatchOver(match_id) => self.retire_match(match_id),
            RosterFact::SessionOver(match_id, session) => {
                self.sessions.remove(&session);
                self.retire_match(match_id);
            }
            RosterFact::Tell(user, notice) => self.sockets.tell(&user, notice),
            RosterFact::AskMoved(ask) => self.route_ask(ask),
            RosterFact::WithdrawMoved(withdraw) => self.route_withdraw(withdraw),
        }
    }

    fn retire_match(&mut self, match_id: MatchId) {
        if let Some(handle) = self.matches.remove(&match_id) {
            retire(&handle.actor);
        }
    }

    /// Takes over a claim that is stored.
    fn claim(&mut self, ticket: &Ticket, holder: Holder) {
        if !self.roster.claim_for(ticket, holder) {
            breached(Breach {
                guarantee: Guarantee::OneLiveClaim,
                seen: "a user had two live tickets",
            });
        }
    }

    fn moved(&mut self, ticket: &Ticket, holder: Holder) {
        if let Some(breach) = self.roster.moved(&ticket.user, ticket.place(), holder) {
            breached(breach);
        }
    }

    fn closed(&mut self, user: &UserId, ticket: TicketId, outcome: TicketOutcome) {
        let bucket = self.roster.claim(user).map(|claim| claim.bucket.clone());
        if !self.roster.release(user, ticket) {
            return;
        }
        let outcome = match outcome {
            TicketOutcome::Withdrawn => "withdrawn",
            TicketOutcome::Declined => "declined",
            TicketOutcome::Replaced => "replaced",
            TicketOutcome::Expired => "expired",
            TicketOutcome::Refused => "refused",
            TicketOutcome::InSession => "in_session",
        };
        counter!(TICKETS_CLOSED, "outcome" => outcome).increment(1);
        if let Some(key) = bucket
            && self.roster.claims_in(&key) == 0
            && let Some(handle) = self.buckets.get_mut(&key)
        {
            let now = self.core.now();
            handle.empty_since = Some(now);
            self.emptied.push_back((now, key));
        }
    }

    fn matched(
        &mut self,
        match_id: MatchId,
        tickets: [Ticket; 2],
        found: [Notice; 2],
        actor: Addr<SessionActor>,
        tell: bool,
    ) {
        let [first, second] = tickets;
        let [first_found, second_found] = found;
        self.moved(&first, Holder::Match(match_id));
        self.moved(&second, Holder::Match(match_id));
        if tell {
            self.sockets.tell(&first.user, first_found.clone());
            self.sockets.tell(&second.user, second_found.clone());
        }
        let found = [
            (first.user, first.id, first_found),
            (second.user, second.id, second_found),
        ];
        self.matches.insert(
            match_id,
            MatchHandle {
                actor,
                found: Some(Box::new(found)),
            },
        );
    }

    fn session_opened(&mut self, match_id: MatchId, session: SessionId) {
        self.sessions.insert(session, match_id);
        let Some(handle) = self.matches.get_mut(&match_id) else {
            return;
        };
        for (user, ticket, _) in handle.found.take().into_iter().flat_map(|found| *found) {
            self.closed(&user, ticket, TicketOutcome::InSession);
        }
    }

    fn admit(&mut self, ticket: Box<Ticket>) {
        let handle = self.bucket(&ticket.wish.bucket(), Restored::default());
        handle.empty_since = None;
        handle.inbox.report(BucketFact::Admitted(ticket));
    }

    fn new_ticket(&self, ask: &OpenTicket) -> Ticket {
        let now = self.core.now();
        let ms = now.as_ms().unsigned_abs();
        let nanos = (ms % 1_000) as u32 * 1_000_000;
        let time = uuid::Timestamp::from_unix(&self.ticket_ids, ms / 1_000, nanos);
        let id = TicketId(Uuid::new_v7(time));
        Ticket::new(
            id,
            ask.user.clone(),
            ask.wish.clone(),
            now,
            self.core.settings.timeouts,
        )
    }

    /// A user without a claim gets one; whoever decides about their ticket decides about any other.
    fn route_ask(&mut self, ask: OpenTicket) {
        if ask.reply.is_closed() {
            return;
        }
        let step = ask.cause.step("roster ask");
        let _entered = step.enter();
        let again = self.new_ticket(&ask);
        let Some(claim) = self.roster.claim(&ask.user) else {
            return self.open(again, ask);
        };
        let (held, holder, bucket) = (claim.place.ticket, claim.holder, claim.bucket.clone());
        let other = again.wish.bucket();
        // Also where it is not stored yet: whether it is a duplicate of anything shows then.
        if bucket != other && !self.has_bucket_for(&other) {
            counter!(REFUSALS, "actor" => "roster").increment(1);
            let _ = ask.reply.send(AskAnswer::Busy);
        } else {
            self.send_to_holder(holder, &bucket, AskAgain { held, again, ask });
        }
    }

    fn open(&mut self, ticket: Ticket, ask: OpenTicket) {
        let key = ticket.wish.bucket();
        if !self.has_room_for(&key) {
            counter!(REFUSALS, "actor" => "roster").increment(1);
            let _ = ask.reply.send(AskAnswer::Busy);
            return;
        }
        self.roster.claim_for(&ticket, Holder::Opening);
        let (user, id) = (ticket.user.clone(), ticket.id);
        let bucket = self.bucket(&key, Restored::default());
        bucket.empty_since = None;
        if !bucket.send(JoinBucket { ticket, ask }) {
            self.closed(&user, id, TicketOutcome::Refused);
        }
    }

    fn route_withdraw(&self, withdraw: WithdrawTicket) {
        let step = withdraw.cause.step("roster withdraw");
        let _entered = step.enter();
        let claim = self.roster.claim(&withdraw.user);
        let Some(claim) = claim.filter(|claim| claim.place.ticket == withdraw.ticket) else {
            let _ = withdraw.reply.send(None);
            return;
        };
        self.send_to_holder(claim.holder, &claim.bucket, withdraw);
    }

    fn step(&mut self, ctx: &mut Context<Self>) {
        self.pace.count();
        if self.pace.is_due() {
            let facts_max = FACTS_PER_TICKET_MAX * (self.core.settings.tickets_max + 1);
            self.facts
                .overfull(facts_max)
                .into_iter()
                .for_each(breached);
            give_way(self, ctx);
        }
    }
}

impl Actor for RosterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(ROSTER_MAILBOX);
        self.facts.wake(ctx);
        self.restore();
        ctx.run_interval(SWEEP_EVERY, |actor, _| actor.retire_buckets(BUCKET_IDLE_MS));
    }
}

impl StreamHandler<Caused<RosterFact>> for RosterActor {
    fn handle(&mut self, fact: Caused<RosterFact>, ctx: &mut Self::Context) {
        self.take_in(fact);
        // What was reported together is taken together: a ticket that is to wait and was abandoned in
        // the same breath must not be paired between the two.
        self.catch_up();
        self.step(ctx);
    }

    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl MatchHandle {
    fn found_by(&self, user: &UserId) -> Option<Notice> {
        let found = self.found.as_ref()?;
        found
            .iter()
            .find(|(of, ..)| of == user)
            .map(|(.., notice)| notice.clone())
    }
}
