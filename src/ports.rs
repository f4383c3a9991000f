//! What the actors and the edge need from the outside world, as traits.
//!
//! Every implementation of a port passes the same tests.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{
    Breach, Ending, MatchId, Question, SessionId, SessionRecord, Ticket, TicketId, TicketOutcome,
    Timestamp, UserId, Wish, Write, WriteOutcome,
};

/// The time of day. Never runs backwards within one process, nor behind what is stored.
pub trait Clock: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// What is called, exactly once, when a write has been answered. It must not block.
pub type WriteDone = Box<dyn FnOnce(WriteOutcome) + Send>;

/// Where facts become durable. Writes that wait at the same moment share a transaction.
pub trait Store: Send + Sync + 'static {
    /// Hands a write over and returns at once; `done` hears what became of it, where the write is
    /// refused even before this returns.
    ///
    /// A write that has not been begun at `deadline` is dropped as [`WriteOutcome::Unavailable`].
    /// Its outcome is always known when `done` hears it: a commit whose answer was lost is looked
    /// up first.
    fn submit(&self, write: Write, deadline: Option<Timestamp>, done: WriteDone);
}

/// A backend cannot be reached or does not answer in time; trying again later may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{backend} is away: {reason}")]
pub struct Away {
    /// Which backend.
    pub backend: &'static str,
    /// What it said, without secrets.
    pub reason: String,
}

/// A ticket as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTicket {
    /// Whose.
    pub user: UserId,
    /// How it stands.
    pub status: StoredStatus,
}

/// How a stored ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredStatus {
    /// It waits.
    Waiting,
    /// It is in a match, which may have become a session.
    Matched(MatchId),
    /// Its life ended in another way.
    Closed(TicketOutcome),
}

/// A match as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMatch {
    /// Its users, the older ticket's first.
    pub users: [UserId; 2],
    /// How it stands.
    pub state: StoredMatchState,
}

/// How a stored match stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredMatchState {
    /// Not ended, and without a session.
    Open,
    /// It became this session.
    InSession(Box<SessionRecord>),
    /// It ended without a session.
    Ended(Ending),
}

/// A match that is neither ended nor a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMatch {
    /// Its id.
    pub id: MatchId,
    /// The session that it will open.
    pub session: SessionId,
    /// Both tickets, the older first.
    pub tickets: [Ticket; 2],
    /// Who has confirmed, in the order of `tickets`.
    pub confirmed: [bool; 2],
    /// When the confirmation window is over.
    pub expires_at: Timestamp,
    /// Whether that end was put off already after the server had been down.
    pub extended: bool,
}

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Its facts.
    pub record: SessionRecord,
    /// The tickets of its members, in the order of its users.
    pub tickets: [TicketId; 2],
}

/// All that is live in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveState {
    /// The waiting tickets, in the order of their places.
    pub tickets: Vec<Ticket>,
    /// The open matches.
    pub matches: Vec<OpenMatch>,
    /// The open sessions.
    pub sessions: Vec<OpenSession>,
    /// The newest time that any of the rows was written at.
    pub newest: Option<Timestamp>,
    /// What the rows say against a guarantee.
    pub contradictions: Vec<Breach>,
    /// Live tickets that were left out because of that; to be discarded.
    pub orphans: Vec<TicketId>,
}

/// Reads of what memory does not hold: what has ended, and everything at start-up.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// One ticket.
    async fn ticket(&self, id: TicketId) -> Result<Option<StoredTicket>, Away>;

    /// One match.
    async fn find_match(&self, id: MatchId) -> Result<Option<StoredMatch>, Away>;

    /// One session, ended or not.
    async fn session(&self, id: SessionId) -> Result<Option<SessionRecord>, Away>;

    /// Everything that is live; sessions that end after `now`.
    async fn live(&self, now: Timestamp) -> Result<LiveState, Away>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), Away>;
}

/// The sessions that the collaboration service reads and rewrites, one JSON text each.
#[async_trait]
pub trait SharedSessions: Send + Sync + 'static {
    /// Writes the session unless it is there already; answers the question that it now holds.
    async fn put_if_absent(&self, session: &SessionRecord) -> Result<Question, Away>;

    /// The JSON text as it stands.
    async fn read(&self, id: SessionId) -> Result<Option<String>, Away>;

    /// Writes who the members are and who of them has left, and nothing else.
    async fn write_left(&self, session: &SessionRecord) -> Result<(), Away>;

    /// Removes a session that will not be opened.
    async fn remove(&self, id: SessionId) -> Result<(), Away>;
}

/// Where questions come from.
#[async_trait]
pub trait Questions: Send + Sync + 'static {
    /// One question that fits, picked at random.
    async fn pick(&self, wish: &Wish) -> Result<Question, Away>;
}

/// Everything that the composition root hands to the actors.
#[derive(Clone)]
pub struct Ports {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where facts become durable.
    pub store: Arc<dyn Store>,
    /// The shared sessions.
    pub shared: Arc<dyn SharedSessions>,
    /// The questions.
    pub questions: Arc<dyn Questions>,
}
