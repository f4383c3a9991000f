//! Counts and times requests, by route.

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

use observability::{HTTP_REQUESTS, HTTP_SECONDS};

/// The status codes that have a label of their own; all others share one.
const CODES: [(u16, &str); 14] = [
    (101, "101"),
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (414, "414"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (503, "503"),
];
const OTHER: &str = "other";

/// The meter of one route. It keeps the series that it has used: to look one up for each request
/// costs more than to count.
pub struct RouteMeter {
    route: &'static str,
    seconds: Histogram,
    by_code: [OnceLock<Counter>; CODES.len() + 1],
}

impl RouteMeter {
    /// The meter of the route with this template.
    pub fn new(route: &'static str) -> Self {
        Self {
            route,
            seconds: histogram!(HTTP_SECONDS, "route" => route),
            by_code: Default::default(),
        }
    }

    /// The meter of requests that no route takes, or that are refused before.
    pub fn of_no_route() -> Self {
        Self::new("none")
    }

    /// A request was answered after so long.
    pub fn note(&self, status: StatusCode, took: Duration) {
        let code = CODES.iter().position(|(code, _)| *code == status.as_u16());
        let code = code.unwrap_or(CODES.len());
        let series = self.by_code[code].get_or_init(|| {
            let label = CODES.get(code).map_or(OTHER, |(_, label)| label);
            counter!(HTTP_REQUESTS, "route" => self.route, "code" => label)
        });
        series.increment(1);
        self.seconds.record(took);
    }
}
