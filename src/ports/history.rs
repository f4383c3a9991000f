//! What has ended, and how it is removed.

use async_trait::async_trait;
use uuid::Uuid;

use super::Away;
use domain::Timestamp;

/// What has ended and is still stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Past {
    /// Matches that ended without a session.
    Matches,
    /// Sessions that both had left, each with its match and its tickets.
    LeftSessions,
    /// Sessions that somebody was in until their time was over, each with its match and its tickets.
    OverSessions,
    /// Tickets that ended without a session.
    Tickets,
}

/// How far a walk through what has ended has come: what ended first comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When the last one ended that was looked at.
    pub ended_at: Timestamp,
    /// Its id, because many may end at the same moment.
    pub id: Uuid,
}

impl Mark {
    /// Before everything.
    pub const START: Self = Self {
        ended_at: Timestamp::from_ms(i64::MIN),
        id: Uuid::nil(),
    };
}

/// What one step has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Tickets.
    pub tickets: usize,
    /// Matches.
    pub matches: usize,
    /// Sessions.
    pub sessions: usize,
    /// Where the next step begins; nothing where no more is old enough.
    pub next: Option<Mark>,
}

/// What has ended, to be removed once nobody asks for it any more.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// Looks at up to `limit` of `past` that ended before `before`, those behind `after`, and removes
    /// them all at once, except for sessions that are still announced. What became of a session and
    /// what led to it goes together, so that nobody reads half of it.
    async fn remove(
        &self,
        past: Past,
        before: Timestamp,
        after: Mark,
        limit: usize,
    ) -> Result<Removed, Away>;
}
