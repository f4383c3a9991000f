//! One state of the world: the rows, what each server has in memory and under way, and what may
//! still happen.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use matchmaker::domain::bucket::Bucket;
use matchmaker::domain::limits::RETRY_MAX_MS;
use matchmaker::domain::matches::Match;
use matchmaker::domain::{
    BucketKey, CallId, EventId, MatchId, Roster, Session, SessionId, SessionRecord, TicketId,
    Timestamp, Write, WriteOutcome,
};

use super::sealed::Sealed;
use super::setup::{Deed, Setup, at_step, match_id, ticket_id, user, wish};
use crate::simulation::referee::Database;

#[derive(Debug, Clone, PartialEq, Hash)]
pub struct State {
    pub db: Sealed<Database>,
    /// The sessions that the collaboration service would read, each with its question.
    pub shared: BTreeMap<SessionId, i64>,
    /// What has reached the broker, once or more.
    pub published: BTreeSet<EventId>,
    pub servers: Vec<Sealed<Server>>,
    pub people: Vec<Person>,
    pub step: u8,
    pub crashes: u8,
    pub lost: u8,
    pub away: u8,
    pub removals: u8,
}

/// What one user may still do.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct Person {
    pub asks: u8,
    pub acts: u8,
}

#[derive(Debug, Clone, Hash)]
pub enum Server {
    Down,
    /// It has read what was live, and stores later ends of windows before it begins.
    Starting {
        read: Box<Database>,
        extending: BTreeMap<MatchId, Errand>,
    },
    Up(Box<Memory>),
}

/// A write under way.
#[derive(Debug, Clone, Hash)]
pub struct Errand {
    pub write: Write,
    /// What the store has answered, while that is on its way.
    pub answer: Option<WriteOutcome>,
}

/// Who asked for a write. Each has one under way at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    Ticket(BucketKey, TicketId),
    Proposal(BucketKey, MatchId),
    Match(MatchId),
    Session(SessionId),
}

/// A caller that waits for an answer.
#[derive(Debug, Clone, Hash)]
pub struct Call {
    pub user: usize,
    pub want: Want,
}

#[derive(Debug, Clone, Copy, Hash)]
pub enum Want {
    /// Perhaps while the answer to another one is awaited.
    Ask {
        bucket: usize,
        again: bool,
    },
    Withdraw(TicketId),
    Confirm(MatchId),
    Decline(MatchId),
    Leave(SessionId),
}

impl Want {
    /// Names the call: a user has one of each kind at a server, and two that ask.
    pub fn call(&self, user: usize) -> CallId {
        let kind = match self {
            Self::Ask { again: false, .. } => 0,
            Self::Ask { again: true, .. } => 5,
            Self::Withdraw(_) => 1,
            Self::Confirm(_) => 2,
            Self::Decline(_) => 3,
            Self::Leave(_) => 4,
        };
        CallId(user as u64 * 8 + kind)
    }

    pub fn deed(&self) -> Option<Deed> {
        match self {
            Self::Ask { .. } => None,
            Self::Withdraw(_) => Some(Deed::Withdraw),
            Self::Confirm(_) => Some(Deed::Confirm),
            Self::Decline(_) => Some(Deed::Decline),
            Self::Leave(_) => Some(Deed::Leave),
        }
    }
}

/// What a server has in memory; lost when it dies.
#[derive(Debug, Clone)]
pub struct Memory {
    /// How many users there are: the roster is seen through them.
    pub users: usize,
    /// Which of the lives of this server it is.
    pub life: u8,
    pub roster: Roster,
    pub buckets: BTreeMap<BucketKey, Bucket>,
    pub matches: BTreeMap<MatchId, Match>,
    pub sessions: BTreeMap<SessionId, Session>,
    pub errands: BTreeMap<Owner, Errand>,
    /// Matches for which a question is looked for.
    pub questions: BTreeSet<MatchId>,
    /// Sessions that are being shared, by their matches.
    pub sharing: BTreeMap<MatchId, SessionRecord>,
    pub calls: BTreeMap<CallId, Call>,
    /// Announcements that the broker has confirmed and that are not marked as sent yet.
    pub to_mark: BTreeSet<EventId>,
}

impl Hash for Memory {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let claim = |number| self.roster.claim(&user(number)).cloned();
        let claims: Vec<_> = (0..self.users).map(claim).collect();
        (self.life, claims).hash(hasher);
        (&self.buckets, &self.matches, &self.sessions).hash(hasher);
        (&self.errands, &self.questions, &self.sharing).hash(hasher);
        (&self.calls, &self.to_mark).hash(hasher);
    }
}

impl Memory {
    pub fn new(setup: &Setup, life: u8) -> Self {
        let bucket = |number| {
            let key = wish(number).bucket();
            (key.clone(), Bucket::new(key, super::setup::TIMEOUTS))
        };
        Self {
            users: setup.users,
            life,
            roster: Roster::default(),
            buckets: (0..setup.buckets).map(bucket).collect(),
            matches: BTreeMap::new(),
            sessions: BTreeMap::new(),
            errands: BTreeMap::new(),
            questions: BTreeSet::new(),
            sharing: BTreeMap::new(),
            calls: BTreeMap::new(),
            to_mark: BTreeSet::new(),
        }
    }

    /// When the next timer is due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let buckets = self.buckets.values().filter_map(Bucket::next_wake);
        let matches = self.matches.values().filter_map(Match::next_wake);
        let sessions = self.sessions.values().filter_map(Session::next_wake);
        buckets.chain(matches).chain(sessions).min()
    }

    /// Whether something is tried again soon.
    fn is_retrying(&self, now: Timestamp) -> bool {
        let soon = now.plus_ms(RETRY_MAX_MS);
        self.next_wake().is_some_and(|at| at <= soon)
    }

    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_wake().is_some_and(|at| at <= now)
    }

    /// Whether it waits for nothing, and nothing is due or tried again.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        let away = self.questions.is_empty() && self.sharing.is_empty();
        let idle = self.errands.is_empty() && away && self.to_mark.is_empty();
        idle && !self.is_retrying(now)
    }
}

impl Server {
    pub fn memory(&self) -> Option<&Memory> {
        match self {
            Self::Up(memory) => Some(memory),
            Self::Down | Self::Starting { .. } => None,
        }
    }
}

impl State {
    pub fn now(&self) -> Timestamp {
        at_step(self.step)
    }

    pub fn memory(&self, server: usize) -> Option<&Memory> {
        self.servers[server].memory()
    }

    /// Nothing happens any more by itself.
    pub fn is_quiet(&self) -> bool {
        let now = self.now();
        let quiet = |server: &Sealed<Server>| {
            let memory = server.memory();
            memory.is_some_and(|memory| memory.is_quiet(now))
        };
        self.servers.iter().all(quiet) && self.db.unsent().next().is_none()
    }

    /// A ticket id of this user that nobody has used.
    pub fn fresh_ticket(&self, number: usize, own: &Memory) -> TicketId {
        let others = self.servers.iter().filter_map(|server| server.memory());
        let writes: Vec<&Write> = others.chain([own]).flat_map(writes).collect();
        let used = |id: TicketId| {
            self.db.tickets.contains_key(&id) || writes.iter().any(|write| opens(write) == Some(id))
        };
        let ids = (0..).map(|n| ticket_id(number, n));
        let mut free = ids.filter(|id| !used(*id));
        free.next().expect("ids do not run out")
    }

    /// A match id of this server that nobody has used.
    pub fn fresh_match(&self, server: usize, own: &Memory) -> MatchId {
        let used = |id: MatchId| {
            let proposed =
                |owner: &Owner| matches!(owner, Owner::Proposal(_, other) if *other == id);
            self.db.matches.contains_key(&id) || own.errands.keys().any(proposed)
        };
        let ids = (0..).map(|n| match_id(server, n));
        let mut free = ids.filter(|id| !used(*id));
        free.next().expect("ids do not run out")
    }
}

fn writes(memory: &Memory) -> impl Iterator<Item = &Write> {
    memory.errands.values().map(|errand| &errand.write)
}

/// The ticket that a write opens.
fn opens(write: &Write) -> Option<TicketId> {
    match write {
        Write::OpenTicket(new) | Write::ReplaceTicket { new, .. } => Some(new.id),
        Write::EndMatch { opens, .. } => opens.as_ref().map(|new| new.id),
        _ => None,
    }
}
