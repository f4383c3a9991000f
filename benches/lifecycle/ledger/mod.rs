//! What everybody asked for and was told, and whether it fits together.
//!
//! Pure: moments and events come in, the next step of that person comes out. A guarantee that is
//! broken is kept as a violation; the load goes on as well as it can.

mod asks;
mod closing;
mod matches;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use crate::stats::Latencies;

/// What is counted where the tool has too few people: the server did nothing wrong.
pub const NOBODY_FREE: &str = "asks that had to wait for a free user";

/// How many violations are kept as text; the others are only counted.
const VIOLATIONS_SHOWN: usize = 20;

/// A person's number.
pub type User = usize;

/// One line of the timetable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// When it was to be sent.
    pub intended: Instant,
    /// For what.
    pub bucket: usize,
}

/// What a person does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Ask {
        user: User,
        ask: Ask,
    },
    Confirm {
        user: User,
        match_id: Uuid,
        again: bool,
    },
    Leave {
        user: User,
        session_id: Uuid,
        again: bool,
    },
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// 200, with this in it.
    Done(T),
    /// Another status.
    Refused(u16),
    /// No answer, or one that cannot be read: it may have taken effect or not.
    Unknown(String),
}

/// An event on a socket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    MatchFound {
        match_id: Uuid,
        partner_id: String,
        difficulty: String,
        topic: String,
    },
    MatchReady {
        match_id: Uuid,
        session_id: Uuid,
        partner_id: String,
    },
    MatchExpired {
        match_id: Uuid,
        reason: String,
        requeued: bool,
    },
    RequestTimeout {
        request_id: Uuid,
    },
    PartnerLeft {
        session_id: Uuid,
        user_id: String,
    },
    #[serde(other)]
    Unknown,
}

/// What is asked for in one bucket, as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub difficulty: &'static str,
    pub topic: String,
}

/// What was counted and measured since the figures were last taken.
#[derive(Debug, Default)]
pub struct Figures {
    /// When the first ask was due.
    pub first_due: Option<Instant>,
    /// Lifecycles that came to their end: both are in the session, or have left it where they do.
    pub done: u64,
    /// When the last one did.
    pub last_done: Option<Instant>,
    /// From the later ask's intended moment until both were told.
    pub matched: Latencies,
    /// From the later confirmation's intended moment, which is when that person was told of the
    /// match, until both were told of the session.
    pub confirmed: Latencies,
    /// From an ask's intended moment to its answer.
    pub asked: Latencies,
    /// From an ask's intended moment until this tool sent it: how late the tool itself was.
    pub late: Latencies,
    /// What did not go as it should, and how often.
    pub errors: BTreeMap<String, u64>,
}

/// What was seen that must never be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Violations {
    /// The first ones.
    pub shown: Vec<String>,
    /// How many there were in all.
    pub total: u64,
}

/// Where a person stands.
#[derive(Debug)]
enum Standing {
    Free,
    Waiting(Waiting),
    Matched(Member),
    /// Something is left open that nobody can finish; never used again.
    Abandoned,
}

#[derive(Debug)]
struct Waiting {
    ask: Ask,
    reply: Reply,
}

/// How far a person's ask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Awaited,
    Accepted(Uuid),
    Unknown,
}

/// A person in a match, from the event until the end of the lifecycle.
#[derive(Debug)]
struct Member {
    match_id: Uuid,
    bucket: usize,
    /// The ask may still be without its answer: that comes on another connection.
    reply: Reply,
    confirming: bool,
    session_id: Option<Uuid>,
    done: bool,
}

/// A match as its two members see it.
#[derive(Debug)]
struct Pair {
    first: Told,
    second: Option<Told>,
    session_id: Option<Uuid>,
    ready: u32,
    done: u32,
}

/// What one member was told.
#[derive(Debug)]
struct Told {
    user: User,
    partner_id: String,
    /// When that member's ask was to be sent.
    intended: Instant,
    at: Instant,
}

/// The book in which all of it is kept.
pub struct Ledger {
    ids: Vec<String>,
    by_id: HashMap<String, User>,
    wishes: Vec<Wish>,
    standings: Vec<Standing>,
    free: VecDeque<User>,
    /// Asks that are due while nobody is free.
    backlog: VecDeque<Ask>,
    matches: HashMap<Uuid, Pair>,
    sessions: HashMap<Uuid, [String; 2]>,
    figures: Figures,
    violations: Violations,
    /// Whether people leave their sessions before they ask again.
    leaves: bool,
}

impl Ledger {
    /// Nobody has asked for anything. Where nobody leaves, a lifecycle ends with its session open.
    pub fn new(ids: Vec<String>, wishes: Vec<Wish>, leaves: bool) -> Self {
        let by_id = ids.iter().cloned().zip(0..).collect();
        Self {
            by_id,
            wishes,
            standings: ids.iter().map(|_| Standing::Free).collect(),
            free: (0..ids.len()).collect(),
            ids,
            backlog: VecDeque::new(),
            matches: HashMap::new(),
            sessions: HashMap::new(),
            figures: Figures::default(),
            violations: Violations::default(),
            leaves,
        }
    }

    /// Takes in what a person was told on the socket.
    pub fn event(&mut self, user: User, event: Event, at: Instant) -> Option<Step> {
        match event {
            Event::MatchFound {
                match_id,
                partner_id,
                difficulty,
                topic,
            } => {
                let wish = (difficulty.as_str(), topic.as_str());
                self.found(user, match_id, partner_id, wish, at)
            }
            Event::MatchReady {
                match_id,
                session_id,
                partner_id,
            } => self.ready(user, match_id, session_id, &partner_id, at),
            Event::MatchExpired {
                match_id,
                reason,
                requeued,
            } => self.expired(user, match_id, &reason, requeued, at),
            Event::RequestTimeout { request_id } => self.timed_out(user, request_id),
            Event::PartnerLeft {
                session_id,
                user_id,
            } => {
                self.partner_left(user, session_id, &user_id);
                None
            }
            Event::Unknown => {
                self.count("event of an unknown type");
                None
            }
        }
    }

    /// Notes how late an ask was sent, measured where it is handed to the network.
    pub fn sent(&mut self, ask: Ask, at: Instant) {
        let late = at.saturating_duration_since(ask.intended);
        self.figures.late.record(late);
    }

    /// A person cannot be told anything any more.
    pub fn deafened(&mut self, user: User, why: &str) {
        let id = self.ids[user].clone();
        self.violate(format!("the socket of {id} ended: {why}"));
        self.standings[user] = Standing::Abandoned;
        self.free.retain(|free| *free != user);
    }

    /// Counts what did not go as it should.
    pub fn count(&mut self, what: impl Into<String>) {
        *self.figures.errors.entry(what.into()).or_default() += 1;
    }

    /// Notes something that must never be.
    pub fn violate(&mut self, what: String) {
        self.violations.note(what);
    }

    /// The sessions that anybody was told of, with their members, but for those that were taken.
    pub fn sessions(&self) -> &HashMap<Uuid, [String; 2]> {
        &self.sessions
    }

    /// Takes the sessions whose lifecycle is over, so that a long load needs no more room than a
    /// short one.
    pub fn take_ended_sessions(&mut self) -> HashMap<Uuid, [String; 2]> {
        let pairs = self.matches.values();
        let running: HashSet<Uuid> = pairs.filter_map(|pair| pair.session_id).collect();
        let is_over = |session_id: &Uuid, _: &mut [String; 2]| !running.contains(session_id);
        self.sessions.extract_if(is_over).collect()
    }

    /// Gives back what was taken and is needed still.
    pub fn keep_sessions(&mut self, sessions: HashMap<Uuid, [String; 2]>) {
        self.sessions.extend(sessions);
    }

    /// The figures since they were last taken.
    pub fn take_figures(&mut self) -> Figures {
        std::mem::take(&mut self.figures)
    }

    /// The violations since they were last taken.
    pub fn take_violations(&mut self) -> Violations {
        std::mem::take(&mut self.violations)
    }

    /// Makes a person free; who is free may be needed at once.
    fn release(&mut self, user: User) -> Option<Step> {
        self.standings[user] = Standing::Free;
        self.free.push_back(user);
        self.backlog.pop_front().and_then(|ask| self.assign(ask))
    }
}

impl<T> Outcome<T> {
    /// The same with something else in it.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(value) => Outcome::Done(change(value)),
            Self::Refused(status) => Outcome::Refused(status),
            Self::Unknown(why) => Outcome::Unknown(why),
        }
    }
}

impl Figures {
    /// These with the errors of `later` counted in.
    pub fn with_errors_of(mut self, later: Self) -> Self {
        for (what, count) in later.errors {
            *self.errors.entry(what).or_default() += count;
        }
        self
    }
}

impl Violations {
    /// Notes one.
    pub fn note(&mut self, what: String) {
        self.total += 1;
        if self.shown.len() < VIOLATIONS_SHOWN {
            self.shown.push(what);
        }
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: Self) {
        self.total += other.total;
        let room = VIOLATIONS_SHOWN.saturating_sub(self.shown.len());
        self.shown.extend(other.shown.into_iter().take(room));
    }
}
