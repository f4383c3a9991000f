//! The state of the actors, put together from what they publish.

use std::cmp::{Ordering, Reverse};

use super::{ActorsQuery, Order};
use crate::error::ApiError;
use crate::state::{Backend, Edge};
use crate::wire::{
    ActorsState, BackendStates, BucketState, MatchCounts, MirrorCounts, OutboxState, QueuedTicket,
    RosterState, ServerState, SessionItem, SessionsState, SocketsState, StoreState, TicketCounts,
    rfc3339_ms,
};
use actors::ROSTER_MAILBOX;
use actors::board::{BucketReading, MatchState, MatchView};
use domain::{BucketKey, MatchId, Timestamp};
use observability::Needed;

/// All of it, with the `queue` of the one bucket that is asked for; sessions are listed where none is.
pub(super) fn read(
    edge: &Edge,
    query: &ActorsQuery,
    bucket: Option<&BucketKey>,
    queue: Option<Vec<QueuedTicket>>,
) -> Result<ActorsState, ApiError> {
    let backend = edge.backend()?;
    let (board, now) = (&backend.board, backend.clock.now());
    let all = board.buckets();
    let (buckets_total, waiting) = (
        all.len(),
        all.iter().map(|(_, bucket)| bucket.waiting).sum(),
    );
    let found = find(all, query, bucket);
    let backlog = backend.backlog.last();
    let in_all = MatchState::ALL.map(|state| board.matches_in(state));
    let mirror = backend.mirror.state();
    Ok(ActorsState {
        server: server(edge, now),
        roster: RosterState {
            mailbox: board.mailboxes.roster.depth(),
            mailbox_max: ROSTER_MAILBOX,
            rated_users: edge.asks.len(),
        },
        buckets_total,
        buckets_found: found.len(),
        offset: query.offset,
        limit: query.limit,
        buckets: page(&found, query)
            .map(|(key, bucket)| shown(key, bucket, now))
            .collect(),
        queue,
        tickets: TicketCounts {
            waiting,
            known: board.tickets_len(),
        },
        matches: MatchCounts {
            proposed: in_all[0],
            opening: in_all[1],
            in_session: in_all[2],
        },
        sessions: SessionsState {
            open: board.sessions_len(),
            total: in_all.iter().sum(),
            items: match bucket {
                None => sessions(backend, query, now),
                Some(_) => Vec::new(),
            },
        },
        sockets: SocketsState {
            open: edge.sockets.len(),
            users: edge.sockets.users(),
            per_worker: edge.sockets.by_worker(),
        },
        store: store(backend),
        outbox: backlog.map(|backlog| OutboxState {
            rows: backlog.rows,
            oldest_age_ms: backlog.oldest.map(|oldest| now.ms_since(oldest)),
        }),
        mirror: MirrorCounts {
            behind: mirror.behind,
            differences: mirror.differences,
        },
        backends: backends(edge),
    })
}

fn store(backend: &Backend) -> StoreState {
    let depth = backend.store.depth();
    StoreState {
        backend: depth.backend,
        urgent: depth.urgent,
        patient: depth.patient,
        stuck: backend.store.is_stuck(),
    }
}

fn server(edge: &Edge, now: Timestamp) -> ServerState {
    let runs_ms = i64::try_from(edge.began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let started_at = Timestamp::from_ms(now.as_ms().saturating_sub(runs_ms));
    ServerState {
        version: env!("CARGO_PKG_VERSION"),
        environment: edge.settings.environment.as_str().to_owned(),
        started_at: rfc3339_ms(started_at),
        recovery_seconds: edge.ready_after().as_secs_f64(),
    }
}

fn backends(edge: &Edge) -> BackendStates {
    let word = |backend| edge.needed.state(backend).label();
    BackendStates {
        postgresql: word(Needed::PostgreSql),
        redis: word(Needed::Redis),
        rabbitmq: word(Needed::RabbitMq),
    }
}

/// The buckets that are asked for, in the order that is asked for.
fn find(
    mut buckets: Vec<(BucketKey, BucketReading)>,
    query: &ActorsQuery,
    bucket: Option<&BucketKey>,
) -> Vec<(BucketKey, BucketReading)> {
    if let Some(bucket) = bucket {
        buckets.retain(|(key, _)| key == bucket);
    }
    if let Some(wanted) = &query.search {
        let wanted = wanted.trim().to_lowercase();
        buckets.retain(|(key, _)| {
            let difficulty = key.difficulty.as_lower_case();
            key.topic.as_str().contains(&wanted) || difficulty.contains(&wanted)
        });
    }
    sort_up_to(
        &mut buckets,
        query,
        |(one, first), (other, second)| match query.order {
            Order::Key => one.cmp(other),
            Order::Waiting => {
                let rank = |bucket: &BucketReading| (Reverse(bucket.waiting), bucket.oldest);
                rank(first).cmp(&rank(second)).then_with(|| one.cmp(other))
            }
        },
    );
    buckets
}

/// Sorts no more than is needed for the page: of very many, nearly all are on none that anybody reads.
fn sort_up_to<T>(items: &mut [T], query: &ActorsQuery, compare: impl Fn(&T, &T) -> Ordering) {
    let end = query.offset.saturating_add(query.limit);
    let read = if end < items.len() {
        items.select_nth_unstable_by(end, &compare).0
    } else {
        items
    };
    read.sort_unstable_by(compare);
}

fn page<'a, T>(items: &'a [T], query: &ActorsQuery) -> impl Iterator<Item = &'a T> {
    items.iter().skip(query.offset).take(query.limit)
}

fn shown(key: &BucketKey, bucket: &BucketReading, now: Timestamp) -> BucketState {
    BucketState {
        difficulty: key.difficulty.as_str(),
        topic: key.topic.as_str().to_owned(),
        queue_length: bucket.waiting,
        oldest_wait_ms: bucket.oldest.map(|oldest| now.ms_since(oldest)),
        set_aside: bucket.set_aside,
        in_flight: bucket.in_flight,
        mailbox: bucket.mailbox,
    }
}

/// Matches and sessions, what is due first at the beginning.
fn sessions(backend: &Backend, query: &ActorsQuery, now: Timestamp) -> Vec<SessionItem> {
    let board = &backend.board;
    let deadline = |view: &MatchView| match view {
        MatchView::Proposed { expires_at } => Some(*expires_at),
        MatchView::Opening => None,
        MatchView::InSession(id) => board.session(*id).map(|session| session.ends_at),
    };
    let dated = |(id, view): (MatchId, MatchView)| (deadline(&view), id, view);
    let mut all: Vec<_> = board.matches().into_iter().map(dated).collect();
    sort_up_to(&mut all, query, |one, other| {
        (one.0, one.1).cmp(&(other.0, other.1))
    });
    let item = |(deadline, id, view): &(Option<Timestamp>, MatchId, MatchView)| SessionItem {
        state: view.state().label(),
        match_id: id.0,
        session_id: match view {
            MatchView::InSession(id) => Some(id.0),
            MatchView::Proposed { .. } | MatchView::Opening => None,
        },
        deadline: deadline.map(rfc3339_ms),
        due_in_ms: deadline.map(|deadline| deadline.as_ms() - now.as_ms()),
    };
    page(&all, query).map(item).collect()
}
