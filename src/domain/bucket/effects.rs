//! What a bucket wants done.

use crate::matches::Match;
use crate::notices::{AskAnswer, Breach, CallId, WithdrawAnswer};
use crate::tickets::{Ticket, TicketOutcome};
use crate::values::{EventId, MatchId, SessionId, TicketId, UserId};
use crate::writes::Write;

#[cfg(doc)]
use super::Bucket;

/// Something that the bucket wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketEffect {
    /// Store this; the outcome comes back through [`Bucket::on_ticket_written`], or through
    /// [`Bucket::on_proposal_written`] for a match.
    Store(Write),
    /// A ticket is stored and waits here from now on.
    Opened(Ticket),
    /// A ticket was closed and another of the same user opened, perhaps in another bucket.
    Replaced {
        /// The one that ended.
        old: TicketId,
        /// The one that waits from now on.
        new: Ticket,
    },
    /// A ticket's life ended.
    Closed {
        /// Which.
        ticket: TicketId,
        /// Whose.
        user: UserId,
        /// How.
        outcome: TicketOutcome,
    },
    /// A match is stored: both are to be told.
    Matched(Box<Match>),
    /// The answer to somebody who asked.
    AnswerAsk(CallId, AskAnswer),
    /// The answer to somebody who withdraws.
    AnswerWithdraw(CallId, WithdrawAnswer),
    /// The ticket has moved on: the call is to be looked at again by who knows where it is.
    Reconsider(CallId),
    /// A guarantee was found broken.
    Breached(Breach),
}

/// The ids of a match to be; made by the caller, because the domain draws no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatchIds {
    /// The match.
    pub id: MatchId,
    /// The session that it will open.
    pub session: SessionId,
    /// The announcement of that session.
    pub event: EventId,
}
