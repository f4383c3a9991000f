//! JSON bodies and socket frames: the one place that translates between the wire and the domain.
//!
//! On the wire a ticket is a "match request", and a ticket's id its `request_id`.

mod bodies;
mod debug;
mod frames;
mod service;
mod shared;

pub use bodies::{AskBody, ConfirmBody, LeaveBody, TokenBody};
pub use debug::*;
pub use frames::{MatchExpired, MatchFound, MatchReady, PartnerLeft, RequestTimeout, frame};
pub use service::{About, Health, Liveness, Readiness, Token};
pub use shared::session_text;

use std::num::NonZeroU8;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::formatting::Formattable;
use utoipa::ToSchema;
use uuid::Uuid;

use super::docs::{samples, values};
use domain::{MatchId, Question, SessionRecord, Side, Ticket, TicketOutcome, Timestamp};
use observability::Needed;
use ports::StoredStatus;

/// The body of every error.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// What is wrong, in one sentence.
    detail: String,
    /// With every 404 and 500: the name of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// With every 404 and 500: the code once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    /// With a duplicate request: the ticket that the caller holds already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// With a duplicate request: how that ticket stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Of readiness: the servers that do not answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<&'static str>,
}

/// The body of an error with this status code.
pub fn problem(status: u16, detail: &str) -> Problem {
    let error = match status {
        404 => Some("Not Found"),
        500 => Some("Internal Server Error"),
        _ => None,
    };
    Problem {
        detail: detail.to_owned(),
        error,
        status_code: error.map(|_| status),
        request_id: None,
        status: None,
        waiting_for: Vec::new(),
    }
}

/// Names for a sentence.
pub fn names(needed: &[Needed]) -> String {
    let names: Vec<_> = needed.iter().map(|it| it.name()).collect();
    names.join(" and ")
}

/// A ticket, as `POST /request` answers it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::request_created))]
pub struct RequestCreated<'a> {
    /// The `request_id` of other calls.
    id: Uuid,
    #[schema(value_type = values::UserId)]
    user_id: &'a str,
    #[schema(value_type = values::Difficulty)]
    difficulty: &'static str,
    #[schema(value_type = values::Topic)]
    topic: &'a str,
    #[schema(value_type = values::LiveStatus)]
    status: &'static str,
    /// When it was first enqueued, in UTC.
    #[schema(format = DateTime)]
    created_at: String,
}

impl<'a> RequestCreated<'a> {
    /// The ticket as it stands.
    pub fn new(ticket: &'a Ticket, matched: bool) -> Self {
        Self {
            id: ticket.id.0,
            user_id: ticket.user.as_str(),
            difficulty: ticket.wish.difficulty.as_str(),
            topic: ticket.wish.topic.as_str(),
            status: if matched { "matched" } else { "pending" },
            created_at: rfc3339(ticket.enqueued_at),
        }
    }
}

/// How a ticket stands.
#[derive(Debug, Serialize)]
pub struct RequestStatus {
    status: &'static str,
    /// There exactly where the status is `matched`.
    #[serde(skip_serializing_if = "Option::is_none")]
    match_id: Option<Uuid>,
}

impl RequestStatus {
    /// A live ticket, or one in an open session.
    pub fn live(match_id: Option<MatchId>) -> Self {
        match match_id {
            Some(id) => Self {
                status: "matched",
                match_id: Some(id.0),
            },
            None => Self {
                status: "pending",
                match_id: None,
            },
        }
    }

    /// A ticket as it is stored.
    pub fn stored(status: StoredStatus) -> Self {
        match status {
            StoredStatus::Waiting => Self::live(None),
            StoredStatus::Matched(id) => Self::live(Some(id)),
            StoredStatus::Closed(TicketOutcome::Expired) => Self {
                status: "timeout",
                match_id: None,
            },
            StoredStatus::Closed(
                TicketOutcome::Withdrawn
                | TicketOutcome::Declined
                | TicketOutcome::Replaced
                | TicketOutcome::Refused
                | TicketOutcome::InSession,
            ) => Self {
                status: "cancelled",
                match_id: None,
            },
        }
    }
}

/// The answer to a withdrawal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::withdrawn))]
pub struct Withdrawn {
    /// What happened.
    #[schema(value_type = values::WithdrawnMessage)]
    message: &'static str,
}

impl Withdrawn {
    /// There is only one.
    pub const MESSAGE: Self = Self {
        message: "Match request cancelled",
    };
}

/// What came of leaving a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::left, samples::left_unknown))]
pub struct SessionLeft {
    /// Left, whether now or before; or ok where there is no such session.
    #[schema(value_type = values::LeftWord)]
    status: &'static str,
}

impl SessionLeft {
    /// The caller was in it.
    pub const LEFT: Self = Self { status: "left" };
    /// There is no such session.
    pub const UNKNOWN: Self = Self { status: "ok" };
}

/// The first confirmation's answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::waiting_for_partner))]
pub struct WaitingForPartner {
    #[schema(value_type = values::WaitingWord)]
    status: &'static str,
    match_id: Uuid,
}

impl WaitingForPartner {
    /// For this match.
    pub fn new(id: MatchId) -> Self {
        Self {
            status: "waiting_for_partner",
            match_id: id.0,
        }
    }
}

/// A decline's answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::declined))]
pub struct Declined {
    #[schema(value_type = values::DeclinedWord)]
    status: &'static str,
    /// Whether the partner waits again, in the old place.
    requeued_partner: bool,
    match_id: Uuid,
}

impl Declined {
    /// For this match; a decline always puts the partner back.
    pub fn new(id: MatchId) -> Self {
        Self {
            status: "cancelled",
            requeued_partner: true,
            match_id: id.0,
        }
    }
}

/// The second confirmation's answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::session_ready))]
pub struct SessionReady<'a> {
    match_id: Uuid,
    session_id: Uuid,
    /// The question's id, as text.
    #[schema(value_type = values::QuestionIdText)]
    question_id: String,
    #[schema(value_type = values::UserId)]
    partner_id: &'a str,
}

impl<'a> SessionReady<'a> {
    /// As the member on `side` is told.
    pub fn new(session: &'a SessionRecord, side: Side) -> Self {
        Self {
            match_id: session.match_id.0,
            session_id: session.id.0,
            question_id: session.question.id.to_string(),
            partner_id: session.users[side.other().index()].as_str(),
        }
    }
}

/// How a match stands.
#[derive(Debug, Serialize)]
pub struct MatchStatus {
    /// Whether both have confirmed and the session is readable.
    confirm_status: bool,
    /// There exactly where `confirm_status` is true.
    session_id: Option<Uuid>,
}

impl MatchStatus {
    /// Confirmed exactly where there is a session.
    pub fn new(session: Option<Uuid>) -> Self {
        Self {
            confirm_status: session.is_some(),
            session_id: session,
        }
    }
}

/// A question, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuestionBody<'a> {
    /// The question service's id.
    id: i64,
    title: &'a str,
    /// As the question service spells it, in lower case.
    difficulty: &'a str,
    topics: &'a [String],
}

impl<'a> From<&'a Question> for QuestionBody<'a> {
    fn from(question: &'a Question) -> Self {
        Self {
            id: question.id,
            title: &question.title,
            difficulty: &question.difficulty,
            topics: &question.topics,
        }
    }
}

/// The caller's session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::active_session))]
pub struct ActiveSession<'a> {
    match_id: Uuid,
    session_id: Uuid,
    /// The other member, even after that one has left.
    #[schema(value_type = values::UserId)]
    partner_id: &'a str,
    question: QuestionBody<'a>,
}

impl<'a> ActiveSession<'a> {
    /// As the member on `side` sees it.
    pub fn new(session: &'a SessionRecord, side: Side) -> Self {
        Self {
            match_id: session.match_id.0,
            session_id: session.id.0,
            partner_id: session.users[side.other().index()].as_str(),
            question: (&session.question).into(),
        }
    }
}

/// Seconds precision, UTC, as the old service wrote times.
pub fn rfc3339(time: Timestamp) -> String {
    written(time.as_ms().div_euclid(1_000) * 1_000, &Rfc3339)
}

/// The same to the millisecond, always with three digits: so such texts sort as their times do.
pub fn rfc3339_ms(time: Timestamp) -> String {
    written(time.as_ms(), &Iso8601::<MILLISECONDS>)
}

const MILLISECONDS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: NonZeroU8::new(3),
    })
    .encode();

fn written(unix_ms: i64, format: &(impl Formattable + ?Sized)) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}
