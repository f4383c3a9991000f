//! How each operation can fail. Codes, sentences, bodies and headers are those of [`ApiError`].

use std::collections::BTreeMap;

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web_actors::ws::HandshakeError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    Content, ContentBuilder, RefOr, Response, ResponseBuilder, example::ExampleBuilder,
};

use super::{problems, samples};
use crate::error::ApiError;
use crate::wire::{AskBody, ConfirmBody, LeaveBody, TokenBody};
use domain::InvalidValue;
use observability::Needed;

macro_rules! failures {
    ($($(#[$doc:meta])+ $name:ident => $errors:expr;)+) => {$(
        $(#[$doc])+
        pub enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                by_code($errors)
            }
        }
    )+};
}

failures! {
    /// Of opening a ticket.
    OpenTicket => [
        ApiError::InvalidBody(fault::<AskBody>(r#"{"difficulty": "Easy"}"#)),
        ApiError::InvalidValue(InvalidValue::Difficulty),
        ApiError::InvalidValue(InvalidValue::Topic),
        ApiError::EncodedBody,
        ApiError::DuplicateRequest { ticket: samples::TICKET, matched: false },
        ApiError::TooManyRequests { retry_after_s: 1 },
    ].into_iter().chain(away());
    /// Of reading the state of the actors.
    ReadActors => [
        ApiError::InvalidQuery("limit must be from 1 to 1000".into()),
        ApiError::InvalidValue(InvalidValue::Difficulty),
        ApiError::BucketNotFound,
    ].into_iter().chain(away());
    /// Of reading a ticket's timeline.
    ReadTimeline => [ApiError::TicketNotFound].into_iter().chain(away());
    /// Of reading a ticket.
    ReadTicket => [ApiError::RequestNotFound].into_iter().chain(away());
    /// Of withdrawing a ticket.
    WithdrawTicket => [ApiError::NotPending, ApiError::RequestNotFound]
        .into_iter()
        .chain(away());
    /// Of answering a proposal.
    AnswerProposal => [
        ApiError::InvalidBody(fault::<ConfirmBody>(r#"{"confirmed": "yes"}"#)),
        ApiError::InvalidId("match_id"),
        ApiError::EncodedBody,
        ApiError::AlreadyConfirmed,
        ApiError::MatchNotFound,
        ApiError::TooManyRequests { retry_after_s: 1 },
        ApiError::QuestionUnavailable,
    ].into_iter().chain(away());
    /// Of reading a match.
    ReadMatch => [ApiError::MatchNotFound].into_iter().chain(away());
    /// Of finding the caller's session.
    FindSession => [ApiError::NoActiveSession, ApiError::Starting, ApiError::Stopping];
    /// Of reading a session.
    ReadSession => [ApiError::SessionNotFound].into_iter().chain(away());
    /// Of leaving a session.
    LeaveSession => [
        ApiError::InvalidBody(fault::<LeaveBody>("{")),
        ApiError::InvalidId("session_id"),
        ApiError::EncodedBody,
        ApiError::SessionNotFound,
    ].into_iter().chain(away());
    /// Of connecting a socket.
    Connect => [
        ApiError::InvalidHandshake(HandshakeError::NoWebsocketUpgrade.to_string()),
        ApiError::ForeignOrigin,
        ApiError::TooManySockets,
        ApiError::Busy,
        ApiError::Starting,
        ApiError::Stopping,
    ];
    /// Of minting a token.
    MintToken => [
        ApiError::InvalidBody(fault::<TokenBody>("[17]")),
        ApiError::InvalidValue(InvalidValue::UserId),
        ApiError::EncodedBody,
        ApiError::NoSuchPath,
        ApiError::Starting,
        ApiError::Stopping,
    ];
    /// Of finding out whether new work is taken.
    Readiness => [
        ApiError::Starting,
        ApiError::NotReady { waiting_for: vec![Needed::PostgreSql] },
        ApiError::Stopping,
        ApiError::Unavailable,
    ];
    /// Of what answers until the server has stopped.
    UntilStopped => [ApiError::Starting];
    /// Of what needs a server that serves and nothing else.
    Serving => [ApiError::Starting, ApiError::Stopping];
    /// Of a file that may not exist.
    File => [ApiError::NoSuchPath, ApiError::Starting, ApiError::Stopping];
}

/// Of every call that the roster or the store answers.
fn away() -> [ApiError; 4] {
    [
        ApiError::Busy,
        ApiError::Unavailable,
        ApiError::Starting,
        ApiError::Stopping,
    ]
}

/// Which operations a common failure belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Every operation.
    All,
    /// Those that take a body.
    WithBody,
    /// Those that want to know who is calling.
    WithToken,
}

/// The failures that many operations share, each with its name among the document's components.
pub fn common() -> impl Iterator<Item = (Of, String, u16, Response)> {
    let errors = [
        (Of::WithToken, ApiError::Unauthorized),
        (Of::WithBody, ApiError::RequestTimeout),
        (Of::WithBody, ApiError::BodyTooLong),
        (Of::All, ApiError::PathTooLong),
        (Of::All, ApiError::HeadersTooLong),
        (Of::All, ApiError::Internal),
    ];
    errors.into_iter().map(|(of, error)| {
        let code = error.status_code().as_u16();
        (of, name(&error), code, response(code, &[error]))
    })
}

/// What the parser says about `body`, which is none.
fn fault<T: DeserializeOwned>(body: &str) -> String {
    match serde_json::from_str::<T>(body) {
        Ok(_) => String::new(),
        Err(fault) => fault.to_string(),
    }
}

fn by_code(errors: impl IntoIterator<Item = ApiError>) -> BTreeMap<String, RefOr<Response>> {
    let mut codes = BTreeMap::<u16, Vec<ApiError>>::new();
    for error in errors {
        let code = error.status_code().as_u16();
        codes.entry(code).or_default().push(error);
    }
    codes
        .into_iter()
        .map(|(code, errors)| (code.to_string(), response(code, &errors).into()))
        .collect()
}

/// The answer with this code, with what each of `errors` looks like.
fn response(code: u16, errors: &[ApiError]) -> Response {
    let mut response = ResponseBuilder::new().description(description(code));
    let mut content = ContentBuilder::new().schema(Some(problems::schema(errors)));
    for error in errors {
        let answer = error.error_response();
        let headers = answer.headers().iter();
        for (name, header) in headers.filter_map(|(name, value)| header(name, value)) {
            response = response.header(name, header);
        }
        let body = answer.into_body().try_into_bytes().unwrap_or_default();
        let body = serde_json::from_slice::<Value>(&body).ok();
        let example = ExampleBuilder::new().value(body).build();
        content = content.examples_from_iter([(name(error), example)]);
    }
    response
        .content("application/json", Content::from(content))
        .build()
}

/// A header that clients should know of, with its name as documents spell it.
fn header(name: &HeaderName, value: &HeaderValue) -> Option<(&'static str, Header)> {
    let value = value.to_str().ok()?;
    let (name, description, kind, example) = if name == RETRY_AFTER {
        let what = "Seconds after which the same request may succeed.";
        let seconds = value.parse::<u64>().ok()?;
        ("Retry-After", what, Type::Integer, json!(seconds))
    } else if name == WWW_AUTHENTICATE {
        let what = "The scheme that is asked for.";
        ("WWW-Authenticate", what, Type::String, json!(value))
    } else {
        return None;
    };
    let schema = ObjectBuilder::new().schema_type(kind).build();
    let header = HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .example(Some(example))
        .build();
    Some((name, header))
}

/// The name of the variant, with that of a plain variant inside.
fn name(error: &ApiError) -> String {
    let debug = format!("{error:?}");
    let names = debug.split(['{', '"']).next().unwrap_or_default();
    names.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn description(code: u16) -> &'static str {
    match code {
        400 => "The request is not valid, or the state does not allow it. Nothing was changed.",
        401 => "The token is missing or not valid.",
        403 => "Pages of this origin may not connect.",
        404 => "Unknown, over, or not the caller's: these are not told apart.",
        408 => "The body was not complete in time. The connection may close without an answer.",
        413 => "The body is too long.",
        414 => "The path with its query is too long.",
        429 => "Too many asks, confirmations or sockets of one user.",
        431 => "The headers are too long.",
        500 => "A fault of the server. The log has it.",
        503 => "Overload, or something that is needed is away, starting or stopping.",
        _ => "It failed.",
    }
}
