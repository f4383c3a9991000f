//! For whoever runs it: what this is, liveness and readiness.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::future::join;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::docs::failures;
use super::error::ApiError;
use super::state::{Backend, Edge, Stage};
use super::wire::{Health, Liveness, Readiness};
use domain::{TicketId, Write, WriteOutcome};
use observability::Needed;
use settings::Database;

/// Longest wait for a write that shows whether the store takes any, in milliseconds.
const PROBE_WITHIN_MS: u64 = 900;

/// What this is, where it runs, and that it answers.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "read_health",
    tag = "operations",
    responses((status = 200, description = "It answers.", body = Health), failures::UntilStopped),
    security(())
)]
pub async fn health(edge: web::Data<Edge>) -> HttpResponse {
    let settings = &edge.settings;
    let environment = settings.environment.as_str();
    HttpResponse::Ok().json(Health::new(&settings.app_name, environment, edge.port))
}

/// The process answers.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "read_liveness",
    tag = "operations",
    responses((status = 200, description = "It does.", body = Liveness)),
    security(())
)]
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Liveness::ALIVE)
}

/// New work is taken, and what is taken can be stored.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "read_readiness",
    tag = "operations",
    responses(
        (
            status = 200,
            description = "It is. What does not answer meanwhile is named.",
            body = Readiness
        ),
        failures::Readiness,
    ),
    security(())
)]
pub async fn readyz(edge: web::Data<Edge>) -> Result<HttpResponse, ApiError> {
    match edge.stage() {
        Stage::Starting => match edge.needed.awaited() {
            nothing if nothing.is_empty() => Err(ApiError::Starting),
            waiting_for => Err(ApiError::NotReady { waiting_for }),
        },
        Stage::Stopping => Err(ApiError::Stopping),
        Stage::Ready => {
            let backend = edge.backend()?;
            // Both at the same time, so that whoever asks hears within a second.
            let (answers, takes_writes) = join(backend.records.ping(), takes_writes(backend)).await;
            if let Err(away) = answers {
                return Err(without_database(&edge).unwrap_or_else(|| away.into()));
            }
            if let Err(error) = takes_writes {
                return Err(without_database(&edge).unwrap_or(error));
            }
            let waiting_for = edge.needed.awaited();
            Ok(HttpResponse::Ok().json(Readiness::new(&waiting_for)))
        }
    }
}

/// Nothing can be stored now; where the database is a server, it is named with what else is away.
fn without_database(edge: &Edge) -> Option<ApiError> {
    if !matches!(edge.settings.database, Database::Postgres(_)) {
        return None;
    }
    let mut waiting_for = edge.needed.awaited();
    if !waiting_for.contains(&Needed::PostgreSql) {
        waiting_for.insert(0, Needed::PostgreSql);
    }
    Some(ApiError::NotReady { waiting_for })
}

/// Sends a write through the store that changes nothing: it is about a ticket that cannot be.
async fn takes_writes(backend: &Backend) -> Result<(), ApiError> {
    let (done, outcome) = oneshot::channel();
    let write = Write::CountAsk {
        ticket: TicketId(Uuid::nil()),
        asks: 0,
    };
    let deadline = Some(backend.clock.now().plus_ms(PROBE_WITHIN_MS));
    let done = Box::new(move |outcome| drop(done.send(outcome)));
    backend.store.submit(write, deadline, done);
    match timeout(Duration::from_millis(PROBE_WITHIN_MS), outcome).await {
        Ok(Ok(WriteOutcome::Stored | WriteOutcome::Refused(_))) => Ok(()),
        Ok(Ok(WriteOutcome::Unavailable) | Err(_)) | Err(_) => Err(ApiError::Unavailable),
    }
}
