//! For operators: the state of the actors, and the timeline of one ticket.

mod sentences;
mod state;
mod timeline;

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::auth::Operator;
use super::calls::answered;
use super::docs::{failures, values};
use super::error::ApiError;
use super::state::{Backend, Edge};
use super::wire::{ActorsState, QueuedTicket, TicketTimeline, rfc3339_ms};
use actors::messages::{ExplainTicket, ListQueue};
use domain::{BucketKey, Difficulty, MatchId, Place, TicketId, Timestamp, Topic};

/// Items in one list of an answer: as many as are given, and most that can be asked for.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// What is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActorsQuery {
    /// One bucket only, as `difficulty:topic`, and who waits in it.
    #[param(value_type = values::AskedBucket, inline, required = false, example = "Easy:hash table")]
    bucket: Option<String>,
    /// Buckets only with this text in their difficulty or topic.
    search: Option<String>,
    /// How buckets are sorted.
    #[serde(default)]
    #[param(inline, required = false)]
    order: Order,
    /// Items in one list at most.
    #[serde(default = "limit")]
    #[param(minimum = 1, maximum = 1_000, required = false)]
    limit: usize,
    /// Buckets and sessions to leave out at the beginning.
    #[serde(default)]
    #[param(minimum = 0, required = false)]
    offset: usize,
    /// With `bucket`: the queue goes on behind this ticket.
    after: Option<Uuid>,
}

/// How buckets are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By difficulty and topic: pages stay what they are.
    #[default]
    Key,
    /// Those with the most who wait first.
    Waiting,
}

fn limit() -> usize {
    LIMIT
}

/// The state of the actors; open in dev.
///
/// Long lists are paged. It is read beside the actors: asking does not hold up anybody.
#[utoipa::path(
    get,
    path = "/debug/actors",
    operation_id = "read_actors",
    tag = "operations",
    params(ActorsQuery),
    responses(
        (status = 200, description = "How they stand.", body = ActorsState),
        failures::ReadActors,
    ),
    security((), ("admin" = []))
)]
pub async fn actors(
    _: Operator,
    edge: web::Data<Edge>,
    query: Result<web::Query<ActorsQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|fault| ApiError::InvalidQuery(fault.to_string()))?;
    let query = query.into_inner();
    if !(1..=LIMIT_MAX).contains(&query.limit) {
        let fault = format!("limit must be from 1 to {LIMIT_MAX}");
        return Err(ApiError::InvalidQuery(fault));
    }
    let backend = edge.backend()?;
    let bucket = query.bucket.as_deref().map(bucket_key).transpose()?;
    let queue = match &bucket {
        Some(key) => Some(queue(backend, key, query.after, query.limit).await?),
        None => None,
    };
    // Not on the thread of the actors: with very many buckets or sessions it takes a while.
    let shared = edge.clone();
    let written = web::block(move || {
        let state = state::read(&shared, &query, bucket.as_ref(), queue)?;
        serde_json::to_vec(&state).map_err(|_| ApiError::Internal)
    });
    let written = written.await.map_err(|_| ApiError::Internal)??;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(written))
}

/// The bucket that `difficulty:topic` names.
fn bucket_key(text: &str) -> Result<BucketKey, ApiError> {
    let (difficulty, topic) = text.split_once(':').ok_or_else(|| {
        ApiError::InvalidQuery("bucket must be a difficulty and a topic, such as Easy:Array".into())
    })?;
    Ok(BucketKey {
        difficulty: Difficulty::parse(difficulty)?,
        topic: Topic::parse(topic)?.key(),
    })
}

async fn queue(
    backend: &Backend,
    key: &BucketKey,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<QueuedTicket>, ApiError> {
    let (reply, listed) = oneshot::channel();
    backend.send(ListQueue {
        bucket: key.clone(),
        after: after.map(place_of).transpose()?,
        limit,
        reply,
    })?;
    let listed = answered(listed).await?.ok_or(ApiError::BucketNotFound)?;
    let now = backend.clock.now();
    let queued = listed.into_iter().map(|(ticket, held)| QueuedTicket {
        ticket_id: ticket.id.0,
        user_id: ticket.user.to_string(),
        waited_ms: now.ms_since(ticket.enqueued_at),
        waits_until: rfc3339_ms(ticket.waits_until),
        set_aside: held.map(sentences::held_word),
    });
    Ok(queued.collect())
}

/// The place of a ticket that may have gone: its id tells when it was first enqueued.
fn place_of(id: Uuid) -> Result<Place, ApiError> {
    let time = id.get_timestamp().map(|time| time.to_unix());
    let (seconds, nanos) =
        time.ok_or(ApiError::InvalidQuery("after must be a ticket's id".into()))?;
    let ms = seconds
        .saturating_mul(1_000)
        .saturating_add(u64::from(nanos) / 1_000_000);
    Ok(Place {
        enqueued_at: Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX)),
        ticket: TicketId(id),
    })
}

/// The timeline of one ticket, and why it is where it is; open in dev.
#[utoipa::path(
    get,
    path = "/debug/tickets/{ticket_id}",
    operation_id = "read_ticket_timeline",
    tag = "operations",
    params(("ticket_id" = Uuid, Path, description = "The `request_id` of other calls.")),
    responses(
        (status = 200, description = "What is known of it.", body = TicketTimeline),
        failures::ReadTimeline,
    ),
    security((), ("admin" = []))
)]
pub async fn ticket(
    _: Operator,
    edge: web::Data<Edge>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = Uuid::try_parse(&id).map_err(|_| ApiError::TicketNotFound)?;
    let (id, backend) = (TicketId(id), edge.backend()?);
    let decided = backend.board.decisions.of(id);
    let mut matches: Vec<MatchId> = decided.iter().filter_map(|it| it.what.of_match()).collect();
    matches.sort_unstable();
    matches.dedup();
    let past = backend.timelines.past_of(id, &matches).await?;
    let past = past.ok_or(ApiError::TicketNotFound)?;
    let explained = if past.status == "waiting" {
        let (reply, explained) = oneshot::channel();
        let bucket = past.wish.bucket();
        backend.send(ExplainTicket {
            bucket,
            ticket: id,
            reply,
        })?;
        answered(explained).await?
    } else {
        None
    };
    Ok(HttpResponse::Ok().json(timeline::of(id, &past, explained, &decided)))
}
