//! Socket frames, server to client.

use serde::Serialize;
use uuid::Uuid;

use super::rfc3339;
use crate::domain::{ExpiryReason, Notice};

/// One event on a socket.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    MatchFound {
        match_id: Uuid,
        partner_id: &'a str,
        difficulty: &'static str,
        topic: &'a str,
        expires_at: String,
    },
    MatchReady {
        match_id: Uuid,
        session_id: Uuid,
        question_id: String,
        partner_id: &'a str,
    },
    MatchExpired {
        match_id: Uuid,
        reason: &'static str,
        requeued: bool,
    },
    RequestTimeout {
        request_id: Uuid,
    },
    PartnerLeft {
        session_id: Uuid,
        user_id: &'a str,
    },
}

/// The text frame that tells a client `notice`.
///
/// # Errors
///
/// What the JSON library reports; for these types there is nothing to report.
pub fn frame(notice: &Notice) -> serde_json::Result<String> {
    serde_json::to_string(&match notice {
        Notice::MatchFound {
            match_id,
            partner,
            wish,
            expires_at,
        } => Frame::MatchFound {
            match_id: match_id.0,
            partner_id: partner.as_str(),
            difficulty: wish.difficulty.as_str(),
            topic: wish.topic.as_str(),
            expires_at: rfc3339(*expires_at),
        },
        Notice::MatchReady {
            match_id,
            session,
            question_id,
            partner,
        } => Frame::MatchReady {
            match_id: match_id.0,
            session_id: session.0,
            question_id: question_id.to_string(),
            partner_id: partner.as_str(),
        },
        Notice::MatchExpired {
            match_id,
            reason,
            requeued,
        } => Frame::MatchExpired {
            match_id: match_id.0,
            reason: match reason {
                ExpiryReason::ConfirmationTimeout => "confirmation_timeout",
                ExpiryReason::PartnerDeclined => "partner_declined",
                ExpiryReason::QuestionUnavailable => "question_unavailable",
            },
            requeued: *requeued,
        },
        Notice::TicketExpired { ticket } => Frame::RequestTimeout {
            request_id: ticket.0,
        },
        Notice::PartnerLeft { session, user } => Frame::PartnerLeft {
            session_id: session.0,
            user_id: user.as_str(),
        },
    })
}
