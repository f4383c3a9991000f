//! HTTP and WebSocket: parse, send one message, answer.

mod auth;
mod body;
mod calls;
pub mod dev_token;
mod docs;
mod error;
mod gate;
mod matches;
mod operations;
mod pages;
mod rate;
mod sessions;
mod state;
mod tickets;
mod wire;
mod ws;

use actix_cors::Cors;
use actix_web::dev::{ServiceFactory, ServiceRequest};
use actix_web::middleware::from_fn;
use actix_web::web::{self, delete, get, post, resource};
use actix_web::{App, Error};

pub use state::{Backend, Edge, Stage};

use crate::settings::Origins;
use error::ApiError;

/// Where the calls of clients begin.
const PREFIX: &str = "/api/v1/matching";

/// The whole application: every route of the server, in one screen.
pub fn app(
    edge: web::Data<Edge>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse<impl actix_web::body::MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let cors = cors(&edge);
    App::new()
        .app_data(edge)
        .configure(routes)
        .default_service(web::to(|| async { Err::<String, _>(ApiError::NoSuchPath) }))
        .wrap(cors)
        .wrap(from_fn(gate::pass))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(on("/", get().to(pages::home)))
        .service(on("/dev/token", post().to(pages::dev_token)))
        .service(on("/admin", get().to(pages::admin)))
        .service(on("/health", get().to(operations::health)))
        .service(on("/livez", get().to(operations::livez)))
        .service(on("/readyz", get().to(operations::readyz)))
        .service(on("/metrics", get().to(operations::metrics)))
        .service(on("/debug/actors", get().to(operations::actors)))
        .service(on("/openapi.json", get().to(docs::document)))
        .service(on("/docs", get().to(docs::page)))
        .service(on("/docs/{file}", get().to(docs::file)))
        .service(on("/ws", get().to(ws::connect)))
        .service(
            web::scope(PREFIX)
                .service(on("/request", post().to(tickets::open)))
                .service(on("/request/{request_id}", delete().to(tickets::withdraw)))
                .service(on(
                    "/requests/{request_id}/status",
                    get().to(tickets::status),
                ))
                .service(on("/confirm", post().to(matches::answer)))
                .service(on("/sessions/active", get().to(sessions::active)))
                .service(on("/sessions/leave", post().to(sessions::leave)))
                .service(on("/session/{session_id}", get().to(sessions::read)))
                .service(on("/{match_id}/status", get().to(matches::status))),
        );
}

/// One path with its one method; every other method is 405.
fn on(path: &str, route: actix_web::Route) -> actix_web::Resource {
    resource(path)
        .route(route)
        .default_service(web::to(|| async {
            Err::<String, _>(ApiError::MethodNotAllowed)
        }))
}

/// Credentials are never allowed: tokens travel in a header that pages set themselves.
fn cors(edge: &Edge) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .max_age(3_600);
    match &edge.settings.http.allowed_origins {
        Origins::Any => cors.allow_any_origin().send_wildcard(),
        Origins::NotSet if edge.settings.environment.is_dev() => {
            cors.allow_any_origin().send_wildcard()
        }
        Origins::NotSet => cors,
        Origins::Listed(listed) => listed
            .iter()
            .fold(cors, |cors, origin| cors.allowed_origin(origin)),
    }
}
