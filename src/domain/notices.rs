//! What users are told, and what callers are answered.

use super::sessions::SessionRecord;
use super::tickets::{Ticket, Wish};
use super::values::{MatchId, SessionId, TicketId, Timestamp, UserId};

/// Something that a user is told on every socket, once it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A partner was found; confirm or decline.
    MatchFound {
        /// The match.
        match_id: MatchId,
        /// The other one.
        partner: UserId,
        /// What this user asked for, in this user's spelling.
        wish: Wish,
        /// When the confirmation window is over.
        expires_at: Timestamp,
    },
    /// Both confirmed, and the session can be read.
    MatchReady {
        /// The match.
        match_id: MatchId,
        /// Its session.
        session: SessionId,
        /// The question's id.
        question_id: i64,
        /// The other one.
        partner: UserId,
    },
    /// The match ended without a session.
    MatchExpired {
        /// The match.
        match_id: MatchId,
        /// Why.
        reason: ExpiryReason,
        /// Whether this user's ticket waits again.
        requeued: bool,
    },
    /// A ticket waited in vain.
    TicketExpired {
        /// The ticket.
        ticket: TicketId,
    },
    /// The partner left the session.
    PartnerLeft {
        /// The session.
        session: SessionId,
        /// Who left.
        user: UserId,
    },
}

/// Why a match ended without a session, as its users are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryReason {
    /// Nobody or only one confirmed in time.
    ConfirmationTimeout,
    /// The partner declined.
    PartnerDeclined,
    /// Both confirmed, but no session could be opened.
    QuestionUnavailable,
}

/// Names a caller that waits for an answer; unique within the actor that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What somebody who asked for a partner is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskAnswer {
    /// This ticket is theirs, and stored.
    Ticket {
        /// The ticket.
        ticket: Box<Ticket>,
        /// Whether it is in a match.
        matched: bool,
    },
    /// They hold a live ticket already.
    Duplicate {
        /// That ticket.
        ticket: TicketId,
        /// Whether it is in a match.
        matched: bool,
    },
    /// Too much is under way; nothing changed.
    Busy,
    /// The store is away; nothing changed.
    Unavailable,
}

/// What somebody who withdraws a ticket is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithdrawAnswer {
    /// It is cancelled.
    Withdrawn,
    /// It is over or in a match.
    NotPending,
    /// Its pairing was not decided in time; nothing changed.
    Busy,
    /// The store is away; nothing changed.
    Unavailable,
}

/// What somebody who confirms or declines a match is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalAnswer {
    /// Confirmed; the partner has not answered yet.
    WaitingForPartner,
    /// Both confirmed, and here is the session.
    Session(Box<SessionRecord>),
    /// Declined; the partner waits again.
    Declined,
    /// Both have confirmed: it cannot be declined any more.
    AlreadyConfirmed,
    /// The match is over, or never was the caller's.
    NotFound,
    /// Both confirmed, but no question or session key could be had yet; it is tried again.
    QuestionUnavailable,
    /// Too much is under way; nothing changed.
    Busy,
    /// The store is away; nothing changed.
    Unavailable,
}

/// What somebody who leaves a session is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveAnswer {
    /// They have left, now or earlier.
    Left,
    /// They are no member.
    NotMember,
    /// Too much is under way; nothing changed.
    Busy,
    /// The store is away; nothing changed.
    Unavailable,
}

/// The promises of this server, each with a counter that must stay 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guarantee {
    /// A user has at most one live claim.
    OneLiveClaim,
    /// What was acknowledged is durable.
    Durable,
    /// A match has two distinct users, and a ticket is in one match at most.
    SymmetricPairs,
    /// Where outcomes race, exactly one wins, and all tell the same.
    OneOutcome,
    /// Both confirmed: exactly one session, announced after it can be read.
    OneSession,
    /// Nothing that another does worsens a place.
    PlaceKept,
    /// Deadlines are stored and honoured.
    TimeKept,
    /// Every queue is bounded.
    Bounded,
    /// Nobody sees or moves what is not theirs.
    OwnOnly,
    /// A backend that is away never hangs a request.
    NoHang,
}

impl Guarantee {
    /// Every one, G1 to G10.
    pub const ALL: [Self; 10] = [
        Self::OneLiveClaim,
        Self::Durable,
        Self::SymmetricPairs,
        Self::OneOutcome,
        Self::OneSession,
        Self::PlaceKept,
        Self::TimeKept,
        Self::Bounded,
        Self::OwnOnly,
        Self::NoHang,
    ];

    /// The label under which breaches are counted.
    pub fn label(self) -> &'static str {
        match self {
            Self::OneLiveClaim => "g1_one_live_claim",
            Self::Durable => "g2_durable",
            Self::SymmetricPairs => "g3_symmetric_pairs",
            Self::OneOutcome => "g4_one_outcome",
            Self::OneSession => "g5_one_session",
            Self::PlaceKept => "g6_place_kept",
            Self::TimeKept => "g7_time_kept",
            Self::Bounded => "g8_bounded",
            Self::OwnOnly => "g9_own_only",
            Self::NoHang => "g10_no_hang",
        }
    }
}

/// A guarantee that was found broken, with what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Breach {
    /// Which.
    pub guarantee: Guarantee,
    /// What was seen, one sentence.
    pub seen: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_guarantee_is_counted_under_its_number() {
        for (number, guarantee) in (1..).zip(Guarantee::ALL) {
            let label = guarantee.label();
            assert!(label.starts_with(&format!("g{number}_")), "{label}");
        }
    }
}
