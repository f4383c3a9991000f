//! What the domain wants stored: each write with the condition on which it stands, and its answer.
//!
//! A write sets absolute values, so that storing it twice is storing it once.

use super::sessions::SessionRecord;
use super::tickets::{Ticket, TicketOutcome};
use super::values::{BucketKey, EventId, MatchId, SessionId, TicketId, Timestamp, UserId};

/// One of the two places in a match; the first is the one of the older ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The older ticket's.
    First,
    /// The younger ticket's.
    Second,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// Where this side stands in an array of two.
    pub const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// The partner's side.
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Whose confirmations count, where these are stored and that side confirms.
pub fn confirmed_with(mut stored: [bool; 2], confirms: Option<Side>) -> [bool; 2] {
    if let Some(side) = confirms {
        stored[side.index()] = true;
    }
    stored
}

/// Two tickets that are to become a match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// The match to be.
    pub id: MatchId,
    /// The session that it will open.
    pub session: SessionId,
    /// Where both waited.
    pub bucket: BucketKey,
    /// Both tickets, the older first.
    pub tickets: [TicketId; 2],
    /// Their users, in the same order.
    pub users: [UserId; 2],
    /// When they were paired.
    pub proposed_at: Timestamp,
    /// When the confirmation window is over.
    pub expires_at: Timestamp,
}

/// Why a match ended without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// That side declined.
    Declined(Side),
    /// The confirmation window was over.
    Expired,
    /// Both confirmed, but no question or no session key could be had in time.
    QuestionUnavailable,
}

/// What becomes of a ticket when its match ends without a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It waits again, with these values.
    PutBack(Ticket),
    /// It is over.
    Closed(TicketOutcome),
}

impl Fate {
    /// Whether the ticket is over.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

/// Something to be stored, with its condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Write {
    /// A new waiting ticket, if its user has no live one.
    OpenTicket(Ticket),
    /// The end of a ticket, if it still waits.
    CloseTicket {
        /// Which.
        ticket: TicketId,
        /// How it ends.
        outcome: TicketOutcome,
        /// When.
        at: Timestamp,
    },
    /// The end of a waiting ticket and the beginning of another of the same user, if the old one still waits.
    ReplaceTicket {
        /// The one that ends.
        old: TicketId,
        /// The one that begins to wait.
        new: Ticket,
    },
    /// How often a live ticket has been asked for again.
    CountAsk {
        /// Which.
        ticket: TicketId,
        /// The count from now on.
        asks: u32,
    },
    /// The end, as refused, of a live ticket whose rows contradict each other, so that no actor can
    /// hold it: it must not keep its user out.
    DiscardTicket {
        /// Which.
        ticket: TicketId,
        /// When.
        at: Timestamp,
    },
    /// A match, if both tickets still wait.
    ProposeMatch(Proposal),
    /// One side's confirmation, if the match is open.
    ConfirmMatch {
        /// Which match.
        match_id: MatchId,
        /// Whose confirmation.
        side: Side,
    },
    /// The end of a match without a session, if it is open and just these have confirmed it, and what
    /// becomes of its tickets. Where time ends it, its stored window must be over.
    EndMatch {
        /// Which match.
        match_id: MatchId,
        /// Why.
        ending: Ending,
        /// Both tickets, the older first.
        tickets: [TicketId; 2],
        /// Whose confirmations are stored, in the same order: the fates follow from them.
        confirmed: [bool; 2],
        /// What becomes of them, in the same order.
        fates: Box<[Fate; 2]>,
        /// A ticket that its decliner opens in the same breath.
        opens: Option<Box<Ticket>>,
        /// When.
        at: Timestamp,
    },
    /// A session and its announcement, if the match is open, both sides have confirmed and there is
    /// none yet.
    OpenSession {
        /// The session.
        session: SessionRecord,
        /// Both tickets, the older first; their life ends here.
        tickets: [TicketId; 2],
        /// The id of the announcement.
        event: EventId,
        /// Whose confirmation is stored with it; all others are stored already.
        confirms: Option<Side>,
    },
    /// One side's leaving, if the session is known.
    LeaveSession {
        /// Which session.
        session: SessionId,
        /// Who leaves.
        side: Side,
        /// When.
        at: Timestamp,
    },
    /// A later end of the confirmation window, once per match, if the match is open.
    ExtendMatch {
        /// Which match.
        match_id: MatchId,
        /// The later end.
        expires_at: Timestamp,
    },
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WriteOutcome {
    /// It is durable.
    Stored,
    /// Its condition did not hold; nothing of it was stored.
    Refused(Refusal),
    /// The store is away or full; nothing of it was stored, and it may be tried again.
    Unavailable,
}

/// Which condition did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The user has this live ticket already.
    AlreadyLive {
        /// That ticket.
        ticket: TicketId,
        /// Whether it is in a match.
        matched: bool,
    },
    /// These tickets do not wait.
    NotWaiting(Vec<TicketId>),
    /// The match or session is not in the state that the write needs.
    NotOpen,
    /// The match to be ended is open, but not as its writer knew it: others have confirmed it as
    /// well, or its window ends later. Another server did that.
    OpenOtherwise {
        /// Whose confirmations are stored.
        confirmed: [bool; 2],
        /// When the window is over.
        expires_at: Timestamp,
    },
}

impl Refusal {
    /// Whether this refusal says of `ticket` that it does not wait.
    pub fn names(&self, ticket: TicketId) -> bool {
        match self {
            Self::NotWaiting(tickets) => tickets.contains(&ticket),
            Self::AlreadyLive { .. } | Self::NotOpen | Self::OpenOtherwise { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ticket;

    #[test]
    fn a_ticket_that_is_put_back_is_not_over() {
        assert!(!Fate::PutBack(ticket(1)).is_closed());
        assert!(Fate::Closed(TicketOutcome::Declined).is_closed());
    }
}
