//! The log.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{DefaultFields, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::Cause;
use settings::{Log, LogFormat};

/// Starts the log. A second call in one process changes nothing.
pub fn start_log(log: &Log) {
    // Of what is below, only what needs looking into: its details hold passwords.
    let below = log.level.min(Level::WARN);
    // What no queue takes is counted and warned about by the relay; lapin would write down all of it,
    // with the names of the members.
    let levels = Targets::new()
        .with_default(below)
        .with_target("lapin::returned_messages", LevelFilter::ERROR)
        // All crates of the server: their names begin with it.
        .with_target("matchmaker", log.level);
    let format = format().with_target(false);
    let log_of_all = tracing_subscriber::registry().with(levels);
    // Nothing but a second call can fail here.
    let _ = match log.format {
        LogFormat::Human => {
            let lines = layer()
                .fmt_fields(DefaultFields::new())
                .event_format(Human(format.with_ansi(false)));
            log_of_all.with(lines.with_ansi(false)).try_init()
        }
        LogFormat::Json => {
            let lines = layer()
                .fmt_fields(JsonFields::new())
                .event_format(Json(format.json().flatten_event(true)));
            log_of_all.with(lines).try_init()
        }
    };
}

/// A line to read, with what it happened for at its end.
struct Human<F>(F);

/// An object, with what it happened for as its last fields.
struct Json<F>(F);

impl<S, N, F> FormatEvent<S, N> for Human<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = line(&self.0, context, event)?;
        writer.write_str(line.trim_end())?;
        for (name, value) in fields() {
            write!(writer, " {name}={value}")?;
        }
        writeln!(writer)
    }
}

impl<S, N, F> FormatEvent<S, N> for Json<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = line(&self.0, context, event)?;
        let line = line.trim_end();
        writer.write_str(line.strip_suffix('}').unwrap_or(line))?;
        // Nothing in them has to be escaped: whoever names a request keeps to letters and digits.
        for (name, value) in fields() {
            write!(writer, ",\"{name}\":\"{value}\"")?;
        }
        writeln!(writer, "}}")
    }
}

fn line<S, N>(
    format: &impl FormatEvent<S, N>,
    context: &FmtContext<'_, S, N>,
    event: &Event<'_>,
) -> Result<String, fmt::Error>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut line = String::new();
    format.format_event(context, Writer::new(&mut line), event)?;
    Ok(line)
}

/// For which request it happened, and in which trace that stands.
fn fields() -> impl Iterator<Item = (&'static str, String)> {
    let Cause { request, span } = Cause::current();
    let request = request.map(|id| ("request_id", id.to_string()));
    let trace = span.map(|span| ("trace_id", span.trace_id().to_string()));
    request.into_iter().chain(trace)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::info;

    use super::*;
    use crate::RequestId;

    /// What is written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    /// One line that nobody asked for, and one that is written for a request.
    fn two_lines() {
        info!(count = 1, "alone");
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = RequestId::given("abc").unwrap();
        let _entered = Cause::of_request(request, Some(parent), None).enter();
        info!(count = 2, "for\n\"somebody\"");
    }

    #[test]
    fn a_line_to_read_ends_with_the_request_that_it_is_written_for() {
        let paper = Paper::default();
        let (format, writer) = (format().with_target(false).with_ansi(false), paper.clone());
        let lines = layer().event_format(Human(format)).with_ansi(false);
        let log = tracing_subscriber::registry().with(lines.with_writer(move || writer.clone()));

        tracing::subscriber::with_default(log, two_lines);

        let text = paper.lines().join("\n");
        assert!(text.contains("INFO alone count=1\n"), "{text}");
        let end = " count=2 request_id=abc trace_id=4bf92f3577b34da6a3ce929d0e0e4736";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_line_of_json_has_the_request_that_it_is_written_for_as_a_field() {
        let paper = Paper::default();
        let format = format().with_target(false).json().flatten_event(true);
        let (lines, writer) = (layer().fmt_fields(JsonFields::new()), paper.clone());
        let lines = lines.event_format(Json(format));
        let log = tracing_subscriber::registry().with(lines.with_writer(move || writer.clone()));

        tracing::subscriber::with_default(log, two_lines);

        let read = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let [alone, asked] = paper
            .lines()
            .iter()
            .map(read)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        assert_eq!(
            (&alone["message"], &alone["count"]),
            (&"alone".into(), &1.into())
        );
        assert_eq!(alone.get("request_id"), None);
        assert_eq!(asked["message"], "for\n\"somebody\"");
        assert_eq!(asked["request_id"], "abc");
        assert_eq!(asked["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }
}
