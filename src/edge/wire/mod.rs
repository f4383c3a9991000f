//! JSON bodies and socket frames: the one place that translates between the wire and the domain.
//!
//! On the wire a ticket is a "match request", and a ticket's id its `request_id`.

mod frames;

pub use frames::frame;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::domain::{
    InvalidValue, MatchId, Question, SessionRecord, Side, Ticket, TicketOutcome, Timestamp, Topic,
    UserId, Wish,
};
use crate::ports::StoredStatus;

/// Body of `POST /request`.
#[derive(Debug, Deserialize)]
pub struct AskBody {
    difficulty: String,
    topic: String,
}

impl AskBody {
    /// The wish, if its values are valid.
    pub fn wish(&self) -> Result<Wish, InvalidValue> {
        Ok(Wish {
            difficulty: crate::domain::Difficulty::parse(&self.difficulty)?,
            topic: Topic::parse(&self.topic)?,
        })
    }
}

/// Body of `POST /confirm`.
#[derive(Debug, Deserialize)]
pub struct ConfirmBody {
    /// Which match.
    pub match_id: String,
    /// Confirmed, or declined.
    pub confirmed: bool,
}

/// Body of `POST /sessions/leave`.
#[derive(Debug, Deserialize)]
pub struct LeaveBody {
    /// Which session.
    pub session_id: String,
}

/// Body of `POST /dev/token`.
#[derive(Debug, Deserialize)]
pub struct TokenBody {
    /// For whom.
    pub user_id: String,
}

/// A token.
#[derive(Debug, Serialize)]
pub struct Token {
    /// The token.
    pub token: String,
}

/// The body of every error.
#[derive(Debug, Serialize)]
pub struct Problem {
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    /// The ticket that the caller holds already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// How that ticket stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
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
    }
}

/// A ticket, as `POST /request` answers it.
#[derive(Debug, Serialize)]
pub struct RequestCreated<'a> {
    id: Uuid,
    user_id: &'a str,
    difficulty: &'static str,
    topic: &'a str,
    status: &'static str,
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

/// A short message.
#[derive(Debug, Serialize)]
pub struct Message {
    /// What happened.
    pub message: &'static str,
}

/// How something stands, in one word.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The word.
    pub status: &'static str,
}

/// The first confirmation's answer.
#[derive(Debug, Serialize)]
pub struct WaitingForPartner {
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
#[derive(Debug, Serialize)]
pub struct Declined {
    status: &'static str,
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
#[derive(Debug, Serialize)]
pub struct SessionReady<'a> {
    match_id: Uuid,
    session_id: Uuid,
    question_id: String,
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
    confirm_status: bool,
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
#[derive(Debug, Serialize)]
pub struct QuestionBody<'a> {
    id: i64,
    title: &'a str,
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
#[derive(Debug, Serialize)]
pub struct ActiveSession<'a> {
    match_id: Uuid,
    session_id: Uuid,
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

/// What `GET /health` answers.
#[derive(Debug, Serialize)]
pub struct Health<'a> {
    /// Always healthy where it answers at all.
    pub status: &'static str,
    /// The value of `ENV`.
    pub environment: &'a str,
    /// The value of `APP_NAME`.
    pub service: &'a str,
    /// The port.
    pub port: u16,
}

/// The JSON text of a session with its members from our own record, and what is missing of the
/// question too: whoever shares the text rewrites it without them.
pub fn session_text(shared: Option<&str>, session: &SessionRecord) -> serde_json::Value {
    let mut text = match shared.map(serde_json::from_str) {
        Some(Ok(serde_json::Value::Object(object))) => object,
        _ => serde_json::Map::new(),
    };
    let question = serde_json::json!(QuestionBody::from(&session.question));
    match (text.get_mut("question"), question) {
        (Some(serde_json::Value::Object(there)), serde_json::Value::Object(ours)) => {
            for (name, value) in ours {
                there.entry(name).or_insert(value);
            }
        }
        (_, question) => {
            text.insert("question".into(), question);
        }
    }
    text.entry("code").or_insert_with(|| "".into());
    text.entry("language").or_insert_with(|| "python".into());
    let users: Vec<&str> = session.users.iter().map(UserId::as_str).collect();
    text.insert("users".into(), serde_json::json!(users));
    serde_json::Value::Object(text)
}

/// Seconds precision, UTC, as the old service wrote times.
pub fn rfc3339(time: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(time.as_ms().div_euclid(1_000))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
