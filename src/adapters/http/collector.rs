//! The way to the collector of traces.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

use super::calls::{HttpCalls, Post};

/// Longest time of a call, so that one that hangs does not hold up the next ones for long.
const CALL_MAX: Duration = Duration::from_secs(3);
/// What it answers is a few bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Sends traces from a thread of its own. May be awaited on any thread, with a runtime or without.
#[derive(Debug)]
pub struct HttpCollector(HttpCalls);

impl HttpCollector {
    /// Sends them through `calls`.
    pub fn new(calls: HttpCalls) -> Self {
        Self(calls)
    }
}

#[async_trait]
impl HttpClient for HttpCollector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let headers = head.headers.iter();
        let headers = headers.filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.to_string(), value.to_owned()))
        });
        let post = Post {
            url: head.uri.to_string(),
            headers: headers.collect(),
            body,
            within: CALL_MAX,
            body_bytes_max: BODY_BYTES_MAX,
        };
        let answer = self
            .0
            .post(post)
            .await
            .map_err(|failed| failed.to_string())?;
        let response = Response::builder().status(answer.status);
        Ok(response.body(answer.body.into())?)
    }
}
