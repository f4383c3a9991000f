//! The one list of all metrics, and the page that documents it.

use std::fmt::Write;

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
    /// The names of its labels; their values are few and known beforehand.
    pub labels: &'static [&'static str],
    /// What it tells, one sentence.
    pub help: &'static str,
}

macro_rules! metrics_list {
    ($(
        $(#[doc = $help:literal])+
        $constant:ident: $kind:ident = $name:literal $([$($label:literal),+])?;
    )*) => {
        $($(#[doc = $help])+ pub const $constant: &str = $name;)*

        /// Every metric, in the order in which they are documented.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($($label),+)?],
            help: concat!($($help),+),
        }),*];
    };
}

metrics_list! {
    /// Breaches of a guarantee, by guarantee; must stay 0.
    BREACHES: Counter = "matchmaker_guarantee_breaches_total" ["guarantee"];
    /// Tickets that were opened.
    TICKETS_OPENED: Counter = "matchmaker_tickets_opened_total";
    /// Tickets whose life ended, by outcome.
    TICKETS_CLOSED: Counter = "matchmaker_tickets_closed_total" ["outcome"];
    /// Tickets that an ended match put back in their place.
    TICKETS_PUT_BACK: Counter = "matchmaker_tickets_put_back_total";
    /// Tickets that are live, waiting or in an unconfirmed match.
    TICKETS_LIVE: Gauge = "matchmaker_tickets_live";
    /// Tickets that wait and may be paired.
    TICKETS_WAITING: Gauge = "matchmaker_tickets_waiting";
    /// Age of the oldest ticket that waits, in seconds.
    OLDEST_WAIT: Gauge = "matchmaker_oldest_wait_seconds";
    /// Tickets that wait and may be paired, by bucket; buckets beyond the configured number are `other`.
    BUCKET_WAITING: Gauge = "matchmaker_bucket_tickets_waiting" ["difficulty", "topic"];
    /// Age of the oldest ticket that waits, in seconds, by bucket; the oldest of all others is `other`.
    BUCKET_OLDEST: Gauge = "matchmaker_bucket_oldest_wait_seconds" ["difficulty", "topic"];
    /// Matches that were proposed.
    MATCHES_PROPOSED: Counter = "matchmaker_matches_proposed_total";
    /// Proposals that the database refused or could not take.
    PROPOSALS_FAILED: Counter = "matchmaker_proposals_failed_total";
    /// Confirmations of one side.
    CONFIRMATIONS: Counter = "matchmaker_confirmations_total";
    /// Matches that ended without a session, by ending.
    MATCHES_ENDED: Counter = "matchmaker_matches_ended_total" ["ending"];
    /// Matches by state.
    MATCHES_OPEN: Gauge = "matchmaker_matches_open" ["state"];
    /// Time that a ticket waited, since it began to wait, until its match was stored, in seconds.
    TIME_TO_MATCH: Histogram = "matchmaker_time_to_match_seconds";
    /// Time from the proposal to the second confirmation, in seconds.
    TIME_TO_CONFIRM: Histogram = "matchmaker_time_to_confirm_seconds";
    /// Sessions that were opened.
    SESSIONS_OPENED: Counter = "matchmaker_sessions_opened_total";
    /// Members that left a session.
    SESSIONS_LEFT: Counter = "matchmaker_sessions_left_total";
    /// Sessions that are open.
    SESSIONS_OPEN: Gauge = "matchmaker_sessions_open";
    /// Sessions that the database did not know and Redis did.
    SESSIONS_FOUND_AGAIN: Counter = "matchmaker_sessions_found_again_total";
    /// Tries to open a session that failed, by step.
    OPENINGS_FAILED: Counter = "matchmaker_openings_failed_total" ["step"];
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
    LIMIT: Gauge = "matchmaker_limit" ["limit"];
    /// Times that a limit was reached: something was refused, closed or had to wait, by limit.
    LIMIT_REACHED: Counter = "matchmaker_limit_reached_total" ["limit"];
    /// Asks that wait for their answer.
    ASKS_UNDER_WAY: Gauge = "matchmaker_asks_under_way";
    /// Users whose rate of asks is remembered.
    RATED_USERS: Gauge = "matchmaker_rated_users";
    /// Commands that an actor had no room for, by actor.
    REFUSALS: Counter = "matchmaker_commands_refused_total" ["actor"];
    /// Commands that wait at actors, by kind of actor.
    MAILBOX_DEPTH: Gauge = "matchmaker_mailbox_depth" ["actor"];
    /// Requests answered, by route and status code.
    HTTP_REQUESTS: Counter = "matchmaker_http_requests_total" ["route", "code"];
    /// Time from the request's head to the answer's head, in seconds, by route.
    HTTP_SECONDS: Histogram = "matchmaker_http_request_seconds" ["route"];
    /// Writes that shared one transaction.
    STORE_GROUP_SIZE: Histogram = "matchmaker_store_group_size" ["store"];
    /// Time from handing a write over to its outcome, in seconds.
    STORE_WRITE_SECONDS: Histogram = "matchmaker_store_write_seconds" ["store"];
    /// Writes that wait for the store or are being stored, by lane: for `urgent` ones somebody waits.
    STORE_QUEUE_DEPTH: Gauge = "matchmaker_store_queue_depth" ["store", "lane"];
    /// Writes that were refused because the store was away or full.
    STORE_UNAVAILABLE: Counter = "matchmaker_store_unavailable_total" ["reason"];
    /// Rows that were removed because they had been kept long enough, by table.
    ROWS_REMOVED: Counter = "matchmaker_rows_removed_total" ["table"];
    /// Calls to Redis that failed or were not answered in time.
    REDIS_FAILURES: Counter = "matchmaker_redis_failures_total";
    /// Tickets of the mirror that were missing in Redis, or there although they do not wait.
    MIRROR_DIFFERENCES: Counter = "matchmaker_mirror_differences_total" ["kind"];
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
    SERVICE_CALLS: Counter = "matchmaker_service_calls_total" ["service", "result"];
    /// Time from a call to another service to its answer, in seconds.
    SERVICE_SECONDS: Histogram = "matchmaker_service_call_seconds" ["service"];
    /// Questions that were taken from memory because the question service was away.
    QUESTIONS_REMEMBERED: Counter = "matchmaker_questions_remembered_total";
    /// Whether a server that this one needs answers, by backend.
    BACKEND_UP: Gauge = "matchmaker_backend_up" ["backend"];
    /// Spans that the collector of traces has got.
    SPANS_SENT: Counter = "matchmaker_spans_sent_total";
    /// Spans that the collector of traces did not get: it was away, or too many waited for it.
    SPANS_LOST: Counter = "matchmaker_spans_lost_total";
    /// What runs: always 1.
    BUILD_INFO: Gauge = "matchmaker_build_info" ["version", "profile"];
    /// Time that start-up took until ready, in seconds.
    RECOVERY_SECONDS: Gauge = "matchmaker_recovery_seconds";
}

/// The page of the documentation that lists them all.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let (name, labels, help) = (metric.name, labels.join(", "), metric.help.trim());
        // A text takes whatever is written to it.
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    page
}

const HEAD: &str = "\
# Metrics

What `GET /metrics` shows, in Prometheus' text format. This page is made from the list in
`src/observability/list.rs`; a test compares the two, and `UPDATE_DOCS=1 cargo test -p matchmaker-observability` writes
it anew. Labels have few values that are known beforehand, but for topics, of which the first
`METRICS_BUCKETS_MAX` that are in use get names and all others together are `other`. A histogram
of seconds has buckets from 1 ms to 10 min. Alert rules for these are in `config/alerts.yml`.

| name | kind | labels | what it tells |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use super::*;

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

    #[test]
    fn the_page_on_metrics_is_made_from_the_list() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, page()).unwrap();
        }

        let written = fs::read_to_string(&path).unwrap();

        assert!(written == page(), "write it anew: see the page itself");
    }
}
