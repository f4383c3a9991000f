//! For operators: liveness, readiness, metrics, and the state of the actors.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use futures_util::future::join;
use metrics::gauge;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::auth::Operator;
use super::docs::failures;
use super::error::ApiError;
use super::state::{Backend, Edge, Stage};
use super::wire::{Health, Liveness, Readiness};
use crate::actors::board::MatchView;
use crate::domain::{TicketId, Write, WriteOutcome};
use crate::observability::{
    ASKS_UNDER_WAY, BUCKETS, MATCHES_OPEN, Needed, OLDEST_WAIT, RATED_USERS, SESSIONS_OPEN,
    SOCKET_USERS, SOCKETS_OPEN, TICKETS_LIVE, TICKETS_WAITING,
};
use crate::settings::Database;

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

/// All metrics in Prometheus' text format; open in dev.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "read_metrics",
    tag = "operations",
    responses(
        (status = 200, description = "One sample a line.", body = String, content_type = "text/plain"),
        failures::UntilStopped,
    ),
    security((), ("admin" = []))
)]
pub async fn metrics(_: Operator, edge: web::Data<Edge>) -> Result<HttpResponse, ApiError> {
    let backend = edge.backend()?;
    let buckets = backend.board.buckets();
    let oldest = buckets.iter().filter_map(|(_, bucket)| bucket.oldest).min();
    let now = backend.clock.now();
    let oldest_ms = oldest.map_or(0, |oldest| now.ms_since(oldest));
    let waiting: usize = buckets.iter().map(|(_, bucket)| bucket.waiting).sum();
    gauge!(BUCKETS).set(buckets.len() as f64);
    gauge!(TICKETS_WAITING).set(waiting as f64);
    gauge!(OLDEST_WAIT).set(oldest_ms as f64 / 1_000.0);
    gauge!(SESSIONS_OPEN).set(backend.board.sessions_len() as f64);
    gauge!(TICKETS_LIVE).set(backend.board.tickets_len() as f64);
    gauge!(SOCKETS_OPEN).set(edge.sockets.len() as f64);
    gauge!(SOCKET_USERS).set(edge.sockets.users() as f64);
    gauge!(ASKS_UNDER_WAY).set(edge.throttle.under_way() as f64);
    gauge!(RATED_USERS).set(edge.asks.len() as f64);
    for (limit, height) in edge.limits() {
        limit.show(height);
    }
    for (state, count) in matches_by_state(&edge)? {
        gauge!(MATCHES_OPEN, "state" => state).set(count as f64);
    }
    let text = (edge.render_metrics)();
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}

/// The state of the actors; open in dev.
#[utoipa::path(
    get,
    path = "/debug/actors",
    operation_id = "read_actors",
    tag = "operations",
    responses(
        (status = 200, description = "For people: what is in it may change.", body = Object),
        failures::Serving,
    ),
    security((), ("admin" = []))
)]
pub async fn actors(_: Operator, edge: web::Data<Edge>) -> Result<HttpResponse, ApiError> {
    let backend = edge.backend()?;
    let now = backend.clock.now();
    let buckets: Vec<_> = backend
        .board
        .buckets()
        .into_iter()
        .map(|(key, bucket)| {
            json!({
                "difficulty": key.difficulty.as_str(),
                "topic": key.topic.as_str(),
                "queue_length": bucket.waiting,
                "oldest_wait_ms": bucket.oldest.map(|oldest| now.ms_since(oldest)),
                "set_aside": bucket.set_aside,
                "mailbox": bucket.mailbox,
            })
        })
        .collect();
    let state = json!({
        "buckets": buckets,
        "tickets": { "waiting": backend.board.waiting(), "known": backend.board.tickets_len() },
        "matches": matches_by_state(&edge)?,
        "sessions": { "open": backend.board.sessions_len() },
        "sockets": { "open": edge.sockets.len(), "users": edge.sockets.users() },
    });
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::json())
        .json(state))
}

fn matches_by_state(edge: &Edge) -> Result<BTreeMap<&'static str, usize>, ApiError> {
    let mut counts = BTreeMap::from([("proposed", 0), ("opening", 0), ("in_session", 0)]);
    for (_, view) in edge.backend()?.board.matches() {
        let state = match view {
            MatchView::Proposed { .. } => "proposed",
            MatchView::Opening => "opening",
            MatchView::InSession(_) => "in_session",
        };
        *counts.entry(state).or_default() += 1;
    }
    Ok(counts)
}
