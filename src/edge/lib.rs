//! HTTP and WebSocket: parse, send one message, answer.

mod arrival;
mod auth;
mod body;
mod calls;
mod debug;
pub mod dev_token;
mod docs;
mod error;
mod flight;
mod gate;
mod matches;
mod meter;
mod operations;
mod pages;
pub mod panics;
mod rate;
mod scrape;
mod server;
mod sessions;
mod state;
mod throttle;
mod tickets;
mod wire;
mod ws;

use actix_cors::Cors;
use actix_web::dev::{ServiceFactory, ServiceRequest};
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web;
use actix_web::{App, Error, FromRequest, Handler, Resource, Responder};

pub use calls::{ANSWER_WITHIN_MS, CONFIRM_WITHIN_MS};
pub use docs::{asyncapi, openapi};
pub use server::serve;
pub use state::{Backend, Edge, Stage};

use error::ApiError;
use meter::RouteMeter;
use settings::Origins;

/// Where the calls of clients begin.
const PREFIX: &str = "/api/v1/matching";

/// The whole application: every route of the server, in one screen.
fn app(
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
        .wrap(from_fn(gate::pass))
        // What is somebody's own stays out of every cache; documents say otherwise themselves.
        .wrap(DefaultHeaders::new().add((CACHE_CONTROL, "no-store")))
        .wrap(cors)
        // It answers by itself those who may not call.
        .wrap(from_fn(gate::in_json))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(on("GET", "/", pages::home))
        .service(on("POST", "/dev/token", pages::dev_token))
        .service(on("GET", "/admin", pages::admin))
        .service(on("GET", "/health", operations::health))
        .service(on("GET", "/livez", operations::livez))
        .service(on("GET", "/readyz", operations::readyz))
        .service(on("GET", "/metrics", scrape::metrics))
        .service(on("GET", "/debug/actors", debug::actors))
        .service(on("GET", "/debug/tickets/{ticket_id}", debug::ticket))
        .service(on("GET", "/openapi.json", docs::document))
        .service(on("GET", "/asyncapi.json", docs::events_document))
        .service(on("GET", "/docs", docs::page))
        .service(on("GET", "/docs/{file}", docs::file))
        .service(on("GET", "/ws", ws::connect))
        .service(
            web::scope(PREFIX)
                .service(on("POST", "/request", tickets::open))
                .service(on("DELETE", "/request/{request_id}", tickets::withdraw))
                .service(on("GET", "/requests/{request_id}/status", tickets::status))
                .service(on("POST", "/confirm", matches::answer))
                .service(on("GET", "/sessions/active", sessions::active))
                .service(on("POST", "/sessions/leave", sessions::leave))
                .service(on("GET", "/session/{session_id}", sessions::read))
                .service(on("GET", "/{match_id}/status", matches::status)),
        );
}

/// One path with its one method; every other method is 405. The path is also the route's name in the
/// metrics, there without [`PREFIX`].
fn on<H, Args>(method: &'static str, path: &'static str, handler: H) -> Resource
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let others =
        move || async move { Err::<String, _>(ApiError::MethodNotAllowed { allowed: method }) };
    let route = match method {
        "POST" => web::post(),
        "DELETE" => web::delete(),
        _ => web::get(),
    };
    web::resource(path)
        .app_data(RouteMeter::new(path))
        .route(route.to(handler))
        .default_service(web::to(others))
}

/// Credentials are never allowed: tokens travel in a header that pages set themselves.
fn cors(edge: &Edge) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_headers([RETRY_AFTER, arrival::REQUEST_ID])
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
