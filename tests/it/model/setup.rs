//! What one configuration has: how many of everything, and how often what may happen.

use std::fmt;

use matchmaker::domain::limits::Timeouts;
use matchmaker::domain::{
    Difficulty, EventId, MatchId, Question, SessionId, TicketId, Timestamp, Topic, UserId, Wish,
};
use uuid::Uuid;

use crate::simulation::referee::Conditions;

/// One step of time: whatever waited or was proposed before it is due after it.
pub const STEP_MS: u64 = 60_000;

pub const TIMEOUTS: Timeouts = Timeouts {
    ticket_wait_ms: STEP_MS,
    confirm_window_ms: STEP_MS,
    session_ttl_ms: 1_000 * STEP_MS,
};

/// What users may do besides asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Deed {
    Withdraw,
    Confirm,
    Decline,
    Leave,
}

/// How things stand in the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Nothing is stored.
    Empty,
    /// Everybody waits in the first bucket.
    Waiting,
    /// This user alone waits, again, after a match.
    Alone(usize),
    /// The first two are in a match that nobody has answered.
    Matched,
    /// The same, and neither answered the proposal before.
    SilentBefore,
    /// Nobody was silent, and the first has confirmed.
    HalfConfirmed,
    /// Both have confirmed.
    Confirmed,
    /// The session of the first two is open.
    InSession,
}

/// The bounds of one exhaustive search. Each count is of the whole life.
#[derive(Clone, Copy)]
pub struct Setup {
    pub name: &'static str,
    pub begin: Begin,
    pub users: usize,
    pub buckets: usize,
    pub servers: usize,
    /// How often a server dies.
    pub crashes: u8,
    /// How often a commit happens whose answer is lost.
    pub lost: u8,
    /// How often the store, a question or the shared sessions cannot be had.
    pub away: u8,
    /// How often time goes on.
    pub steps: u8,
    /// How many announcements are removed.
    pub removals: u8,
    /// How often each user asks.
    pub asks: u8,
    /// How often each user does one of `deeds`.
    pub acts: u8,
    pub deeds: &'static [Deed],
    pub conditions: Conditions,
}

impl Setup {
    /// Two users, one bucket, one server, the stores as they are, and nothing goes wrong.
    pub const fn new(name: &'static str, begin: Begin) -> Self {
        Self {
            name,
            begin,
            users: 2,
            buckets: 1,
            servers: 1,
            crashes: 0,
            lost: 0,
            away: 0,
            steps: 0,
            removals: 0,
            asks: 0,
            acts: 0,
            deeds: &[],
            conditions: Conditions::OF_THE_STORES,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            users,
            buckets,
            servers,
            crashes,
            lost,
            away,
            steps,
            ..
        } = self;
        write!(
            f,
            "{name}: {users} users, {buckets} buckets, {servers} servers, {crashes} crashes, \
             {lost} lost answers, {away} outages, {steps} steps of time"
        )
    }
}

pub fn at_step(step: u8) -> Timestamp {
    Timestamp::from_ms(0).plus_ms(u64::from(step) * STEP_MS)
}

pub fn user(number: usize) -> UserId {
    UserId::parse(&format!("u{number}")).expect("a user id")
}

pub fn wish(bucket: usize) -> Wish {
    Wish {
        difficulty: Difficulty::Easy,
        topic: Topic::parse(&format!("t{bucket}")).expect("a topic"),
    }
}

/// The id of a user's ticket, so that the same life has the same ids in whatever order things came.
pub fn ticket_id(user: usize, number: u128) -> TicketId {
    TicketId(Uuid::from_u128((user as u128 + 1) * 100 + number))
}

pub fn match_id(server: usize, number: u128) -> MatchId {
    MatchId(Uuid::from_u128((server as u128 + 1) * 10_000 + number))
}

pub fn session_of(id: MatchId) -> SessionId {
    SessionId(Uuid::from_u128(id.0.as_u128() + 100_000))
}

/// The announcement that one life of a server would make of a match.
pub fn event_of(id: MatchId, server: usize, life: u8) -> EventId {
    let maker = server as u128 * 10 + u128::from(life);
    EventId(Uuid::from_u128((id.0.as_u128() + 200_000) * 100 + maker))
}

/// The question that a server finds.
pub fn question(server: usize) -> Question {
    Question {
        id: server as i64,
        title: String::new(),
        difficulty: String::new(),
        topics: Vec::new(),
    }
}
