//! What a request is called, and what its caller says of the trace that it is part of.

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};

use observability::{Cause, RequestId, Step};

/// The id of a request, as the log has it.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// Longest part of a path that is shown: ids are the longest that there are.
const PART_BYTES_MAX: usize = 64;

/// A request that has come in, and the step that serves it.
pub(super) struct Arrival {
    request: RequestId,
    step: Step,
}

impl Arrival {
    /// The caller's own id and trace are taken over where they are well-formed; else they are as good
    /// as none.
    pub(super) fn of(request: &ServiceRequest) -> Self {
        let headers = request.headers();
        let id = only(headers, REQUEST_ID.as_str()).and_then(RequestId::given);
        let id = id.unwrap_or_else(RequestId::fresh);
        let parent = only(headers, PARENT);
        let state = parent.map(|_| joined(headers, STATE));
        let cause = Cause::of_request(id.clone(), parent, state.as_deref());
        let step = cause.serve(|step| {
            let method = method(request.method());
            step.tell("http.request.method", method);
            match request.match_pattern() {
                Some(route) => {
                    step.tell("http.route", route.clone());
                    format!("{method} {route}").into()
                }
                None => method.into(),
            }
        });
        Self { request: id, step }
    }

    /// What all that is done for the request is done for.
    pub(super) fn cause(&self) -> &Cause {
        self.step.cause()
    }

    /// Its id, for the answer.
    pub(super) fn request_id(&self) -> Option<HeaderValue> {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text: &str = match &self.request {
            RequestId::Own(id) => id.as_hyphenated().encode_lower(&mut buffer),
            RequestId::Given(text) => text,
        };
        HeaderValue::from_str(text).ok()
    }

    /// It has been answered.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.step
            .tell("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.step.fail(status);
        }
    }
}

/// A path for the log. What is longer than anything that belongs into one may be a token.
pub(super) fn shown(path: &str) -> String {
    let part = |part: &'_ str| match part.len() > PART_BYTES_MAX {
        true => "***".to_owned(),
        false => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The value of a header that is there once, and once only.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}

/// All values of a header that may be there more than once.
fn joined(headers: &HeaderMap, name: &str) -> String {
    let values = headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// A method as traces have it: what else a caller calls it is nobody's business.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_part_of_a_path_that_may_be_a_token_is_not_shown() {
        let id = uuid::Uuid::nil();
        let status = format!("/api/v1/matching/{id}/status");
        assert_eq!(shown(&status), status);

        let token = "x".repeat(65);
        assert_eq!(shown(&format!("/a/{token}/b/")), "/a/***/b/");
    }

    fn told(headers: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
        let request = TestRequest::get().uri("/ws?token=secret");
        let request = headers
            .iter()
            .fold(request, |request, header| request.append_header(*header));
        let arrival = Arrival::of(&request.to_srv_request());
        let answered = arrival.request_id().unwrap();
        let headers = arrival.cause().headers();
        assert_eq!(headers[0].1, answered.to_str().unwrap());
        headers
    }

    #[test]
    fn the_callers_own_names_are_taken_over_and_told_on() {
        let headers = told(&[
            ("x-request-id", "caller-1"),
            ("traceparent", TRACE),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ]);

        let expected = [
            ("x-request-id", "caller-1"),
            ("traceparent", TRACE),
            ("tracestate", "a=1,b=2"),
        ];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    #[test]
    fn names_that_are_malformed_or_ambiguous_are_as_good_as_none() {
        for headers in [
            vec![],
            vec![("x-request-id", "a b"), ("traceparent", "00-1-2-3")],
            vec![("x-request-id", "a"), ("x-request-id", "b")],
            vec![("traceparent", TRACE), ("traceparent", TRACE)],
            vec![("tracestate", "a=1")],
        ] {
            let told = told(&headers);

            assert_eq!(told.len(), 1, "{headers:?}");
            assert!(uuid::Uuid::try_parse(&told[0].1).is_ok(), "{told:?}");
        }
    }
}
