//! Where traces go, and how many of them.

use std::ops::RangeInclusive;

use super::reader::Reader;
use super::secret::SecretUrl;

/// What can be asked for of all traces.
const SHARES: RangeInclusive<f64> = 0.0..=1.0;

/// Where traces go, and how many of them.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The collector's address, without a slash at the end; the path for traces goes behind it.
    pub endpoint: SecretUrl,
    /// Under which name they stand there.
    pub service_name: String,
    /// Which of them are sent.
    pub sampling: Sampling,
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Whether a caller's `traceparent` decides, where there is one.
    pub caller_decides: bool,
    /// The share of all others, from 0 to 1.
    pub share: f64,
}

/// Nothing where they are not sent.
pub(super) fn read(reader: &mut Reader, app_name: Option<&String>) -> Option<Option<Traces>> {
    let endpoint = reader.http_url("OTEL_EXPORTER_OTLP_ENDPOINT");
    let service_name = reader.optional_text("OTEL_SERVICE_NAME");
    let sampling = sampling(reader);
    let (endpoint, service_name, sampling) = (endpoint?, service_name?, sampling?);
    let service_name = match service_name {
        Some(name) => name,
        None => app_name?.clone(),
    };
    Some(endpoint.map(|endpoint| Traces {
        endpoint,
        service_name,
        sampling,
    }))
}

fn sampling(reader: &mut Reader) -> Option<Sampling> {
    let samplers = [
        ("parentbased_always_on", (true, Some(1.0))),
        ("parentbased_always_off", (true, Some(0.0))),
        ("parentbased_traceidratio", (true, None)),
        ("always_on", (false, Some(1.0))),
        ("always_off", (false, Some(0.0))),
        ("traceidratio", (false, None)),
    ];
    let sampler = reader.choice("OTEL_TRACES_SAMPLER", &samplers);
    let expected = "a number from 0 to 1, such as 0.05";
    let ratio = reader.required("OTEL_TRACES_SAMPLER_ARG", expected, |text| {
        let ratio = text.parse().ok().filter(|ratio| SHARES.contains(ratio));
        ratio.ok_or_else(|| "is no share".to_owned())
    });
    let (caller_decides, share) = sampler?;
    Some(Sampling {
        caller_decides,
        share: share.unwrap_or(ratio?),
    })
}
