//! What a server tells about itself, its faults above all.

/// The counter of broken guarantees.
const BREACHES: &str = "matchmaker_guarantee_breaches_total";

/// Lines of the log that tell of a fault of the server, in either of its formats.
pub fn is_error(line: &str) -> bool {
    let words = [" ERROR ", "\"level\":\"ERROR\"", "panicked at"];
    words.iter().any(|word| line.contains(word))
}

/// The counters of broken guarantees that are not 0.
pub fn breaches(metrics: &str) -> impl Iterator<Item = &str> {
    let counters = metrics.lines().filter(|line| line.starts_with(BREACHES));
    counters.filter(|line| line.rsplit_once(' ').is_none_or(|(_, value)| value != "0"))
}

/// A figure without labels among the metrics.
pub fn figure(metrics: &str, name: &str) -> Option<f64> {
    let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(found, _)| *found == name)?;
    value.trim().parse().ok()
}
