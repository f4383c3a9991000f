//! What a match is told to do, and what it wants done.

use crate::notices::{AskAnswer, Breach, CallId, Notice, ProposalAnswer, WithdrawAnswer};
use crate::sessions::{Session, SessionRecord};
use crate::tickets::{Ticket, TicketOutcome};
use crate::values::{TicketId, UserId};
use crate::writes::Write;

#[cfg(doc)]
use super::Match;

/// Something that one of the two wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MatchCommand {
    /// Confirm the match.
    Confirm(UserId, CallId),
    /// Decline the match.
    Decline(UserId, CallId),
    /// Ask for a partner; the ticket is not stored yet.
    AskAgain(Box<Ticket>, CallId),
    /// Withdraw the ticket.
    Withdraw(CallId),
}

/// Something that the match wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchEffect {
    /// Store this; the outcome comes back through [`Match::on_written`].
    Store(Write),
    /// Find a question; it comes back through [`Match::on_question`].
    FindQuestion,
    /// Write the shared session, if absent; comes back through [`Match::on_shared`].
    Share(SessionRecord),
    /// Remove the shared session: it will not be opened.
    Unshare,
    /// Tell this user.
    Tell(UserId, Notice),
    /// This ticket, stored, waits again.
    PutBack(Ticket),
    /// A ticket was closed and another of the same user opened.
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
    /// The session is stored and can be read.
    Opened(Box<Session>),
    /// The answer to somebody who confirms or declines.
    Answer(CallId, ProposalAnswer),
    /// The answer to somebody who asks for a partner.
    AnswerAsk(CallId, AskAnswer),
    /// The answer to somebody who withdraws.
    AnswerWithdraw(CallId, WithdrawAnswer),
    /// The ticket has moved on: the call is to be looked at again by who knows where it is.
    Reconsider(CallId),
    /// A guarantee was found broken.
    Breached(Breach),
    /// The match ended without a session.
    Over,
}

impl MatchCommand {
    /// Who confirms or declines, which only the two of the match may.
    pub(super) fn proposal_caller(&self) -> Option<(&UserId, CallId)> {
        match self {
            Self::Confirm(user, call) | Self::Decline(user, call) => Some((user, *call)),
            Self::AskAgain(..) | Self::Withdraw(_) => None,
        }
    }

    /// The answer where too much is under way.
    pub(super) fn busy(self) -> MatchEffect {
        self.refused(ProposalAnswer::Busy, AskAnswer::Busy, WithdrawAnswer::Busy)
    }

    /// The answer where the store is away.
    pub(super) fn unavailable(self) -> MatchEffect {
        self.refused(
            ProposalAnswer::Unavailable,
            AskAnswer::Unavailable,
            WithdrawAnswer::Unavailable,
        )
    }

    fn refused(
        self,
        proposal: ProposalAnswer,
        ask: AskAnswer,
        withdraw: WithdrawAnswer,
    ) -> MatchEffect {
        match self {
            Self::Confirm(_, call) | Self::Decline(_, call) => MatchEffect::Answer(call, proposal),
            Self::AskAgain(_, call) => MatchEffect::AnswerAsk(call, ask),
            Self::Withdraw(call) => MatchEffect::AnswerWithdraw(call, withdraw),
        }
    }
}
