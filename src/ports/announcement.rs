//! What is published when a session opens: where, how and the exact body. Other services read it.

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use domain::limits::USER_ID_BYTES_MAX;
use domain::{Question, SessionRecord, Side, Timestamp};

/// The exchange where everything is published: of the kind `topic`, durable.
pub const EXCHANGE: &str = "matching.events";
/// Under which routing key a session is announced.
pub const MATCH_FOUND: &str = "match.found";
/// What bodies are.
pub const CONTENT_TYPE: &str = "application/json";
/// The delivery mode of messages that survive a restart of the broker.
pub const PERSISTENT: u8 = 2;

/// A question, as the announcement and the session key spell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuestionDocument {
    /// The question service's id.
    pub id: i64,
    /// Its title.
    pub title: String,
    /// Lower case.
    pub difficulty: String,
    /// Its topics.
    pub topics: Vec<String>,
}

impl From<&Question> for QuestionDocument {
    fn from(question: &Question) -> Self {
        Self {
            id: question.id,
            title: question.title.clone(),
            difficulty: question.difficulty.to_lowercase(),
            topics: question.topics.clone(),
        }
    }
}

impl From<QuestionDocument> for Question {
    fn from(document: QuestionDocument) -> Self {
        Self {
            id: document.id,
            title: document.title,
            difficulty: document.difficulty,
            topics: document.topics,
        }
    }
}

/// Two people have a session, which can be read. Its real reader breaks on more fields than these.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionAnnounced)]
pub struct MatchFound {
    event_type: &'static str,
    /// Of this body's shape.
    version: u8,
    /// When the session opened, in UTC.
    #[serde(serialize_with = "as_utc_seconds")]
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    #[schema(format = Uuid)]
    session_id: String,
    question: QuestionDocument,
    #[schema(min_items = 2, max_items = 2)]
    users: [Member; 2],
}

/// One of the two.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// The `sub` of their token.
    #[schema(min_length = 1, max_length = 255)]
    user_id: String,
}

const _: () = assert!(USER_ID_BYTES_MAX == 255, "as the schema says");

/// The exact body that announces this session.
///
/// # Errors
///
/// Where the session's beginning is no date that JSON readers know.
pub fn match_found(session: &SessionRecord) -> serde_json::Result<String> {
    serde_json::to_string(&MatchFound {
        event_type: MATCH_FOUND,
        version: 1,
        occurred_at: session.opened_at,
        session_id: session.id.to_string(),
        question: (&session.question).into(),
        users: Side::BOTH.map(|side| Member {
            user_id: session.users[side.index()].to_string(),
        }),
    })
}

fn as_utc_seconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let at = OffsetDateTime::from_unix_timestamp(at.as_ms().div_euclid(1_000));
    let text = at
        .map_err(S::Error::custom)?
        .format(&Rfc3339)
        .map_err(S::Error::custom)?;
    serializer.serialize_str(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{at_ms, session_record};

    #[test]
    fn the_announcement_is_exactly_the_contract_s_text() {
        let mut session = session_record();
        session.question.title = "Two \"Sum\"".into();
        session.question.difficulty = "Easy".into();
        session.opened_at = at_ms(1_762_756_823_999);

        assert_eq!(
            match_found(&session).unwrap(),
            r#"{"event_type":"match.found","version":1,"occurred_at":"2025-11-10T06:40:23Z","session_id":"00000000-0000-0000-0000-0000001e8481","question":{"id":17,"title":"Two \"Sum\"","difficulty":"easy","topics":["Array"]},"users":[{"user_id":"user-1"},{"user_id":"user-2"}]}"#
        );
    }
}
