//! Confirm, decline and read a match.

use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::auth::AuthenticatedUser;
use super::body;
use super::calls::{CONFIRM_WITHIN_MS, call_and_wait};
use super::docs::{answers, failures, samples};
use super::error::ApiError;
use super::state::{Backend, Edge};
use super::wire::{ConfirmBody, Declined, MatchStatus, SessionReady, WaitingForPartner};
use actors::board::MatchView;
use actors::messages::AnswerProposal;
use domain::{Ending, MatchId, ProposalAnswer, SessionRecord, Side, UserId};
use observability::Cause;
use ports::StoredMatchState;

/// Confirm or decline a match.
///
/// Repeating a confirmation is harmless: it gives the same answer, never a second session.
#[utoipa::path(
    post,
    path = "/confirm",
    operation_id = "answer_match",
    tag = "matching",
    request_body = ConfirmBody,
    responses(
        (status = 200, description = "What came of it.", body = answers::ProposalAnswered, examples(
            ("First" = (
                summary = "The first of the two confirms",
                value = json!(samples::waiting_for_partner())
            )),
            ("Second" = (
                summary = "The second one confirms",
                value = json!(samples::session_ready())
            )),
            ("Decline" = (summary = "One declines", value = json!(samples::declined()))),
        )),
        failures::AnswerProposal,
    ),
    security(("bearer" = []))
)]
pub async fn answer(
    user: AuthenticatedUser,
    edge: web::Data<Edge>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    edge.asks.check(&user.id)?;
    let body = body::json::<ConfirmBody>(&request, payload).await?;
    let id = Uuid::try_parse(&body.match_id).map_err(|_| ApiError::InvalidId("match_id"))?;
    let token = user.token.clone();
    let (match_id, confirmed, caller) = (MatchId(id), body.confirmed, user.id.clone());
    let command = |deadline, reply| AnswerProposal {
        user: caller,
        match_id,
        confirmed,
        token,
        cause: Cause::current(),
        deadline,
        reply,
    };
    // Where both confirmations are stored a question is still looked for, which may take long.
    let goes_on = |backend: &Backend| {
        let view = backend.board.find_match(match_id);
        matches!(view, Some(MatchView::Opening)) && !backend.store.is_stuck()
    };
    let waited_ms = u64::try_from(user.since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let within_ms = CONFIRM_WITHIN_MS.saturating_sub(waited_ms);
    let called = call_and_wait(&edge, within_ms, goes_on, command);
    let (answer, backend) = called.await?;
    match answer {
        Some(ProposalAnswer::WaitingForPartner) => {
            Ok(HttpResponse::Ok().json(WaitingForPartner::new(match_id)))
        }
        Some(ProposalAnswer::Session(session)) => ready(&session, &user.id),
        Some(ProposalAnswer::Declined) => Ok(HttpResponse::Ok().json(Declined::new(match_id))),
        Some(ProposalAnswer::AlreadyConfirmed) => Err(ApiError::AlreadyConfirmed),
        Some(ProposalAnswer::QuestionUnavailable) => Err(ApiError::QuestionUnavailable),
        Some(ProposalAnswer::Busy) => Err(ApiError::Busy),
        Some(ProposalAnswer::Unavailable) => Err(ApiError::Unavailable),
        // No actor holds it as open: the rows tell how it ended.
        Some(ProposalAnswer::NotFound) | None => over(backend, match_id, &user.id, confirmed).await,
    }
}

/// How a match stands; open to anybody who knows its id.
#[utoipa::path(
    get,
    path = "/{match_id}/status",
    operation_id = "read_match",
    tag = "matching",
    params(("match_id" = Uuid, Path, description = "As the status of a request tells it.")),
    responses(
        (status = 200, description = "How it stands.", body = answers::MatchStanding),
        failures::ReadMatch,
    ),
    security(())
)]
pub async fn status(
    edge: web::Data<Edge>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = Uuid::try_parse(&path)
        .map(MatchId)
        .map_err(|_| ApiError::MatchNotFound)?;
    let backend = edge.backend()?;
    let session = match backend.board.find_match(id) {
        Some(MatchView::InSession(session)) => Some(session.0),
        Some(MatchView::Proposed { .. } | MatchView::Opening) => None,
        None => {
            let stored = backend.records.find_match(id).await?;
            let found_again = || backend.fallback.as_ref()?.session_of(id);
            match stored.map(|stored| stored.state) {
                Some(StoredMatchState::Open) => None,
                Some(StoredMatchState::InSession(session)) => Some(session.id.0),
                Some(StoredMatchState::Ended(_)) => return Err(ApiError::MatchNotFound),
                None => Some(found_again().ok_or(ApiError::MatchNotFound)?.id.0),
            }
        }
    };
    Ok(HttpResponse::Ok().json(MatchStatus::new(session)))
}

/// Answers about a match that no actor holds as open: repeating is harmless, late is not found.
async fn over(
    backend: &Backend,
    id: MatchId,
    user: &UserId,
    confirmed: bool,
) -> Result<HttpResponse, ApiError> {
    let stored = backend
        .records
        .find_match(id)
        .await?
        .ok_or(ApiError::MatchNotFound)?;
    let side = Side::BOTH
        .into_iter()
        .find(|side| stored.users[side.index()] == *user);
    let side = side.ok_or(ApiError::MatchNotFound)?;
    match stored.state {
        StoredMatchState::InSession(session) if confirmed => ready(&session, user),
        StoredMatchState::InSession(_) => Err(ApiError::AlreadyConfirmed),
        StoredMatchState::Ended(Ending::Declined(by)) if by == side && !confirmed => {
            Ok(HttpResponse::Ok().json(Declined::new(id)))
        }
        StoredMatchState::Ended(_) => Err(ApiError::MatchNotFound),
        // Stored a moment ago, or not ours: whoever asks again finds out.
        StoredMatchState::Open => Err(ApiError::Unavailable),
    }
}

fn ready(session: &SessionRecord, user: &UserId) -> Result<HttpResponse, ApiError> {
    let side = session.side_of(user).ok_or(ApiError::MatchNotFound)?;
    Ok(HttpResponse::Ok().json(SessionReady::new(session, side)))
}
