//! What is stored about one ticket, for operators who ask why it is where it is.

use async_trait::async_trait;

use super::Away;
use domain::{EventId, MatchId, SessionId, TicketId, Timestamp, UserId, Wish};

/// A ticket as its rows tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPast {
    /// Whose.
    pub user: UserId,
    /// What for.
    pub wish: Wish,
    /// The word for how it stands: `waiting`, `matched`, `in_session`, or how it ended.
    pub status: String,
    /// When it was first enqueued.
    pub enqueued_at: Timestamp,
    /// When its wait is over, or was.
    pub waits_until: Timestamp,
    /// Whether an ended match put it back.
    pub put_back: bool,
    /// Proposals in a row that its user did not answer.
    pub silences: u32,
    /// How often its user asked for it again.
    pub asks: u64,
    /// When its life ended, also as a session.
    pub ended_at: Option<Timestamp>,
    /// The matches that are known of it, in the order in which they were proposed.
    pub matches: Vec<PastMatch>,
}

/// A match that a ticket is or was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMatch {
    /// Its id.
    pub id: MatchId,
    /// The other ticket.
    pub partner: TicketId,
    /// The word for how it stands: `open`, `in_session`, or how it ended: `declined`,
    /// `declined_by_partner`, `expired` or `question_unavailable`.
    pub state: String,
    /// When it was proposed.
    pub proposed_at: Timestamp,
    /// When the confirmation window is over, or was.
    pub expires_at: Timestamp,
    /// Whether this ticket's user confirmed, and the other one.
    pub confirmed: [bool; 2],
    /// When it ended, also as a session.
    pub ended_at: Option<Timestamp>,
    /// The session that it became.
    pub session: Option<PastSession>,
}

/// A session that a ticket led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSession {
    /// Its id.
    pub id: SessionId,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// When this ticket's user left, and the other one.
    pub left_at: [Option<Timestamp>; 2],
    /// Its announcement, for as long as that is kept.
    pub announcement: Option<PastAnnouncement>,
}

/// The announcement of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAnnouncement {
    /// Its id.
    pub id: EventId,
    /// When the broker confirmed it.
    pub sent_at: Option<Timestamp>,
    /// How often it was tried in vain.
    pub attempts: u64,
}

/// Reads what is stored about one ticket.
#[async_trait]
pub trait Timelines: Send + Sync + 'static {
    /// The ticket with the match that its row names and those of `matches` that it was in.
    async fn past_of(
        &self,
        ticket: TicketId,
        matches: &[MatchId],
    ) -> Result<Option<StoredPast>, Away>;
}
