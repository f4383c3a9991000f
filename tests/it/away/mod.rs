//! What the running server does while somebody whom it needs is away, and after their return. Always
//! on the real backends; what a test kills or freezes is its own.

mod absent;
mod announcing;
mod fallback;
mod forgotten;
mod giving_up;
mod in_doubt;
pub mod looks;
mod postgres;
mod questions;
mod rabbitmq;
mod redis;
mod secrets;
mod starting;
mod stop;
mod traffic;
mod users;

use std::time::{Duration, Instant};

use crate::harness::*;

/// Whoever needs what is away hears so within this time.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Everything goes on within this time after a backend is back.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Sends all of them at the same time; each is answered 503 with Retry-After within `limit`.
async fn all_unavailable(limit: Duration, requests: Vec<Request>) {
    let timed = requests.into_iter().map(|request| async move {
        let begun = Instant::now();
        (request.send().await, begun.elapsed())
    });
    for (reply, took) in join_all(timed).await {
        reply.expect(503);
        assert!(is_in_time(took, limit), "{} took {took:?}", reply.what);
    }
}

/// Sends it and gives the answer, which comes within `limit`.
async fn in_time(limit: Duration, request: Request) -> Reply {
    let begun = Instant::now();
    let reply = request.send().await;
    let took = begun.elapsed();
    assert!(is_in_time(took, limit), "{} took {took:?}", reply.what);
    reply
}

/// Sends it again and again until it is not answered 503 any more; fails after [`BACK_WITHIN`].
async fn goes_on(request: impl Fn() -> Request) -> Reply {
    within(
        BACK_WITHIN,
        "the request is not refused any more",
        async || {
            let reply = request().send().await;
            (reply.status != 503).then_some(reply)
        },
    )
    .await
}

/// The sum of a counter over all its labels; those with `label` only where it is not empty.
async fn counter(server: &Server, name: &str, label: &str) -> f64 {
    let metrics = server.get("/metrics").await;
    let lines = metrics.text.lines();
    let samples = lines.filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let is_meant = labels.is_empty() || labels.starts_with('{');
        (is_meant && labels.contains(label)).then(|| value.parse::<f64>().expect("a number"))
    });
    samples.sum()
}

/// No guarantee was found broken.
async fn nothing_broken(server: &Server) {
    let name = "matchmaker_guarantee_breaches_total";
    assert_eq!(counter(server, name, "").await, 0.0);
}
