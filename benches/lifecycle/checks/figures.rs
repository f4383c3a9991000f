use std::time::Duration;

use serde_json::json;

use crate::faults::{breaches, figure, is_error};
use crate::masks::without_secrets;
use crate::meter::{Machine, Memory, machine_in, memory_in};
use crate::stats::{Latencies, medians, ratios, redis_figure};
use crate::timetable::Timetable;

#[test]
fn percentiles_are_exact_nearest_ranks() {
    let mut latencies = Latencies::default();
    (1..=1_000)
        .rev()
        .for_each(|us| latencies.record(Duration::from_micros(us)));

    let summary = latencies.summary().unwrap();

    let figures = [
        summary.p50,
        summary.p90,
        summary.p99,
        summary.p99_9,
        summary.max,
    ];
    assert_eq!(figures, [0.5, 0.9, 0.99, 0.999, 1.0]);
    assert_eq!(summary.count, 1_000);
}

#[test]
fn one_latency_is_every_percentile_and_none_has_no_summary() {
    let mut one = Latencies::default();
    one.record(Duration::from_millis(7));

    assert_eq!(one.summary().unwrap().p99_9, 7.0);
    assert_eq!(Latencies::default().summary(), None);
}

#[test]
fn medians_go_through_nested_numbers_and_leave_texts() {
    let runs = [
        json!({"name": "a", "it": {"p50": 3.5}, "count": 9}),
        json!({"name": "b", "it": {"p50": 1.5}, "count": 7, "errors": 2}),
        json!({"name": "c", "it": null, "count": 8}),
    ];

    let median = medians(&runs);

    let expected = json!({"name": "a", "it": {"p50": 1.5}, "count": 8, "errors": 2});
    assert_eq!(median, expected);
}

#[test]
fn ratios_are_of_numbers_that_both_have() {
    let base = json!({"name": "a", "it": {"p50": 2.0, "p99": 0}, "done": 4, "rss": 1});
    let value = json!({"name": "b", "it": {"p50": 5.0, "p99": 9}, "done": 4, "commits": 7});

    let ratios = ratios(&value, &base);

    assert_eq!(ratios, json!({"it": {"p50": 2.5}, "done": 1.0}));
}

#[test]
fn a_figure_of_redis_is_found_by_its_whole_name() {
    let info = "# Stats\r\ntotal_commands_processed:17\r\ntotal_commands:3\r\n";

    assert_eq!(redis_figure(info, "total_commands"), Some(3.0));
    assert_eq!(redis_figure(info, "total_commands_processed"), Some(17.0));
    assert_eq!(redis_figure(info, "commands"), None);
}

#[test]
fn even_timetables_have_whole_pairs_at_equal_gaps() {
    let timetable = Timetable::even(100.0, 0.04);

    let ms: Vec<_> = timetable
        .moments()
        .iter()
        .map(Duration::as_millis)
        .collect();
    assert_eq!(ms, [0, 10, 20, 30]);
    assert_eq!(Timetable::even(0.2, 1.0).moments().len(), 2);
}

#[test]
fn poisson_timetables_keep_the_rate_and_are_the_same_every_time() {
    let timetable = Timetable::poisson(1_000.0, 20.0);

    let last = timetable.moments().last().unwrap().as_secs_f64();
    assert_eq!(timetable.moments().len(), 20_000);
    assert!((19.9..20.0).contains(&last), "{last}");
    assert!(timetable.moments().is_sorted());
    assert_eq!(timetable, Timetable::poisson(1_000.0, 20.0));
}

#[test]
fn scattered_timetables_stay_within_their_span() {
    let timetable = Timetable::scattered(500, Duration::from_secs(1));

    assert_eq!(timetable.moments().len(), 500);
    assert!(timetable.moments().is_sorted());
    assert!(
        timetable
            .moments()
            .iter()
            .all(|at| *at < Duration::from_secs(1))
    );
}

#[test]
fn a_timetable_is_kept_in_order_and_never_too_early() {
    let mut due = Timetable::even(1_000.0, 0.02).keep();

    let mut numbers = Vec::new();
    while let Some((number, at)) = due.blocking_recv() {
        assert!(at.elapsed() > Duration::ZERO, "{number} came before {at:?}");
        numbers.push(number);
    }

    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn memory_is_found_in_a_status() {
    let status = "Name:\tm\nVmPeak:\t 900 kB\nVmHWM:\t   20 kB\nVmRSS:\t   10 kB\n";

    let expected = Memory {
        bytes: 10_240,
        peak_bytes: 20_480,
    };
    assert_eq!(memory_in(status), Some(expected));
    assert_eq!(memory_in("Name:\tgone\n"), None);
}

#[test]
fn the_machine_is_busy_with_everything_but_waiting_and_guests() {
    let stat = "cpu  100 10 50 999 888 3 2 7 60 5\ncpu0 1 1 1 1 1 1 1 1 1 1\n";

    let expected = Machine {
        busy: Duration::from_millis(1_650),
        stolen: Duration::from_millis(70),
    };
    assert_eq!(machine_in(stat), Some(expected));
    assert_eq!(machine_in("cpu  1 2 3\n"), None);
}

#[test]
fn only_counters_above_zero_are_breaches() {
    let metrics = "# TYPE matchmaker_guarantee_breaches_total counter\n\
                   matchmaker_guarantee_breaches_total{guarantee=\"G1\"} 0\n\
                   matchmaker_guarantee_breaches_total{guarantee=\"G3\"} 2\n\
                   matchmaker_buckets 5\n";

    let found: Vec<_> = breaches(metrics).collect();

    assert_eq!(
        found,
        ["matchmaker_guarantee_breaches_total{guarantee=\"G3\"} 2"]
    );
}

#[test]
fn errors_are_found_in_both_formats_of_the_log() {
    assert!(is_error("2026-11-24T06:00:00Z ERROR the store is away"));
    assert!(is_error(
        r#"{"timestamp":"x","level":"ERROR","message":"m"}"#
    ));
    assert!(is_error("thread 'main' panicked at src/main.rs:1:1:"));
    assert!(!is_error("2026-11-24T06:00:00Z  INFO no ERRORS here"));
}

#[test]
fn a_figure_among_the_metrics_is_found_by_its_whole_name() {
    let metrics = "# TYPE tickets_live gauge\ntickets_live_most 9\ntickets_live 3\n";

    assert_eq!(figure(metrics, "tickets_live"), Some(3.0));
    assert_eq!(figure(metrics, "tickets"), None);
}

#[test]
fn a_command_line_is_shown_without_its_secrets() {
    let words = ["load", "--secret", "a", "--env=B=c", "--rates", "50"];

    let shown = without_secrets(words.into_iter().map(str::to_owned));

    let expected = ["load", "--secret", "***", "--env=***", "--rates", "50"];
    assert_eq!(shown, expected);
}
