//! What the actors and the edge need from the outside world, as traits; and the [`announcement`].
//!
//! Every implementation of a port passes the same tests.

pub mod announcement;
mod history;
mod timeline;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use domain::{
    Breach, Ending, EventId, MatchId, Question, SessionId, SessionRecord, Ticket, TicketId,
    TicketOutcome, Timestamp, UserId, Wish, Write, WriteOutcome,
};

pub use history::{History, Mark, Past, Removed};
pub use timeline::{PastAnnouncement, PastMatch, PastSession, StoredPast, Timelines};

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

    /// Whether writes were handed over that it has kept waiting for unusually long.
    fn is_stuck(&self) -> bool {
        false
    }

    /// How many writes have no outcome yet.
    fn depth(&self) -> StoreDepth;
}

/// How many writes a store has taken that have no outcome yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreDepth {
    /// The store's name for machines.
    pub backend: &'static str,
    /// Those that somebody waits for until a deadline.
    pub urgent: usize,
    /// Those that follow from what was stored, or from time.
    pub patient: usize,
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

    /// Those of `ids` that a match names as its session, whatever became of the match.
    async fn named_sessions(&self, ids: &[SessionId]) -> Result<HashSet<SessionId>, Away>;

    /// Up to `limit` sessions that both have left and whose time is over after `now`; those that end
    /// last come first.
    async fn recently_left(&self, now: Timestamp, limit: usize)
    -> Result<Vec<SessionRecord>, Away>;

    /// Up to `limit` sessions that were given up after `since` because there was no question; the
    /// last ones come first.
    async fn given_up(&self, since: Timestamp, limit: usize) -> Result<Vec<SessionId>, Away>;

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

/// Sessions that the store of facts does not know, and the shared one still does: after a database
/// was restored from a backup that is older than they are.
#[async_trait]
pub trait FallbackSessions: Send + Sync + 'static {
    /// The session, if it was found and its time is not over.
    fn session(&self, id: SessionId) -> Option<SessionRecord>;

    /// The session of a match, if it was found and its time is not over. One whose match is forgotten
    /// is found under its own id.
    fn session_of(&self, id: MatchId) -> Option<SessionRecord>;

    /// A session that the user has not left, the one that was found last.
    fn active_session(&self, user: &UserId) -> Option<SessionRecord>;

    /// Notes that the user has left, and writes it; answers where that is written. `on_left` hears who
    /// is still there and is to be told, at most once, and only after it is written, however long
    /// that takes. A caller that goes away leaves nothing half done, and may repeat it.
    async fn leave(&self, id: SessionId, user: &UserId, on_left: OnLeft) -> Result<Left, Away>;
}

/// What is done once somebody's leave is written, with the partner who is still there.
pub type OnLeft = Box<dyn FnOnce(UserId) -> BoxFuture<'static, ()> + Send>;

/// What became of a wish to leave a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The user has left, now or before.
    Done,
    /// The user was never in it.
    NotMember,
    /// There is no such session.
    Unknown,
}

/// Where questions come from.
#[async_trait]
pub trait Questions: Send + Sync + 'static {
    /// One question that fits, picked at random. `token` is that of the user whose confirmation
    /// completes the match, where one is at hand.
    async fn pick(&self, wish: &Wish, token: Option<&BearerToken>) -> Result<Question, Away>;
}

/// Whoever knows whether a token is still good.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// Whether the bearer of `token` is let in.
    async fn admits(&self, token: &BearerToken) -> Result<bool, Away>;
}

/// A caller's token, lent for calls to other services; debug output shows `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BearerToken(Arc<str>);

impl BearerToken {
    /// The token without its scheme.
    pub fn new(token: &str) -> Self {
        Self(token.into())
    }

    /// The token itself, for an `Authorization` header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A change of a waiting queue, after it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueChange {
    /// This ticket waits from now on.
    Waits(Box<Ticket>),
    /// This ticket does not wait any more.
    Gone(TicketId),
}

/// The copy of every waiting queue that others may read.
pub trait QueueMirror: Send + Sync + 'static {
    /// Takes note of a change and returns at once. Changes are written together a moment later, so a
    /// ticket that waits only for that moment is never written.
    fn note(&self, change: QueueChange);

    /// How well it does.
    fn state(&self) -> MirrorState {
        MirrorState::default()
    }
}

/// How well a mirror does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MirrorState {
    /// Changes that it has not been told.
    pub behind: usize,
    /// Tickets of it that were found missing, or there although they do not wait, since the start.
    pub differences: u64,
}

/// An announcement that has not been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Its id, stable across redelivery.
    pub id: EventId,
    /// What it announces.
    pub session: SessionId,
    /// Under which key it is published.
    pub routing_key: String,
    /// The exact text that is published.
    pub body: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When its session ends; nobody needs it afterwards.
    pub session_ends_at: Timestamp,
    /// How often it has been tried in vain.
    pub attempts: u32,
}

/// How many announcements wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxBacklog {
    /// How many.
    pub rows: u64,
    /// When the oldest was stored.
    pub oldest: Option<Timestamp>,
}

/// The backlog as whoever sends has measured it last.
#[derive(Debug, Default)]
pub struct MeasuredBacklog(Mutex<Option<OutboxBacklog>>);

impl MeasuredBacklog {
    /// It stands so now.
    pub fn note(&self, backlog: OutboxBacklog) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(backlog);
    }

    /// What was noted last, if anything was.
    pub fn last(&self) -> Option<OutboxBacklog> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The announcements that are stored with the facts that they announce.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Up to `limit` unsent ones that are due at `now`, in the order in which they were stored.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Announcement>, Away>;

    /// The broker has confirmed these.
    async fn mark_sent(&self, events: &[EventId], at: Timestamp) -> Result<(), Away>;

    /// These were tried in vain; each is due again at its time.
    async fn put_off(&self, events: &[(EventId, Timestamp)]) -> Result<(), Away>;

    /// Removes up to `limit` that were sent before `before`; answers how many.
    async fn remove_sent(&self, before: Timestamp, limit: usize) -> Result<usize, Away>;

    /// How many wait.
    async fn backlog(&self) -> Result<OutboxBacklog, Away>;
}

/// What became of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// A queue has it, and the broker has confirmed that.
    Confirmed,
    /// No queue takes it yet.
    Unroutable,
    /// The broker did not confirm, or the connection broke: it may have it, or not.
    Failed(Away),
    /// The broker is away, so that it was not even tried.
    Unsent(Away),
}

/// The broker.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Publishes all, many in flight at a time, and answers each in the same order.
    async fn publish(&self, events: &[Announcement]) -> Vec<Published>;
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
    /// The copy of the waiting queues.
    pub mirror: Arc<dyn QueueMirror>,
}
