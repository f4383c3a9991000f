//! Samples of single buckets. The recorder never forgets a series, and buckets come and go: so these
//! lines are written here.

use std::fmt::Write;

use super::list::{BUCKET_OLDEST, BUCKET_WAITING, METRICS};

/// What is shown of one bucket, or of all others together.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketSample {
    /// `Easy`, `Medium` or `Hard`; `other` for the others.
    pub difficulty: String,
    /// The topic by which its tickets meet; `other` for the others.
    pub topic: String,
    /// Tickets that may be paired.
    pub waiting: usize,
    /// Age of the oldest of them, in seconds.
    pub oldest_s: f64,
}

/// The lines of `samples` in Prometheus' text format.
pub fn bucket_samples(samples: &[BucketSample]) -> String {
    let mut text = String::new();
    // A text takes whatever is written to it.
    let _ = family(&mut text, BUCKET_WAITING, samples, |it| it.waiting as f64)
        .and_then(|()| family(&mut text, BUCKET_OLDEST, samples, |it| it.oldest_s));
    text
}

fn family(
    text: &mut String,
    name: &str,
    samples: &[BucketSample],
    value: impl Fn(&BucketSample) -> f64,
) -> std::fmt::Result {
    let help = METRICS.iter().find(|metric| metric.name == name);
    let help = help.map_or("", |metric| metric.help.trim());
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge")?;
    for sample in samples {
        let [difficulty, topic] = [&sample.difficulty, &sample.topic].map(|it| escaped(it));
        let value = value(sample);
        writeln!(
            text,
            "{name}{{difficulty=\"{difficulty}\",topic=\"{topic}\"}} {value}"
        )?;
    }
    writeln!(text)
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_cannot_break_out_of_its_label() {
        let sample = BucketSample {
            difficulty: "Easy".into(),
            topic: "a\"} 1\\".into(),
            waiting: 2,
            oldest_s: 0.5,
        };

        let text = bucket_samples(&[sample]);

        let lines: Vec<_> = text.lines().filter(|it| !it.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "matchmaker_bucket_tickets_waiting{difficulty=\"Easy\",topic=\"a\\\"} 1\\\\\"} 2",
                "",
                "matchmaker_bucket_oldest_wait_seconds{difficulty=\"Easy\",topic=\"a\\\"} 1\\\\\"} 0.5",
                "",
            ]
        );
    }
}
