//! Open, read and withdraw a ticket.

use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::auth::AuthenticatedUser;
use super::body;
use super::calls::call;
use super::docs::{answers, failures};
use super::error::ApiError;
use super::state::Edge;
use super::wire::{AskBody, RequestCreated, RequestStatus, Withdrawn};
use actors::messages::{OpenTicket, WithdrawTicket};
use domain::{AskAnswer, TicketId, WithdrawAnswer};
use observability::Cause;
use ports::StoredStatus;

/// Ask for a partner.
///
/// The answer is the caller's ticket, which waits until a partner is found, its time is over or it is
/// withdrawn. Whoever is in a match, or was put back by one, gets that same ticket when asking for
/// the same again; asking for something else declines the match or replaces the ticket.
#[utoipa::path(
    post,
    path = "/request",
    operation_id = "open_request",
    tag = "matching",
    request_body = AskBody,
    responses(
        (status = 200, description = "The ticket.", body = RequestCreated),
        failures::OpenTicket,
    ),
    security(("bearer" = []))
)]
pub async fn open(
    user: AuthenticatedUser,
    edge: web::Data<Edge>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    edge.asks.check(&user.id)?;
    let wish = body::json::<AskBody>(&request, payload).await?.wish()?;
    let command = |deadline, reply| OpenTicket {
        user: user.id,
        wish,
        cause: Cause::current(),
        deadline,
        reply,
    };
    // After the body, for which a slow client may take long.
    let _under_way = edge.throttle.begin().ok_or(ApiError::Busy)?;
    match call(&edge, command).await?.0 {
        AskAnswer::Ticket { ticket, matched } => {
            Ok(HttpResponse::Ok().json(RequestCreated::new(&ticket, matched)))
        }
        AskAnswer::Duplicate { ticket, matched } => {
            Err(ApiError::DuplicateRequest { ticket, matched })
        }
        AskAnswer::Busy => Err(ApiError::Busy),
        AskAnswer::Unavailable => Err(ApiError::Unavailable),
    }
}

/// How one of the caller's requests stands.
///
/// To be polled where no socket is used.
#[utoipa::path(
    get,
    path = "/requests/{request_id}/status",
    operation_id = "read_request",
    tag = "matching",
    params(("request_id" = Uuid, Path, description = "The `id` of the ticket.")),
    responses(
        (status = 200, description = "How it stands.", body = answers::RequestStanding),
        failures::ReadTicket,
    ),
    security(("bearer" = []))
)]
pub async fn status(
    user: AuthenticatedUser,
    edge: web::Data<Edge>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = ticket_id(&path)?;
    let backend = edge.backend()?;
    // Somebody else's is looked for where one that nobody has is, so that the time tells nothing either.
    if let Some(ticket) = backend.board.ticket(id)
        && ticket.user == user.id
    {
        return Ok(HttpResponse::Ok().json(RequestStatus::live(ticket.match_id)));
    }
    let stored = backend
        .records
        .ticket(id)
        .await?
        .filter(|ticket| ticket.user == user.id);
    let ticket = stored.ok_or(ApiError::RequestNotFound)?;
    Ok(HttpResponse::Ok().json(RequestStatus::stored(ticket.status)))
}

/// Withdraw one of the caller's requests, while it waits.
#[utoipa::path(
    delete,
    path = "/request/{request_id}",
    operation_id = "withdraw_request",
    tag = "matching",
    params(("request_id" = Uuid, Path, description = "The `id` of the ticket.")),
    responses(
        (status = 200, description = "It waits no more.", body = Withdrawn),
        failures::WithdrawTicket,
    ),
    security(("bearer" = []))
)]
pub async fn withdraw(
    user: AuthenticatedUser,
    edge: web::Data<Edge>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let ticket = ticket_id(&path)?;
    let owner = user.id.clone();
    let command = |deadline, reply| WithdrawTicket {
        user: owner,
        ticket,
        cause: Cause::current(),
        deadline,
        reply,
    };
    let (answer, backend) = call(&edge, command).await?;
    match answer {
        Some(WithdrawAnswer::Withdrawn) => Ok(HttpResponse::Ok().json(Withdrawn::MESSAGE)),
        Some(WithdrawAnswer::NotPending) => Err(ApiError::NotPending),
        Some(WithdrawAnswer::Busy) => Err(ApiError::Busy),
        Some(WithdrawAnswer::Unavailable) => Err(ApiError::Unavailable),
        None => {
            let stored = backend.records.ticket(ticket).await?;
            let own = stored.filter(|ticket| ticket.user == user.id);
            match own.map(|ticket| ticket.status) {
                // Stored a moment ago, or not ours: whoever asks again finds out.
                Some(StoredStatus::Waiting) => Err(ApiError::Unavailable),
                Some(_) => Err(ApiError::NotPending),
                None => Err(ApiError::RequestNotFound),
            }
        }
    }
}

fn ticket_id(path: &str) -> Result<TicketId, ApiError> {
    Uuid::try_parse(path)
        .map(TicketId)
        .map_err(|_| ApiError::RequestNotFound)
}
