//! The limits that operators can watch: how high each is, and how often it was reached.

use metrics::{counter, gauge};

use super::{LIMIT, LIMIT_REACHED};

/// What has an upper bound that is reached under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Unconfirmed matches at a time; a pair waits.
    Matches,
    /// Live tickets at a time.
    Tickets,
    /// Open sessions at a time.
    Sessions,
    /// Buckets in use at a time.
    Buckets,
    /// Open sockets at a time.
    Sockets,
    /// Open sockets of one user at a time.
    SocketsOfUser,
    /// Messages on one socket; it is closed.
    SocketMessages,
    /// Events that wait for one socket; it is closed.
    SocketEvents,
    /// Asks and confirmations of one user.
    AskRate,
    /// Users whose rate is remembered.
    RatedUsers,
    /// Asks that wait for their answer; moves with how soon they get it.
    AsksUnderWay,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Matches,
        Self::Tickets,
        Self::Sessions,
        Self::Buckets,
        Self::Sockets,
        Self::SocketsOfUser,
        Self::SocketMessages,
        Self::SocketEvents,
        Self::AskRate,
        Self::RatedUsers,
        Self::AsksUnderWay,
    ];

    /// Its name in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::Tickets => "tickets",
            Self::Sessions => "sessions",
            Self::Buckets => "buckets",
            Self::Sockets => "sockets",
            Self::SocketsOfUser => "sockets_of_user",
            Self::SocketMessages => "socket_messages",
            Self::SocketEvents => "socket_events",
            Self::AskRate => "ask_rate",
            Self::RatedUsers => "rated_users",
            Self::AsksUnderWay => "asks_under_way",
        }
    }

    /// Counts that something was refused, closed or had to wait because of this limit.
    pub fn reached(self) {
        counter!(LIMIT_REACHED, "limit" => self.label()).increment(1);
    }

    /// Shows how high it is.
    pub fn show(self, height: usize) {
        gauge!(LIMIT, "limit" => self.label()).set(height as f64);
    }
}
