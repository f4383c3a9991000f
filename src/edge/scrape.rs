//! The metrics, as a monitor scrapes them.

use actix_web::{HttpResponse, web};
use metrics::gauge;

use super::auth::Operator;
use super::docs::failures;
use super::error::ApiError;
use super::state::{Backend, Edge};
use actors::board::{BucketReading, MatchState};
use domain::{BucketKey, Timestamp};
use observability::{
    ASKS_UNDER_WAY, BUCKETS, BucketSample, MAILBOX_DEPTH, MATCHES_OPEN, OLDEST_WAIT, RATED_USERS,
    SESSIONS_OPEN, SOCKET_USERS, SOCKETS_OPEN, STORE_QUEUE_DEPTH, TICKETS_LIVE, TICKETS_WAITING,
    bucket_samples,
};

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
    edge.backend()?;
    // Not on the thread of the actors: with very many buckets it takes a while.
    let text = web::block(move || edge.backend().map(|backend| render(&edge, backend)));
    let text = text.await.map_err(|_| ApiError::Internal)??;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}

fn render(edge: &Edge, backend: &Backend) -> String {
    let board = &backend.board;
    let now = backend.clock.now();
    let mut buckets = board.buckets();
    let waiting: usize = buckets.iter().map(|(_, bucket)| bucket.waiting).sum();
    let mailboxes: usize = buckets.iter().map(|(_, bucket)| bucket.mailbox).sum();
    let oldest = buckets.iter().map(|(_, bucket)| oldest_s(bucket, now));
    gauge!(OLDEST_WAIT).set(oldest.fold(0.0, f64::max));
    gauge!(BUCKETS).set(buckets.len() as f64);
    gauge!(TICKETS_WAITING).set(waiting as f64);
    gauge!(TICKETS_LIVE).set(board.tickets_len() as f64);
    gauge!(SESSIONS_OPEN).set(board.sessions_len() as f64);
    gauge!(SOCKETS_OPEN).set(edge.sockets.len() as f64);
    gauge!(SOCKET_USERS).set(edge.sockets.users() as f64);
    gauge!(ASKS_UNDER_WAY).set(edge.throttle.under_way() as f64);
    gauge!(RATED_USERS).set(edge.asks.len() as f64);
    for (limit, height) in edge.limits() {
        limit.show(height);
    }
    for state in MatchState::ALL {
        gauge!(MATCHES_OPEN, "state" => state.label()).set(board.matches_in(state) as f64);
    }
    for (actor, depth) in [
        ("roster", board.mailboxes.roster.depth()),
        ("bucket", mailboxes),
        ("session", board.mailboxes.sessions.depth()),
    ] {
        gauge!(MAILBOX_DEPTH, "actor" => actor).set(depth as f64);
    }
    let depth = backend.store.depth();
    for (lane, writes) in [("urgent", depth.urgent), ("patient", depth.patient)] {
        gauge!(STORE_QUEUE_DEPTH, "store" => depth.backend, "lane" => lane).set(writes as f64);
    }
    let mut text = (edge.render_metrics)();
    text += &of_buckets(&mut buckets, edge.settings.metrics_buckets_max, now);
    text
}

fn oldest_s(bucket: &BucketReading, now: Timestamp) -> f64 {
    let ms = bucket.oldest.map_or(0, |oldest| now.ms_since(oldest));
    ms as f64 / 1_000.0
}

/// The samples of the `named_max` buckets that came first, and of all others together: which ones are
/// named changes only when one of them goes.
fn of_buckets(
    buckets: &mut [(BucketKey, BucketReading)],
    named_max: usize,
    now: Timestamp,
) -> String {
    let number = |(_, bucket): &(BucketKey, BucketReading)| bucket.number;
    if named_max < buckets.len() {
        // Of very many, only these are to be in order.
        buckets.select_nth_unstable_by_key(named_max, number);
    }
    let (named, others) = buckets.split_at_mut(named_max.min(buckets.len()));
    named.sort_unstable_by_key(number);
    let sample = |(key, bucket): &'_ (BucketKey, BucketReading)| BucketSample {
        difficulty: key.difficulty.as_str().to_owned(),
        topic: key.topic.as_str().to_owned(),
        waiting: bucket.waiting,
        oldest_s: oldest_s(bucket, now),
    };
    let mut samples: Vec<_> = named.iter().map(sample).collect();
    if !others.is_empty() {
        let oldest = others.iter().map(|(_, bucket)| oldest_s(bucket, now));
        samples.push(BucketSample {
            difficulty: OTHER.to_owned(),
            topic: OTHER.to_owned(),
            waiting: others.iter().map(|(_, bucket)| bucket.waiting).sum(),
            oldest_s: oldest.fold(0.0, f64::max),
        });
    }
    bucket_samples(&samples)
}

/// The label of buckets that have none of their own.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Difficulty, Topic};

    fn bucket(number: u64, topic: &str, waiting: usize) -> (BucketKey, BucketReading) {
        let key = BucketKey {
            difficulty: Difficulty::Easy,
            topic: Topic::parse(topic).unwrap().key(),
        };
        let reading = BucketReading {
            number,
            waiting,
            set_aside: 0,
            oldest: None,
            in_flight: 0,
            mailbox: 0,
        };
        (key, reading)
    }

    #[test]
    fn the_first_buckets_have_names_and_the_others_are_one() {
        let mut buckets = [bucket(7, "c", 4), bucket(5, "b", 2), bucket(3, "a", 1)];

        let text = of_buckets(&mut buckets, 1, Timestamp::from_ms(0));

        assert!(
            text.contains("waiting{difficulty=\"Easy\",topic=\"a\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("waiting{difficulty=\"other\",topic=\"other\"} 6\n"),
            "{text}"
        );
        assert!(!text.contains("topic=\"b\""), "{text}");
        let all_named = of_buckets(&mut buckets, 3, Timestamp::from_ms(0));
        assert!(!all_named.contains("\"other\""), "{all_named}");
    }
}
