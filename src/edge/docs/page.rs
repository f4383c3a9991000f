//! Serves the document, and Swagger UI to explore it.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_OPENER_POLICY,
    CROSS_ORIGIN_RESOURCE_POLICY, ContentType,
};
use actix_web::web::{self, Bytes};

use super::answers::{AsyncApiDocument, OpenApiDocument};
use super::{TEXT, events, failures, swagger_ui};
use crate::error::ApiError;

pub(super) const PAGE: &str = include_str!("../assets/docs.html");
pub(super) const SCRIPT: &str = include_str!("../assets/docs.js");
/// What the page may load and call: this server only, and pictures inside of its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "read_document",
    tag = "documents",
    responses((status = 200, description = "OpenAPI 3.1.", body = OpenApiDocument), failures::Serving),
    security(())
)]
pub async fn document() -> HttpResponse {
    json(&TEXT)
}

/// The document of what comes by itself: events on the socket, and what is published.
#[utoipa::path(
    get,
    path = "/asyncapi.json",
    operation_id = "read_events_document",
    tag = "documents",
    responses((status = 200, description = "AsyncAPI 3.0.", body = AsyncApiDocument), failures::Serving),
    security(())
)]
pub async fn events_document() -> HttpResponse {
    json(&events::TEXT)
}

fn json(text: &Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::json())
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(text.clone())
}

/// A page to explore this document and try it out.
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "show_document",
    tag = "documents",
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        failures::Serving,
    ),
    security(())
)]
pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(PAGE)
}

/// A script or style sheet of that page.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    operation_id = "load_file",
    tag = "documents",
    params(("file" = String, Path, description = "Its name.", example = "docs.js")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/javascript"),
            (String = "text/css"),
        )),
        failures::File,
    ),
    security(())
)]
pub async fn file(path: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let name = path.into_inner();
    let mut response = HttpResponse::Ok();
    response
        .content_type(if name.ends_with(".css") {
            "text/css; charset=utf-8"
        } else {
            "text/javascript; charset=utf-8"
        })
        .insert_header((CACHE_CONTROL, "max-age=3600"));
    if name == "docs.js" {
        return Ok(response.body(SCRIPT));
    }
    let gzip = swagger_ui::gzip(&name).ok_or(ApiError::NoSuchPath)?;
    Ok(response
        .insert_header((CONTENT_ENCODING, "gzip"))
        .body(gzip.clone()))
}
