//! What every request passes on its way in and out.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::{FutureExt, StreamExt};
use tracing::{debug, error};

use super::arrival::{Arrival, REQUEST_ID, shown};
use super::error::ApiError;
use super::meter::RouteMeter;
use super::state::{Edge, Stage};
use super::{PREFIX, wire};
use crate::panics::Contained;
use domain::limits::{HEADERS_BYTES_MAX, PATH_BYTES_MAX};

/// Refuses what is too long or comes at the wrong time, turns a panic into 500, sees to it that
/// every error is JSON, and counts.
pub async fn pass<B: MessageBody + 'static>(
    edge: web::Data<Edge>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let began = tokio::time::Instant::now();
    // Counted before the look at the stage: whoever stops waits for those who still saw it serve, and
    // for nobody who is refused.
    let flight = edge.in_flight.begin();
    let _flight = (edge.stage() != Stage::Stopping).then_some(flight);
    let method = request.method().clone();
    let path = request.path().to_owned();
    // What is refused here, or panics, has come to no route.
    let unrouted = match asks(&request) {
        true => &edge.asks_unrouted,
        false => &edge.no_route,
    };
    let mut arrival = Arrival::of(&request);
    let cause = arrival.cause().clone();
    let outcome = match admit(&edge, &request) {
        Err(refusal) => Ok(refused(request, &refusal).await.map_into_right_body()),
        Ok(()) => {
            let served = AssertUnwindSafe(next.call(request)).catch_unwind();
            match Contained(cause.clone().within(served)).await {
                Ok(answered) => answered.map(as_json),
                Err(_) => {
                    let _entered = cause.enter();
                    let path = shown(&path);
                    error!(%method, path, "a handler panicked at {method} {path}");
                    Err(ApiError::Internal.into())
                }
            }
        }
    };
    // All that follows is written for this request; nothing is awaited any more.
    let _entered = cause.enter();
    let is_stopping = edge.stage() == Stage::Stopping;
    let outcome = outcome.map(|response| with_headers(response, &arrival, is_stopping));
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    arrival.answered(status);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        let path = shown(&path);
        error!(%method, path, "{method} {path} was answered 500");
    }
    let took = began.elapsed();
    let answered = outcome.as_ref().map(ServiceResponse::request);
    let meter = answered.ok().and_then(HttpRequest::app_data::<RouteMeter>);
    meter.unwrap_or(unrouted).note(status, took);
    // The path only: a query may hold a token.
    debug!(%method, path = shown(&path), status = status.as_u16(), took_us = took.as_micros(), "answered");
    outcome
}

fn admit(edge: &Edge, request: &ServiceRequest) -> Result<(), ApiError> {
    let uri = request.uri();
    if uri
        .path_and_query()
        .is_some_and(|it| it.as_str().len() > PATH_BYTES_MAX)
    {
        return Err(ApiError::PathTooLong);
    }
    let headers = request.headers().iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes > HEADERS_BYTES_MAX {
        return Err(ApiError::HeadersTooLong);
    }
    match (edge.stage(), uri.path()) {
        (Stage::Ready, _) if asks(request) && edge.throttle.is_full() => Err(ApiError::Busy),
        (Stage::Ready, _) | (_, "/livez" | "/readyz") => Ok(()),
        (Stage::Starting, _) => Err(ApiError::Starting),
        (Stage::Stopping, "/metrics" | "/health") => Ok(()),
        (Stage::Stopping, _) => Err(ApiError::Stopping),
    }
}

/// What has come of the body is thrown away: a connection with a body that nobody reads is closed, and
/// to open another one costs more than the refusal.
async fn refused(mut request: ServiceRequest, refusal: &ApiError) -> ServiceResponse {
    let mut body = request.take_payload();
    // What came together with the head is handed on once this has been looked at for the first time.
    tokio::task::yield_now().await;
    while let Some(Some(Ok(_))) = body.next().now_or_never() {}
    request.into_response(refusal.error_response())
}

/// Sees to it that an error is JSON, whoever answers it.
pub async fn in_json<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    next.call(request).await.map(as_json)
}

/// Whether this is `POST /request`.
fn asks(request: &ServiceRequest) -> bool {
    request.method() == Method::POST && request.path().strip_prefix(PREFIX) == Some(ASK)
}

/// An error that the framework answered by itself gets the body that ours have.
fn as_json<B>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    if !status.is_client_error() && !status.is_server_error() || is_json {
        response.map_into_left_body()
    } else {
        let reason = status.canonical_reason().unwrap_or("Error");
        let mut plain = HttpResponse::build(status);
        for header in response
            .headers()
            .iter()
            .filter(|(name, _)| *name != CONTENT_TYPE)
        {
            plain.append_header(header);
        }
        let body = plain.json(wire::problem(status.as_u16(), reason));
        response.into_response(body).map_into_right_body()
    }
}

/// What every answer carries: how browsers are to take it, and the id under which the log knows it.
fn with_headers<B>(
    mut response: ServiceResponse<B>,
    arrival: &Arrival,
    is_stopping: bool,
) -> ServiceResponse<B> {
    if is_stopping && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // Whoever goes on using the connection would see it end without an answer.
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(id) = arrival.request_id() {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Where a partner is asked for, below the prefix.
pub(super) const ASK: &str = "/request";
const SECURITY_HEADERS: [(HeaderName, &str); 2] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
];
