//! W3C Trace Context: what callers say of their own traces, and what other services are told of ours.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Length of a `traceparent`; later versions may have more behind it.
const PARENT_BYTES: usize = 55;
/// Longest `tracestate` that is handed on, in bytes.
const STATE_BYTES_MAX: usize = 512;

/// What a caller says; nothing where the `traceparent` is not well-formed. A `tracestate` that is not, or
/// is too long, is left out alone.
pub(super) fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    let (parent, more) = traceparent.split_at_checked(PARENT_BYTES)?;
    let [version, trace, span, flags] = parts(parent)?;
    let fits = match version {
        "00" => more.is_empty(),
        "ff" => false,
        _ => more.is_empty() || more.starts_with('-'),
    };
    let state = tracestate
        .filter(|state| state.len() <= STATE_BYTES_MAX)
        .and_then(|state| TraceState::from_str(state).ok());
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        state.unwrap_or_default(),
    );
    (fits && context.is_valid()).then_some(context)
}

/// How the step is called that leads to a call.
pub(super) fn traceparent(span: &SpanContext) -> String {
    let flags = span.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
}

/// Version, trace, span and flags, in lower-case hexadecimal digits.
fn parts(parent: &str) -> Option<[&str; 4]> {
    let parts: Vec<&str> = parent.split('-').collect();
    let parts = <[&str; 4]>::try_from(parts).ok()?;
    let is_hex = |part: &str| {
        let mut digits = part.bytes();
        digits.all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let lengths = parts.map(str::len);
    (lengths == [2, 32, 16, 2] && parts.into_iter().all(is_hex)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(parent: &str) -> Option<String> {
        parse(parent, None).map(|span| traceparent(&span))
    }

    #[test]
    fn what_is_well_formed_is_told_on_and_of_the_flags_whether_it_is_sampled() {
        for (flags, told) in [("00", "00"), ("01", "01"), ("02", "00"), ("ff", "01")] {
            let parent = format!("00-{TRACE}-{SPAN}-{flags}");
            assert_eq!(read(&parent), Some(format!("00-{TRACE}-{SPAN}-{told}")));
        }
        let of_later_versions = [
            format!("01-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-comes-then"),
        ];
        for parent in of_later_versions {
            assert_eq!(read(&parent), Some(format!("00-{TRACE}-{SPAN}-01")));
        }
    }

    #[test]
    fn what_is_not_well_formed_is_ignored() {
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        for parent in [
            String::new(),
            "garbage".to_owned(),
            "é".repeat(55),
            "-".repeat(55),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{no_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{no_span}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{SPAN}-{TRACE}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(read(&parent), None, "{parent}");
        }
    }

    #[test]
    fn a_state_that_cannot_be_handed_on_is_left_out_alone() {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let state = |state| {
            let span = parse(&parent, Some(state));
            span.map(|span| span.trace_state().header())
        };

        assert_eq!(state("a=1,b@c=2"), Some("a=1,b@c=2".to_owned()));
        let long = format!("a={}", "x".repeat(511));
        for other in ["", "a", "A=1", "a=1=2=3,é=1", long.as_str()] {
            assert_eq!(state(other), Some(String::new()), "{other}");
        }
    }
}
