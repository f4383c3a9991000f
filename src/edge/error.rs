//! Every way in which a request can fail: the only place that knows HTTP status codes.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use super::wire;
use domain::{InvalidValue, TicketId};
use observability::Needed;
use ports::Away;

/// A request that fails, for a reason that its caller can act on.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is not the JSON object that this path takes.
    #[error("Invalid request body: {0}")]
    InvalidBody(String),
    /// The query is not one that this path takes.
    #[error("Invalid query: {0}")]
    InvalidQuery(String),
    /// A value has the right type and is still none.
    #[error("{0}")]
    InvalidValue(#[from] InvalidValue),
    /// An id in the body is not one.
    #[error("{0} must be a uuid")]
    InvalidId(&'static str),
    /// The body is encoded.
    #[error("Content-Encoding is not supported: send the body as it is")]
    EncodedBody,
    /// The handshake is not one.
    #[error("Not a WebSocket handshake: {0}")]
    InvalidHandshake(String),
    /// The user has a live ticket.
    #[error("You already have a pending request.")]
    DuplicateRequest {
        /// That ticket.
        ticket: TicketId,
        /// Whether it is in a match.
        matched: bool,
    },
    /// The ticket is over or in a match.
    #[error("Can only cancel pending requests")]
    NotPending,
    /// Both have confirmed.
    #[error("The match is already confirmed by both")]
    AlreadyConfirmed,
    /// No token, or a bad one.
    #[error("Not authenticated: a valid bearer token is needed")]
    Unauthorized,
    /// A page from elsewhere.
    #[error("This origin may not connect")]
    ForeignOrigin,
    /// No such ticket, or not the caller's.
    #[error("Request not found")]
    RequestNotFound,
    /// No ticket has this id.
    #[error("Ticket not found")]
    TicketNotFound,
    /// No actor has such a bucket.
    #[error("Bucket not found")]
    BucketNotFound,
    /// No such match, or over, or not the caller's.
    #[error("Match not found")]
    MatchNotFound,
    /// No such session, or not the caller's.
    #[error("Session not found")]
    SessionNotFound,
    /// The caller is in no session.
    #[error("No active session")]
    NoActiveSession,
    /// No such path.
    #[error("Not Found")]
    NoSuchPath,
    /// Another method is needed.
    #[error("Method not allowed on this path")]
    MethodNotAllowed {
        /// The one that is.
        allowed: &'static str,
    },
    /// The body did not arrive in time.
    #[error("The request was not complete in time")]
    RequestTimeout,
    /// The body is too long.
    #[error("The body is longer than {} bytes", domain::limits::BODY_BYTES_MAX)]
    BodyTooLong,
    /// The path is too long.
    #[error("The path is longer than {} bytes", domain::limits::PATH_BYTES_MAX)]
    PathTooLong,
    /// The headers are too long.
    #[error(
        "The headers are longer than {} bytes",
        domain::limits::HEADERS_BYTES_MAX
    )]
    HeadersTooLong,
    /// Too many asks and confirmations.
    #[error("Too many requests: try again in {retry_after_s} s")]
    TooManyRequests {
        /// When one more is taken, in seconds.
        retry_after_s: u64,
    },
    /// Too many sockets of one user.
    #[error("Too many open sockets: close one first")]
    TooManySockets,
    /// Too much is under way.
    #[error("The server is busy: try again in a moment")]
    Busy,
    /// A needed backend is away, or did not answer in time.
    #[error("The service is temporarily unavailable: try again in a moment")]
    Unavailable,
    /// No question could be had.
    #[error(
        "No question is available right now; both confirmations are kept, try again in a moment"
    )]
    QuestionUnavailable,
    /// What was stored is not back yet.
    #[error("The server is starting: try again in a moment")]
    Starting,
    /// What was stored is not back yet, or nothing can be stored now, and this is why.
    #[error("The server is not ready: it waits for {}", wire::names(waiting_for))]
    NotReady {
        /// What does not answer.
        waiting_for: Vec<Needed>,
    },
    /// The server stops.
    #[error("The server is stopping: try again in a moment")]
    Stopping,
    /// Our own fault.
    #[error("Internal Server Error")]
    Internal,
}

impl ApiError {
    /// Seconds after which the same request may succeed.
    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests { retry_after_s } => Some(*retry_after_s),
            Self::Busy | Self::Unavailable | Self::Starting | Self::Stopping => Some(1),
            Self::NotReady { .. } => Some(1),
            Self::QuestionUnavailable | Self::TooManySockets => Some(2),
            Self::InvalidBody(_)
            | Self::InvalidQuery(_)
            | Self::InvalidValue(_)
            | Self::InvalidId(_)
            | Self::EncodedBody
            | Self::InvalidHandshake(_)
            | Self::DuplicateRequest { .. }
            | Self::NotPending
            | Self::AlreadyConfirmed
            | Self::Unauthorized
            | Self::ForeignOrigin
            | Self::RequestNotFound
            | Self::TicketNotFound
            | Self::BucketNotFound
            | Self::MatchNotFound
            | Self::SessionNotFound
            | Self::NoActiveSession
            | Self::NoSuchPath
            | Self::MethodNotAllowed { .. }
            | Self::RequestTimeout
            | Self::BodyTooLong
            | Self::PathTooLong
            | Self::HeadersTooLong
            | Self::Internal => None,
        }
    }
}

impl From<Away> for ApiError {
    fn from(away: Away) -> Self {
        tracing::warn!("a request was answered 503, because {away}");
        Self::Unavailable
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::InvalidBody(_)
            | Self::InvalidQuery(_)
            | Self::InvalidValue(_)
            | Self::InvalidId(_)
            | Self::EncodedBody
            | Self::InvalidHandshake(_)
            | Self::DuplicateRequest { .. }
            | Self::NotPending
            | Self::AlreadyConfirmed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::RequestNotFound
            | Self::TicketNotFound
            | Self::BucketNotFound
            | Self::MatchNotFound
            | Self::SessionNotFound
            | Self::NoActiveSession
            | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::PathTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TooManyRequests { .. } | Self::TooManySockets => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy
            | Self::Unavailable
            | Self::QuestionUnavailable
            | Self::Starting
            | Self::NotReady { .. }
            | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if let Some(seconds) = self.retry_after_s() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        match self {
            Self::Unauthorized => {
                let scheme = HeaderValue::from_static("Bearer");
                response.insert_header((header::WWW_AUTHENTICATE, scheme));
            }
            Self::MethodNotAllowed { allowed } => {
                response.insert_header((header::ALLOW, *allowed));
            }
            // The rest of a body that nobody reads must not be taken for the next request.
            Self::BodyTooLong | Self::RequestTimeout => {
                response.force_close();
            }
            _ => {}
        }
        let mut body = wire::problem(status.as_u16(), &self.to_string());
        if let Self::DuplicateRequest { ticket, matched } = self {
            body.request_id = Some(ticket.0);
            body.status = Some(if *matched { "matched" } else { "pending" });
        }
        if let Self::NotReady { waiting_for } = self {
            body.waiting_for = waiting_for.iter().map(|it| it.label()).collect();
        }
        response.json(body)
    }
}
