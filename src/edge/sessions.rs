//! Read and leave a session.

use std::sync::Arc;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use uuid::Uuid;

use super::auth::AuthenticatedUser;
use super::body;
use super::calls::call;
use super::docs::{answers::SessionText, failures, samples};
use super::error::ApiError;
use super::state::{Backend, Edge};
use super::wire::{self, ActiveSession, LeaveBody, SessionLeft};
use actors::messages::{LeaveSession, PartnerLeft};
use domain::{LeaveAnswer, SessionId};
use observability::Cause;
use ports::Left;

/// The caller's newest session that the caller has not left.
#[utoipa::path(
    get,
    path = "/sessions/active",
    operation_id = "find_session",
    tag = "sessions",
    responses(
        (status = 200, description = "The session.", body = ActiveSession),
        failures::FindSession,
    ),
    security(("bearer" = []))
)]
pub async fn active(
    user: AuthenticatedUser,
    edge: web::Data<Edge>,
) -> Result<HttpResponse, ApiError> {
    let backend = edge.backend()?;
    let found_again = || {
        Some(Arc::new(
            backend.fallback.as_ref()?.active_session(&user.id)?,
        ))
    };
    let session = backend.board.active_session(&user.id).or_else(found_again);
    let session = session.ok_or(ApiError::NoActiveSession)?;
    let side = session.side_of(&user.id).ok_or(ApiError::NoActiveSession)?;
    Ok(HttpResponse::Ok().json(ActiveSession::new(&session, side)))
}

/// What stands in a session; open to anybody who knows its id.
///
/// Only ids of real sessions are looked up in the shared store. Its text is answered as it stands,
/// except for what our own record knows better; an open session is answered without it.
#[utoipa::path(
    get,
    path = "/session/{session_id}",
    operation_id = "read_session",
    tag = "sessions",
    params(("session_id" = Uuid, Path, description = "As the second confirmation tells it.")),
    responses(
        (status = 200, description = "The session.", body = SessionText),
        failures::ReadSession,
    ),
    security(())
)]
pub async fn read(
    edge: web::Data<Edge>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = Uuid::try_parse(&path)
        .map(SessionId)
        .map_err(|_| ApiError::SessionNotFound)?;
    let backend = edge.backend()?;
    let (session, open) = match backend.board.session(id) {
        Some(session) => ((*session).clone(), true),
        None => {
            let stored = backend.records.session(id).await?;
            let found_again = || backend.fallback.as_ref()?.session(id);
            match stored {
                Some(stored) => (stored, false),
                None => (found_again().ok_or(ApiError::SessionNotFound)?, true),
            }
        }
    };
    let shared = match backend.shared.read(id).await {
        Ok(text) => text,
        Err(away) => {
            tracing::warn!(session = %id, "session {id} is answered from its record, because {away}");
            None
        }
    };
    if shared.is_none() && !open {
        return Err(ApiError::SessionNotFound);
    }
    let text = wire::session_text(shared.as_deref(), &session).map_err(|error| {
        tracing::error!(session = %id, "session {id} cannot be written: {error}");
        ApiError::Internal
    })?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(text))
}

/// Leave a session.
///
/// It ends when both have left. Leaving again, or a session that is not known, is no error.
#[utoipa::path(
    post,
    path = "/sessions/leave",
    operation_id = "leave_session",
    tag = "sessions",
    request_body = LeaveBody,
    responses(
        (status = 200, description = "The caller is not in it any more.", body = SessionLeft, examples(
            ("Member" = (summary = "The caller was in it", value = json!(samples::left()))),
            ("Unknown" = (
                summary = "There is no such session",
                value = json!(samples::left_unknown())
            )),
        )),
        failures::LeaveSession,
    ),
    security(("bearer" = []))
)]
pub async fn leave(
    user: AuthenticatedUser,
    edge: web::Data<Edge>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::json::<LeaveBody>(&request, payload).await?;
    let id = Uuid::try_parse(&body.session_id).map_err(|_| ApiError::InvalidId("session_id"))?;
    let (session, caller) = (SessionId(id), user.id.clone());
    let command = |deadline, reply| LeaveSession {
        user: caller,
        session,
        cause: Cause::current(),
        deadline,
        reply,
    };
    let (answer, backend) = call(&edge, command).await?;
    let left = match answer {
        Some(LeaveAnswer::Left) => SessionLeft::LEFT,
        Some(LeaveAnswer::NotMember) => return Err(ApiError::SessionNotFound),
        Some(LeaveAnswer::Busy) => return Err(ApiError::Busy),
        Some(LeaveAnswer::Unavailable) => return Err(ApiError::Unavailable),
        // No actor holds it: unknown, or over.
        None => match backend.records.session(session).await? {
            Some(stored) if stored.side_of(&user.id).is_some() => SessionLeft::LEFT,
            Some(_) => return Err(ApiError::SessionNotFound),
            None => leave_found_again(backend, session, &user).await?,
        },
    };
    Ok(HttpResponse::Ok().json(left))
}

/// Leaves a session that at most the shared store knows.
async fn leave_found_again(
    backend: &Backend,
    session: SessionId,
    user: &AuthenticatedUser,
) -> Result<SessionLeft, ApiError> {
    let Some(fallback) = &backend.fallback else {
        return Ok(SessionLeft::UNKNOWN);
    };
    let (roster, caller) = (backend.roster.clone(), user.id.clone());
    let on_left = move |partner| {
        let event = PartnerLeft {
            session,
            user: caller,
            partner,
        };
        // It is written, so whoever is to be told is told: with room awaited, not refused.
        async move { roster.send(event).await.unwrap_or_default() }.boxed()
    };
    match fallback.leave(session, &user.id, Box::new(on_left)).await? {
        Left::Done => Ok(SessionLeft::LEFT),
        Left::NotMember => Err(ApiError::SessionNotFound),
        Left::Unknown => Ok(SessionLeft::UNKNOWN),
    }
}
