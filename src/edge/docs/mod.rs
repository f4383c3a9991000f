//! The document that describes the API: OpenAPI 3.1, made from the handlers and the wire's types.

pub mod answers;
mod events;
pub mod failures;
mod page;
pub mod problems;
pub mod samples;
mod swagger_ui;
pub mod values;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use actix_web::web::Bytes;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, OpenApi, PathItem, Ref};
use utoipa::{Modify, OpenApi as _};

pub use events::asyncapi;
pub use page::{document, events_document, file, page};

use super::{PREFIX, debug, matches, operations, pages, scrape, sessions, tickets, ws};
use domain::limits::{
    BODY_BYTES_MAX, HEADERS_BYTES_MAX, PATH_BYTES_MAX, REQUEST_READ_MS, SOCKET_MESSAGE_BYTES_MAX,
};
use failures::Of;

/// The document's JSON text; made once, when it is first asked for.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let text = serde_json::to_vec(&Document::openapi());
    Bytes::from(text.expect("all keys are strings"))
});

/// The text of the document that describes the API, as it is served.
pub fn openapi() -> &'static [u8] {
    &TEXT
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "matchmaker"),
    nest((path = PREFIX, api = Matching)),
    paths(
        ws::connect,
        pages::home,
        pages::dev_token,
        pages::admin,
        operations::health,
        operations::livez,
        operations::readyz,
        scrape::metrics,
        debug::actors,
        debug::ticket,
        page::document,
        page::events_document,
        page::page,
        page::file,
    ),
    components(schemas(
        problems::Problem,
        problems::NotFoundProblem,
        problems::InternalProblem,
        problems::DuplicateProblem,
        problems::NotReadyProblem,
    )),
    modifiers(&WhatAllShare),
    tags(
        (name = "matching", description = "Ask for a partner, and answer when one is found."),
        (name = "sessions", description = "What two people who confirmed work on."),
        (name = "socket", description = "Events as they happen."),
        (name = "operations", description = "For operators and monitors."),
        (name = "documents", description = "What this is, and how to use it."),
    ),
)]
struct Document;

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    tickets::open,
    tickets::status,
    tickets::withdraw,
    matches::answer,
    matches::status,
    sessions::active,
    sessions::read,
    sessions::leave,
))]
struct Matching;

/// Adds what holds for many operations and is therefore written at none of them.
struct WhatAllShare;

impl Modify for WhatAllShare {
    fn modify(&self, document: &mut OpenApi) {
        document.info.description = Some(overview());
        // That of the source; the API has none.
        document.info.license = None;
        let components = document.components.get_or_insert_default();
        add_security_schemes(components);
        for (_, name, _, response) in failures::common() {
            components.responses.insert(name, response.into());
        }
        for item in document.paths.paths.values_mut() {
            operations_of(item).for_each(add_common_failures);
        }
    }
}

/// The operations of a path, for each method that the server knows.
fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete]
        .into_iter()
        .flatten()
}

fn add_common_failures(operation: &mut Operation) {
    let anybody = SecurityRequirement::default();
    let security = operation.security.get_or_insert_default();
    if *security == [anybody] {
        // The plainest way to say that no token is looked at.
        security.clear();
    }
    let with_token = !security.is_empty();
    let with_body = operation.request_body.is_some();
    for (of, name, code, _) in failures::common() {
        let concerned = match of {
            Of::All => true,
            Of::WithBody => with_body,
            Of::WithToken => with_token,
        };
        if concerned {
            let responses = &mut operation.responses.responses;
            responses.insert(code.to_string(), Ref::from_response_name(name).into());
        }
    }
}

fn add_security_schemes(components: &mut Components) {
    let http = || HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let user = "A user's access token, as the user service signs it (HS256).";
    let user = http().bearer_format("JWT").description(Some(user)).build();
    let admin = "The value of `ADMIN_TOKEN`. Not asked for in dev.";
    let admin = http().description(Some(admin)).build();
    let query = "The same access token, for browsers, which cannot set a header here.";
    let query = ApiKeyValue::with_description("token", query);
    components.add_security_scheme("bearer", SecurityScheme::Http(user));
    components.add_security_scheme("admin", SecurityScheme::Http(admin));
    components.add_security_scheme("token", SecurityScheme::ApiKey(ApiKey::Query(query)));
}

fn overview() -> String {
    format!(
        "Pairs two people who want to practise together: ask with a difficulty and a topic, poll \
         the request or listen on the socket until a partner is found, confirm, and read the \
         session. What comes by itself, on the socket and by RabbitMQ, is described in \
         [asyncapi.json](asyncapi.json).\n\n\
         Every error is JSON with a `detail`. A path that is not known is 404, a method that is \
         not known on it 405. Bodies are read as JSON whatever their `Content-Type`, fields that \
         are not known are ignored, and a `Content-Encoding` is refused. A body has at most \
         {BODY_BYTES_MAX} bytes, a path with its query {PATH_BYTES_MAX}, all headers together \
         {HEADERS_BYTES_MAX}, a message on the socket {SOCKET_MESSAGE_BYTES_MAX}; a request is \
         complete within {} s.",
        REQUEST_READ_MS / 1_000
    )
}
