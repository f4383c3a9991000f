//! What operators see: the log, traces, and the one list of all metrics.

mod backends;
mod cause;
mod limits;
mod log;
mod trace_context;
mod traces;

use std::sync::OnceLock;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::error;

use crate::domain::{Breach, Guarantee};

pub use backends::{Needed, NeededBackends};
pub use cause::{Cause, Entered, RequestId, Step, Within};
pub use limits::Limit;
pub use log::start_log;
pub use traces::Traces;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric of the server.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, unit last.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it tells, one sentence.
    pub help: &'static str,
}

macro_rules! metrics_list {
    ($($(#[doc = $help:literal])+ $constant:ident: $kind:ident = $name:literal;)*) => {
        $($(#[doc = $help])+ pub const $constant: &str = $name;)*

        /// Every metric, in the order in which they are documented.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            help: concat!($($help),+),
        }),*];
    };
}

metrics_list! {
    /// Breaches of a guarantee, by guarantee; must stay 0.
    BREACHES: Counter = "matchmaker_guarantee_breaches_total";
    /// Tickets that were opened.
    TICKETS_OPENED: Counter = "matchmaker_tickets_opened_total";
    /// Tickets whose life ended, by outcome.
    TICKETS_CLOSED: Counter = "matchmaker_tickets_closed_total";
    /// Tickets that an ended match put back in their place.
    TICKETS_PUT_BACK: Counter = "matchmaker_tickets_put_back_total";
    /// Tickets that are live, waiting or in an unconfirmed match.
    TICKETS_LIVE: Gauge = "matchmaker_tickets_live";
    /// Tickets that wait and may be paired.
    TICKETS_WAITING: Gauge = "matchmaker_tickets_waiting";
    /// Age of the oldest ticket that waits, in seconds.
    OLDEST_WAIT: Gauge = "matchmaker_oldest_wait_seconds";
    /// Matches that were proposed.
    MATCHES_PROPOSED: Counter = "matchmaker_matches_proposed_total";
    /// Proposals that the database refused or could not take.
    PROPOSALS_FAILED: Counter = "matchmaker_proposals_failed_total";
    /// Confirmations of one side.
    CONFIRMATIONS: Counter = "matchmaker_confirmations_total";
    /// Matches that ended without a session, by ending.
    MATCHES_ENDED: Counter = "matchmaker_matches_ended_total";
    /// Matches by state.
    MATCHES_OPEN: Gauge = "matchmaker_matches_open";
    /// Time from the younger ticket's enqueueing to the stored match, in seconds.
    TIME_TO_MATCH: Histogram = "matchmaker_time_to_match_seconds";
    /// Sessions that were opened.
    SESSIONS_OPENED: Counter = "matchmaker_sessions_opened_total";
    /// Members that left a session.
    SESSIONS_LEFT: Counter = "matchmaker_sessions_left_total";
    /// Sessions that are open.
    SESSIONS_OPEN: Gauge = "matchmaker_sessions_open";
    /// Sessions that the database did not know and Redis did.
    SESSIONS_FOUND_AGAIN: Counter = "matchmaker_sessions_found_again_total";
    /// Tries to open a session that failed, by step.
    OPENINGS_FAILED: Counter = "matchmaker_openings_failed_total";
    /// Buckets that have an actor.
    BUCKETS: Gauge = "matchmaker_buckets";
    /// Sockets that are open.
    SOCKETS_OPEN: Gauge = "matchmaker_sockets_open";
    /// Events handed to sockets.
    MESSAGES_SENT: Counter = "matchmaker_socket_messages_sent_total";
    /// Sockets closed because their client did not read.
    SLOW_SOCKETS: Counter = "matchmaker_slow_sockets_closed_total";
    /// Users with an open socket.
    SOCKET_USERS: Gauge = "matchmaker_socket_users";
    /// How high each limit is, by limit.
    LIMIT: Gauge = "matchmaker_limit";
    /// Times that a limit was reached: something was refused, closed or had to wait, by limit.
    LIMIT_REACHED: Counter = "matchmaker_limit_reached_total";
    /// Asks that wait for their answer.
    ASKS_UNDER_WAY: Gauge = "matchmaker_asks_under_way";
    /// Users whose rate of asks is remembered.
    RATED_USERS: Gauge = "matchmaker_rated_users";
    /// Commands that an actor had no room for, by actor.
    REFUSALS: Counter = "matchmaker_commands_refused_total";
    /// Requests answered, by status code.
    HTTP_REQUESTS: Counter = "matchmaker_http_requests_total";
    /// Time from the request's head to the answer's head, in seconds.
    HTTP_SECONDS: Histogram = "matchmaker_http_request_seconds";
    /// Writes that shared one transaction.
    STORE_GROUP_SIZE: Histogram = "matchmaker_store_group_size";
    /// Time from handing a write over to its outcome, in seconds.
    STORE_WRITE_SECONDS: Histogram = "matchmaker_store_write_seconds";
    /// Writes that wait for the store.
    STORE_QUEUE_DEPTH: Gauge = "matchmaker_store_queue_depth";
    /// Writes that were refused because the store was away or full.
    STORE_UNAVAILABLE: Counter = "matchmaker_store_unavailable_total";
    /// Rows that were removed because they had been kept long enough, by table.
    ROWS_REMOVED: Counter = "matchmaker_rows_removed_total";
    /// Calls to Redis that failed or were not answered in time.
    REDIS_FAILURES: Counter = "matchmaker_redis_failures_total";
    /// Tickets of the mirror that were missing in Redis, or there although they do not wait.
    MIRROR_DIFFERENCES: Counter = "matchmaker_mirror_differences_total";
    /// Times that the whole mirror was written.
    MIRROR_REWRITES: Counter = "matchmaker_mirror_rewrites_total";
    /// Changes that the mirror has not been told.
    MIRROR_BEHIND: Gauge = "matchmaker_mirror_behind";
    /// Announcements that wait in the outbox.
    OUTBOX_ROWS: Gauge = "matchmaker_outbox_rows";
    /// Age of the oldest announcement that waits, in seconds.
    OUTBOX_OLDEST: Gauge = "matchmaker_outbox_oldest_seconds";
    /// Announcements that the broker confirmed.
    EVENTS_PUBLISHED: Counter = "matchmaker_events_published_total";
    /// Tries to publish an announcement that no queue took.
    EVENTS_UNROUTABLE: Counter = "matchmaker_events_unroutable_total";
    /// Tries to publish an announcement that the broker did not confirm.
    EVENTS_FAILED: Counter = "matchmaker_events_failed_total";
    /// Announcements that no queue took until their session had ended.
    EVENTS_GIVEN_UP: Counter = "matchmaker_events_given_up_total";
    /// Calls to other services over HTTP, by service and result.
    SERVICE_CALLS: Counter = "matchmaker_service_calls_total";
    /// Time from a call to another service to its answer, in seconds.
    SERVICE_SECONDS: Histogram = "matchmaker_service_call_seconds";
    /// Questions that were taken from memory because the question service was away.
    QUESTIONS_REMEMBERED: Counter = "matchmaker_questions_remembered_total";
    /// Whether a server that this one needs answers, by backend.
    BACKEND_UP: Gauge = "matchmaker_backend_up";
    /// Spans that the collector of traces has got.
    SPANS_SENT: Counter = "matchmaker_spans_sent_total";
    /// Spans that the collector of traces did not get: it was away, or too many waited for it.
    SPANS_LOST: Counter = "matchmaker_spans_lost_total";
    /// Time that start-up took until ready, in seconds.
    RECOVERY_SECONDS: Gauge = "matchmaker_recovery_seconds";
}

/// Upper bounds of the histograms of times: 1 ms to 10 min.
const SECONDS: [f64; 16] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
];
/// Upper bounds of the histograms of counts.
const COUNTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts counting, and answers with what renders the counts in Prometheus' text format. The counts
/// belong to the process: a second server in it counts together with the first.
pub fn start_metrics() -> Box<dyn Fn() -> String + Send + Sync> {
    let handle = RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_size".into()), &COUNTS))
            .ok()?;
        let handle = builder.install_recorder().ok()?;
        describe_metrics();
        Some(handle)
    });
    Box::new(|| {
        handle
            .as_ref()
            .map(PrometheusHandle::render)
            .unwrap_or_default()
    })
}

/// Tidies the histograms; to be called from time to time.
pub fn tidy_metrics() {
    if let Some(Some(handle)) = RECORDER.get() {
        handle.run_upkeep();
    }
}

/// Gives every metric its help text, and every guarantee and limit its counter, which stands at 0.
fn describe_metrics() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help.trim()),
            Kind::Gauge => describe_gauge!(metric.name, metric.help.trim()),
            Kind::Histogram => describe_histogram!(metric.name, metric.help.trim()),
        }
    }
    for guarantee in Guarantee::ALL {
        counter!(BREACHES, "guarantee" => guarantee.label()).absolute(0);
    }
    for limit in Limit::ALL {
        counter!(LIMIT_REACHED, "limit" => limit.label()).absolute(0);
    }
}

/// Counts and logs a guarantee that was found broken.
pub fn breached(breach: Breach) {
    let guarantee = breach.guarantee.label();
    counter!(BREACHES, "guarantee" => guarantee).increment(1);
    error!(
        guarantee,
        "guarantee {guarantee} is broken: {}", breach.seen
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guarantee_has_a_counter_that_stands_at_0_until_it_is_broken() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let line = |guarantee: Guarantee, count: u32| {
            format!(
                "{BREACHES}{{guarantee=\"{}\"}} {count}\n",
                guarantee.label()
            )
        };

        metrics::with_local_recorder(&recorder, describe_metrics);
        let before = handle.render();
        metrics::with_local_recorder(&recorder, || {
            for guarantee in Guarantee::ALL {
                breached(Breach {
                    guarantee,
                    seen: "a test",
                });
            }
        });
        let after = handle.render();

        for guarantee in Guarantee::ALL {
            assert!(before.contains(&line(guarantee, 0)), "{before}");
            assert!(after.contains(&line(guarantee, 1)), "{after}");
        }
    }

    #[test]
    fn names_follow_the_conventions_and_are_told_apart() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.starts_with("matchmaker_"), "{}", metric.name);
            assert_eq!(
                metric.kind == Kind::Counter,
                metric.name.ends_with("_total")
            );
            assert!(metric.help.trim().ends_with('.'), "{}", metric.name);
        }
    }
}
