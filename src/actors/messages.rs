//! Every message between the edge and the actors.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::{Addr, Message, Recipient};
use tokio::sync::oneshot;

use super::session::SessionActor;
use domain::bucket::{Listed, Standing};
use domain::{
    AskAnswer, BucketKey, LeaveAnswer, MatchId, Notice, Place, ProposalAnswer, SessionId, Ticket,
    TicketId, TicketOutcome, Timestamp, UserId, Wish, WithdrawAnswer, WriteOutcome,
};
use observability::Cause;
use ports::BearerToken;

/// Where an answer goes. Whoever waits for it may have gone.
pub type Reply<T> = oneshot::Sender<T>;

/// Names a socket within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(pub u64);

/// Command: ask for a partner. Answered once the ticket is stored or refused.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OpenTicket {
    /// Who asks.
    pub user: UserId,
    /// What for.
    pub wish: Wish,
    /// The request that this is for.
    pub cause: Cause,
    /// When the caller stops waiting; nothing is begun after that.
    pub deadline: Timestamp,
    /// Where the answer goes.
    pub reply: Reply<AskAnswer>,
}

/// Command: withdraw a ticket. Answered once that is stored or refused; with `None` where no actor
/// holds such a ticket of this user.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WithdrawTicket {
    /// Who withdraws.
    pub user: UserId,
    /// Which ticket.
    pub ticket: TicketId,
    /// The request that this is for.
    pub cause: Cause,
    /// When the caller stops waiting; nothing is begun after that.
    pub deadline: Timestamp,
    /// Where the answer goes.
    pub reply: Reply<Option<WithdrawAnswer>>,
}

/// Command: confirm or decline a match. Answered once that is stored or refused; with `None` where
/// no actor holds such a match.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AnswerProposal {
    /// Who answers.
    pub user: UserId,
    /// Which match.
    pub match_id: MatchId,
    /// Confirmed, or declined.
    pub confirmed: bool,
    /// The caller's token, lent to look for a question.
    pub token: BearerToken,
    /// The request that this is for.
    pub cause: Cause,
    /// When the caller stops waiting; nothing is begun after that.
    pub deadline: Timestamp,
    /// Where the answer goes.
    pub reply: Reply<Option<ProposalAnswer>>,
}

/// Command: leave a session. Answered once that is stored or refused; with `None` where no actor
/// holds such a session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LeaveSession {
    /// Who leaves.
    pub user: UserId,
    /// Which session.
    pub session: SessionId,
    /// The request that this is for.
    pub cause: Cause,
    /// When the caller stops waiting; nothing is begun after that.
    pub deadline: Timestamp,
    /// Where the answer goes.
    pub reply: Reply<Option<LeaveAnswer>>,
}

/// Event: a user opened a socket. It is told at once of a match that waits for an answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SocketConnected {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub socket: SocketId,
    /// Where its events go.
    pub recipient: Recipient<Deliver>,
    /// Set when events had no room any more: the socket is to close itself.
    pub too_slow: Arc<AtomicBool>,
}

/// Event: a socket is closed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SocketClosed {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub socket: SocketId,
}

/// Command: close every socket, because the server stops.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseSockets;

/// Query: how many tickets are live. Answered after everything that was stored is back.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct CountTickets;

/// Query: how a ticket stands in its bucket. Answered with `None` where it is not there.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ExplainTicket {
    /// The bucket.
    pub bucket: BucketKey,
    /// The ticket.
    pub ticket: TicketId,
    /// Where the answer goes.
    pub reply: Reply<Option<Explained>>,
}

/// How a ticket stands in its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// How it stands.
    pub standing: Standing,
    /// Whether nobody in the bucket is paired before an unconfirmed match of any bucket ends.
    pub awaits_permit: bool,
}

/// Query: who waits in a bucket. Answered with `None` where it has no actor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ListQueue {
    /// The bucket.
    pub bucket: BucketKey,
    /// Those behind this place only.
    pub after: Option<Place>,
    /// That many at most.
    pub limit: usize,
    /// Where the answer goes.
    pub reply: Reply<Option<Vec<Listed>>>,
}

/// Command to a socket.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum Deliver {
    /// Tell the client this.
    Notice {
        /// Whom it is for; a socket of anybody else refuses it.
        to: UserId,
        /// What.
        notice: Arc<Notice>,
    },
    /// Close: the server stops.
    GoingAway,
}

/// Event: a member left a session of which no actor knows.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PartnerLeft {
    /// The session.
    pub session: SessionId,
    /// Who left.
    pub user: UserId,
    /// Who is still in it, and is told.
    pub partner: UserId,
}

/// Command from the roster to a bucket: store this ticket, and take it in.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct JoinBucket {
    /// The ticket to be.
    pub ticket: Ticket,
    /// Who asked.
    pub ask: OpenTicket,
}

/// Command from the roster to whoever decides about the user's live ticket: they ask again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AskAgain {
    /// The ticket that the user holds.
    pub held: TicketId,
    /// The ticket that would take its place.
    pub again: Ticket,
    /// Who asked.
    pub ask: OpenTicket,
}

/// Command from the roster to a bucket, match or session that it has forgotten: stop. It comes last,
/// because nobody else has the address, so no command meets a stopped actor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// What a bucket is told of what has happened.
#[derive(Debug)]
pub enum BucketFact {
    /// The store answered a write about one ticket.
    TicketWritten(TicketId, WriteOutcome),
    /// The store answered a proposal.
    ProposalWritten(MatchId, WriteOutcome),
    /// This ticket, stored, waits here from now on.
    Admitted(Box<Ticket>),
    /// Whoever asked for this ticket could not be told of it.
    Abandoned(TicketId),
}

/// What the roster is told of what has happened.
#[derive(Debug)]
pub enum RosterFact {
    /// A ticket waits in its bucket.
    Opened(Box<Ticket>),
    /// A ticket, stored, is to wait in its bucket again.
    PutBack(Box<Ticket>),
    /// A ticket was closed and another of the same user stored, which is to wait in its bucket.
    Replaced {
        /// The one that ended.
        old: TicketId,
        /// The one that waits from now on.
        new: Box<Ticket>,
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
    /// Whoever asked for this ticket could not be told of it.
    Abandoned(Box<Ticket>),
    /// A match is stored, and this actor decides about it.
    Matched {
        /// Its id.
        match_id: MatchId,
        /// Its tickets.
        tickets: Box<[Ticket; 2]>,
        /// What its users are told, in the same order.
        found: Box<[Notice; 2]>,
        /// Its actor.
        actor: Addr<SessionActor>,
    },
    /// A match became a session.
    SessionOpened {
        /// The match.
        match_id: MatchId,
        /// Its session.
        session: SessionId,
    },
    /// A match ended without a session.
    MatchOver(MatchId),
    /// A session is over.
    SessionOver(MatchId, SessionId),
    /// A user is to be told something.
    Tell(UserId, Notice),
    /// The asker's ticket had moved on.
    AskMoved(OpenTicket),
    /// The ticket to be withdrawn had moved on.
    WithdrawMoved(WithdrawTicket),
}
