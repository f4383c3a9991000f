//! Reading a JSON body: bounded, in time, whatever its Content-Type.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use domain::limits::{BODY_BYTES_MAX, REQUEST_READ_MS};

/// The body as a `T`.
///
/// Handlers call this after the caller is known, so that nobody else's body is looked at.
///
/// # Errors
///
/// [`ApiError::EncodedBody`], [`ApiError::BodyTooLong`], [`ApiError::RequestTimeout`], or
/// [`ApiError::InvalidBody`] with what is wrong with it.
pub async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<T, ApiError> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if request.headers().contains_key(CONTENT_ENCODING)
        && !header(CONTENT_ENCODING).is_some_and(|it| it.eq_ignore_ascii_case("identity"))
    {
        return Err(ApiError::EncodedBody);
    }
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(ApiError::BodyTooLong);
    }
    let limit = Duration::from_millis(REQUEST_READ_MS);
    let bytes = tokio::time::timeout(limit, read(payload))
        .await
        .map_err(|_| ApiError::RequestTimeout)??;
    // An array would do as well for the parser, in the order of the fields.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::InvalidBody("it must be a JSON object".into()));
    }
    serde_json::from_slice(&bytes).map_err(|error| ApiError::InvalidBody(plain(&error)))
}

async fn read(mut payload: web::Payload) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::InvalidBody("it broke off".into()))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(ApiError::BodyTooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The parser's sentence without control characters: it may quote what the caller sent.
fn plain(error: &serde_json::Error) -> String {
    error
        .to_string()
        .chars()
        .filter(|it| !it.is_control())
        .take(200)
        .collect()
}
