//! The alert rules name metrics and labels that exist.

use matchmaker::observability::{Kind, Limit, METRICS, Metric};

use super::*;

/// What the monitor itself adds to every sample.
const OF_THE_MONITOR: &[&str] = &["instance", "job"];

fn rules() -> Vec<String> {
    let path = root().join("config/alerts.yml");
    let text = fs::read_to_string(path).expect("config/alerts.yml is readable");
    let rules = text.split("- alert: ").skip(1).map(str::to_owned);
    rules.collect()
}

/// The metric of that name; a histogram also by the name of one of its series.
fn metric(name: &str) -> Option<&'static Metric> {
    let of_series = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    METRICS.iter().find(|metric| match metric.kind {
        Kind::Histogram => of_series == Some(metric.name),
        Kind::Counter | Kind::Gauge => metric.name == name,
    })
}

fn names_in(rule: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = rule.split(|c| !is_part(c));
    words.filter(|it| it.starts_with("matchmaker_")).collect()
}

#[test]
fn every_alert_is_about_metrics_that_exist() {
    let rules = rules();
    assert!(rules.len() >= 10, "{}", rules.len());
    let mut unknown = Vec::new();
    for rule in &rules {
        let names = names_in(rule);
        assert!(!names.is_empty() || rule.contains("up{"), "{rule}");
        unknown.extend(names.into_iter().filter(|name| metric(name).is_none()));
    }
    assert_eq!(unknown, [""; 0]);
}

/// The labels that a rule asks for: within braces, and those that sums are taken by.
fn labels_in(rule: &str) -> Vec<&str> {
    let expression = rule.split("labels: {").next().unwrap_or_default();
    let matchers = expression
        .split('{')
        .skip(1)
        .filter_map(|it| it.split('}').next());
    let asked = matchers.flat_map(|it| it.split(',')).filter_map(|it| {
        let end = it.find(['=', '!'])?;
        Some(it[..end].trim())
    });
    let sums = expression.split("by (").skip(1);
    let by = sums.filter_map(|it| it.split(')').next());
    asked
        .chain(by.flat_map(|it| it.split(',').map(str::trim)))
        .collect()
}

#[test]
fn every_alert_asks_for_labels_that_its_metrics_have() {
    for rule in rules() {
        let metrics: Vec<_> = names_in(&rule).into_iter().filter_map(metric).collect();
        for label in labels_in(&rule) {
            let is_known = label == "le"
                || OF_THE_MONITOR.contains(&label)
                || metrics.iter().any(|metric| metric.labels.contains(&label));
            assert!(is_known, "{label} in {rule}");
        }
    }
}

#[test]
fn alerts_leave_out_limits_that_exist() {
    let known = Limit::ALL.map(Limit::label);
    for rule in rules() {
        for named in rule.split("limit!~\"").skip(1) {
            let named = named.split('"').next().unwrap_or_default();
            for limit in named.split('|') {
                assert!(known.contains(&limit), "{limit}");
            }
        }
    }
}

#[test]
fn every_alert_tells_of_labels_that_its_metrics_have() {
    for rule in rules() {
        let metrics: Vec<_> = names_in(&rule).into_iter().filter_map(metric).collect();
        for told in rule.split("$labels.").skip(1) {
            let end = told.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let label = &told[..end.unwrap_or(told.len())];
            let is_known = OF_THE_MONITOR.contains(&label)
                || metrics.iter().any(|metric| metric.labels.contains(&label));
            assert!(is_known, "{label} in {rule}");
        }
    }
}
