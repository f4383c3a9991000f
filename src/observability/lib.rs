//! What operators see: the log, traces, and the one list of all metrics.

mod backends;
mod buckets;
mod cause;
mod limits;
mod list;
mod log;
mod trace_context;
mod traces;

use std::sync::OnceLock;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::error;

use domain::{Breach, Guarantee};

pub use backends::{BackendState, Needed, NeededBackends};
pub use buckets::{BucketSample, bucket_samples};
pub use cause::{Cause, Entered, RequestId, Step, Within};
pub use limits::Limit;
pub use list::*;
pub use log::start_log;
pub use traces::Traces;

/// Upper bounds of the histograms of times: 1 ms to 10 min.
const SECONDS: [f64; 18] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
    300.0, 600.0,
];
/// Upper bounds of the histograms of counts.
const COUNTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How this was built.
const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

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

/// Counters with labels that are there from the start: a monitor sees only from the second sample on
/// that one grows.
const FROM_THE_START: &[(&str, &str, &[&str])] = &[
    (REFUSALS, "actor", &["roster", "bucket", "session"]),
    (
        OPENINGS_FAILED,
        "step",
        &["question", "share", "share_left"],
    ),
    (
        STORE_UNAVAILABLE,
        "reason",
        &["away", "closed", "full", "overdue"],
    ),
    (
        MATCHES_ENDED,
        "ending",
        &["declined", "expired", "question_unavailable"],
    ),
    (
        TICKETS_CLOSED,
        "outcome",
        &[
            "withdrawn",
            "declined",
            "replaced",
            "expired",
            "refused",
            "in_session",
        ],
    ),
    (MIRROR_DIFFERENCES, "kind", &["missing", "surplus"]),
];

/// Gives every metric its help text, and every counter whose labels are known its series, at 0.
fn describe_metrics() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help.trim()),
            Kind::Gauge => describe_gauge!(metric.name, metric.help.trim()),
            Kind::Histogram => describe_histogram!(metric.name, metric.help.trim()),
        }
    }
    for metric in METRICS {
        if metric.kind == Kind::Counter && metric.labels.is_empty() {
            counter!(metric.name).absolute(0);
        }
    }
    for guarantee in Guarantee::ALL {
        counter!(BREACHES, "guarantee" => guarantee.label()).absolute(0);
    }
    for (name, label, values) in FROM_THE_START {
        for value in *values {
            counter!(*name, *label => *value).absolute(0);
        }
    }
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION"), "profile" => PROFILE).set(1.0);
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
}
