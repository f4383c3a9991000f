//! Socket frames, server to client.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::rfc3339;
use crate::docs::values;
use domain::{ExpiryReason, Notice};

/// One event on a socket.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    MatchFound(MatchFound<'a>),
    MatchReady(MatchReady<'a>),
    MatchExpired(MatchExpired),
    RequestTimeout(RequestTimeout),
    PartnerLeft(PartnerLeft<'a>),
}

/// A partner is found: confirm or decline.
///
/// Told to both once the match is stored, and at once to whoever connects while it is open.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatchFound<'a> {
    match_id: Uuid,
    #[schema(value_type = values::UserId)]
    partner_id: &'a str,
    #[schema(value_type = values::Difficulty)]
    difficulty: &'static str,
    /// In the spelling of whoever is told.
    #[schema(value_type = values::Topic)]
    topic: &'a str,
    /// When the confirmation window is over, in UTC.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Both have confirmed, and the session can be read.
///
/// Told to both.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatchReady<'a> {
    match_id: Uuid,
    session_id: Uuid,
    /// The question's id, as text.
    #[schema(value_type = values::QuestionIdText)]
    question_id: String,
    #[schema(value_type = values::UserId)]
    partner_id: &'a str,
}

/// The match ended without a session.
///
/// Told to both, but of a decline to the partner only.
#[derive(Debug, Serialize, ToSchema)]
pub struct MatchExpired {
    match_id: Uuid,
    #[schema(value_type = values::ExpiryReason)]
    reason: &'static str,
    /// Whether the request of whoever is told waits again, in its old place.
    requeued: bool,
}

/// A request waited in vain.
///
/// Told to whoever asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestTimeout {
    request_id: Uuid,
}

/// The partner left the session.
///
/// Told once, to whoever is still in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerLeft<'a> {
    session_id: Uuid,
    /// Who left.
    #[schema(value_type = values::UserId)]
    user_id: &'a str,
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
        } => Frame::MatchFound(MatchFound {
            match_id: match_id.0,
            partner_id: partner.as_str(),
            difficulty: wish.difficulty.as_str(),
            topic: wish.topic.as_str(),
            expires_at: rfc3339(*expires_at),
        }),
        Notice::MatchReady {
            match_id,
            session,
            question_id,
            partner,
        } => Frame::MatchReady(MatchReady {
            match_id: match_id.0,
            session_id: session.0,
            question_id: question_id.to_string(),
            partner_id: partner.as_str(),
        }),
        Notice::MatchExpired {
            match_id,
            reason,
            requeued,
        } => Frame::MatchExpired(MatchExpired {
            match_id: match_id.0,
            reason: match reason {
                ExpiryReason::ConfirmationTimeout => "confirmation_timeout",
                ExpiryReason::PartnerDeclined => "partner_declined",
                ExpiryReason::QuestionUnavailable => "question_unavailable",
            },
            requeued: *requeued,
        }),
        Notice::TicketExpired { ticket } => Frame::RequestTimeout(RequestTimeout {
            request_id: ticket.0,
        }),
        Notice::PartnerLeft { session, user } => Frame::PartnerLeft(PartnerLeft {
            session_id: session.0,
            user_id: user.as_str(),
        }),
    })
}
