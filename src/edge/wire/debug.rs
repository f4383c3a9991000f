//! What operators see of the actors and of single tickets.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::docs::values;

/// The state of the actors.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorsState {
    pub server: ServerState,
    pub roster: RosterState,
    /// All buckets that have an actor.
    pub buckets_total: usize,
    /// Those of them that were asked for.
    pub buckets_found: usize,
    /// How many of those are left out at the beginning of `buckets` and `sessions.items`.
    pub offset: usize,
    /// How many are listed at most.
    pub limit: usize,
    pub buckets: Vec<BucketState>,
    /// With `bucket`: who waits there, by place; on the first page before them those that are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue: Option<Vec<QueuedTicket>>,
    pub tickets: TicketCounts,
    pub matches: MatchCounts,
    pub sessions: SessionsState,
    pub sockets: SocketsState,
    pub store: StoreState,
    /// As it was measured last; nothing where nothing is sent, or nothing was measured yet.
    pub outbox: Option<OutboxState>,
    pub mirror: MirrorCounts,
    pub backends: BackendStates,
}

/// What runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerState {
    pub version: &'static str,
    pub environment: String,
    #[schema(format = DateTime)]
    pub started_at: String,
    /// How long the start took until the server was ready.
    pub recovery_seconds: f64,
}

/// The actor that knows everybody.
#[derive(Debug, Serialize, ToSchema)]
pub struct RosterState {
    /// Commands that wait.
    pub mailbox: usize,
    /// How many may wait.
    pub mailbox_max: usize,
    /// Users whose rate of asks is remembered.
    pub rated_users: usize,
}

/// How a bucket stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct BucketState {
    #[schema(value_type = values::Difficulty)]
    pub difficulty: &'static str,
    /// By which its tickets meet: lower case, single spaces.
    pub topic: String,
    /// Tickets that may be paired.
    pub queue_length: usize,
    /// Age of the oldest of them.
    pub oldest_wait_ms: Option<u64>,
    /// Tickets about which a write is under way.
    pub set_aside: usize,
    /// Callers who wait for an answer of the store.
    pub in_flight: usize,
    /// Commands that wait.
    pub mailbox: usize,
}

/// A ticket in a bucket.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuedTicket {
    pub ticket_id: Uuid,
    #[schema(value_type = values::UserId)]
    pub user_id: String,
    pub waited_ms: u64,
    #[schema(format = DateTime)]
    pub waits_until: String,
    /// Where it is held: what is being written about it.
    pub set_aside: Option<&'static str>,
}

/// How many tickets there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketCounts {
    /// Those that may be paired.
    pub waiting: usize,
    /// Those that wait, are in a match or in an open session.
    pub known: usize,
}

/// How many matches there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatchCounts {
    /// Somebody has not answered.
    pub proposed: usize,
    /// Both confirmed, the session is not open.
    pub opening: usize,
    /// They became sessions that are open.
    pub in_session: usize,
}

/// Matches and the sessions that they became.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsState {
    /// Open sessions.
    pub open: usize,
    /// All of both.
    pub total: usize,
    /// What is due first comes first; nothing with `bucket`.
    pub items: Vec<SessionItem>,
}

/// A match, or the session that it became.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionItem {
    /// `proposed`, `opening` or `in_session`.
    #[schema(value_type = values::SessionStage)]
    pub state: &'static str,
    pub match_id: Uuid,
    pub session_id: Option<Uuid>,
    /// When the confirmation window or the session is over.
    #[schema(format = DateTime)]
    pub deadline: Option<String>,
    pub due_in_ms: Option<i64>,
}

/// The sockets.
#[derive(Debug, Serialize, ToSchema)]
pub struct SocketsState {
    pub open: usize,
    /// Users with one.
    pub users: usize,
    /// On each thread that has had one, the most first.
    pub per_worker: Vec<usize>,
}

/// The lanes of the store.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreState {
    /// `sqlite` or `postgresql`.
    pub backend: &'static str,
    /// Writes without an outcome for which somebody waits.
    pub urgent: usize,
    /// Writes without an outcome that follow from others or from time.
    pub patient: usize,
    /// Whether it has kept writes waiting for unusually long.
    pub stuck: bool,
}

/// Announcements that wait.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutboxState {
    pub rows: u64,
    pub oldest_age_ms: Option<u64>,
}

/// The copy of the waiting queues.
#[derive(Debug, Serialize, ToSchema)]
pub struct MirrorCounts {
    /// Changes that it has not been told.
    pub behind: usize,
    /// Tickets that were found missing there, or there although they do not wait, since the start.
    pub differences: u64,
}

/// Whether the servers answer that this one needs.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackendStates {
    #[schema(value_type = values::BackendWord)]
    pub postgresql: &'static str,
    #[schema(value_type = values::BackendWord)]
    pub redis: &'static str,
    #[schema(value_type = values::BackendWord)]
    pub rabbitmq: &'static str,
}

/// One ticket: how it stands, why, and how it got there.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketTimeline {
    pub id: Uuid,
    #[schema(value_type = values::UserId)]
    pub user_id: String,
    #[schema(value_type = values::Difficulty)]
    pub difficulty: &'static str,
    #[schema(value_type = values::Topic)]
    pub topic: String,
    /// As it is stored: `waiting`, `matched`, `in_session`, or how it ended.
    pub status: String,
    /// Why it stands so, in one sentence.
    pub why: String,
    /// While it may be paired: 1 is the first in its bucket; nothing far behind in a long queue.
    pub place: Option<usize>,
    /// While it waits.
    #[schema(format = DateTime)]
    pub waits_until: Option<String>,
    /// What is stored of it, and what was decided lately, in order.
    pub timeline: Vec<TimelineEntry>,
}

/// What is stored, and what an actor remembers.
pub const TIMELINE_SOURCES: [&str; 2] = ["stored", "decision"];

/// Something that happened to a ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineEntry {
    #[schema(format = DateTime)]
    pub at: String,
    /// `stored`: its rows say so. `decision`: an actor remembers it, for a while.
    #[schema(value_type = values::TimelineSource)]
    pub source: &'static str,
    /// A word for it.
    pub what: &'static str,
    /// A sentence about it.
    pub detail: String,
    /// The match that it is about.
    pub match_id: Option<Uuid>,
}
