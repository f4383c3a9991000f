//! The JSON texts that we share with other services: the session key and the announcement.

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::{Question, SessionRecord, Side, Timestamp};

/// Under which routing key a session is announced.
pub const MATCH_FOUND: &str = "match.found";
/// The language that a session begins with.
const LANGUAGE: &str = "python";
const USERS: &str = "users";
const LEFT_USERS: &str = "left_users";
const QUESTION: &str = "question";

/// A question, as the session key and the announcement spell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What stands under a session's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDocument {
    /// What the two work on.
    pub question: QuestionDocument,
    /// What they have written so far.
    pub code: String,
    /// In which language.
    pub language: String,
    /// The members.
    pub users: Vec<String>,
    /// Those of them who have left; missing until somebody has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_users: Vec<String>,
}

impl From<&SessionRecord> for SessionDocument {
    fn from(session: &SessionRecord) -> Self {
        Self {
            question: (&session.question).into(),
            code: String::new(),
            language: LANGUAGE.to_owned(),
            users: session.users.iter().map(ToString::to_string).collect(),
            left_users: left_users(session),
        }
    }
}

/// The session's key as we write it first.
///
/// # Errors
///
/// None that a session could cause; the JSON writer's type has one.
pub fn new_session(session: &SessionRecord) -> serde_json::Result<String> {
    serde_json::to_string(&SessionDocument::from(session))
}

/// The question that a session's key holds, where it is whole.
pub fn question_in(text: &str) -> Option<Question> {
    let mut found: Map<String, Value> = serde_json::from_str(text).ok()?;
    let document: QuestionDocument = serde_json::from_value(found.remove(QUESTION)?).ok()?;
    Some(document.into())
}

/// The key with our members in it, and everything else as somebody left it; rebuilt where it is no
/// JSON object.
///
/// # Errors
///
/// As [`new_session`].
pub fn with_members(text: &str, session: &SessionRecord) -> serde_json::Result<String> {
    let Ok(mut found) = serde_json::from_str::<Map<String, Value>>(text) else {
        return new_session(session);
    };
    found.insert(
        USERS.to_owned(),
        session.users.iter().map(ToString::to_string).collect(),
    );
    match left_users(session) {
        left if left.is_empty() => found.remove(LEFT_USERS),
        left => found.insert(LEFT_USERS.to_owned(), left.into()),
    };
    serde_json::to_string(&found)
}

/// The key with our question and members in it, and everything else as somebody left it.
///
/// # Errors
///
/// As [`new_session`].
pub fn with_question(text: &str, session: &SessionRecord) -> serde_json::Result<String> {
    let Ok(mut found) = serde_json::from_str::<Map<String, Value>>(text) else {
        return new_session(session);
    };
    let question = serde_json::to_value(QuestionDocument::from(&session.question))?;
    found.insert(QUESTION.to_owned(), question);
    with_members(&serde_json::to_string(&found)?, session)
}

fn left_users(session: &SessionRecord) -> Vec<String> {
    Side::BOTH
        .into_iter()
        .filter(|side| session.left[side.index()])
        .map(|side| session.users[side.index()].to_string())
        .collect()
}

/// The body that announces a session; its real reader breaks on more fields than these.
#[derive(Debug, Serialize)]
struct MatchFound {
    event_type: &'static str,
    version: u8,
    #[serde(serialize_with = "as_utc_seconds")]
    occurred_at: Timestamp,
    session_id: String,
    question: QuestionDocument,
    users: [Member; 2],
}

#[derive(Debug, Serialize)]
struct Member {
    user_id: String,
}

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
    use crate::domain::testing::{at_ms, match_id, session_id, user};

    fn session() -> SessionRecord {
        SessionRecord {
            id: session_id(1),
            match_id: match_id(1),
            users: [user(1), user(2)],
            question: Question {
                id: 17,
                title: "Two \"Sum\"".into(),
                difficulty: "Easy".into(),
                topics: vec!["Array".into()],
            },
            opened_at: at_ms(1_762_756_823_999),
            ends_at: at_ms(1_762_756_900_000),
            left: [false, false],
        }
    }

    #[test]
    fn the_announcement_is_exactly_the_contract_s_text() {
        assert_eq!(
            match_found(&session()).unwrap(),
            r#"{"event_type":"match.found","version":1,"occurred_at":"2025-11-10T06:40:23Z","session_id":"00000000-0000-0000-0000-0000001e8481","question":{"id":17,"title":"Two \"Sum\"","difficulty":"easy","topics":["Array"]},"users":[{"user_id":"user-1"},{"user_id":"user-2"}]}"#
        );
    }

    #[test]
    fn the_session_key_is_exactly_the_contract_s_text() {
        assert_eq!(
            new_session(&session()).unwrap(),
            r#"{"question":{"id":17,"title":"Two \"Sum\"","difficulty":"easy","topics":["Array"]},"code":"","language":"python","users":["user-1","user-2"]}"#
        );
    }

    #[test]
    fn leaving_changes_the_members_and_nothing_else() {
        let mut left = session();
        left.left = [false, true];

        let text = with_members(r#"{"code":"x","chat":[{"a":1.50}],"question":7}"#, &left).unwrap();

        let expected = r#"{"code":"x","chat":[{"a":1.5}],"question":7,"users":["user-1","user-2"],"left_users":["user-2"]}"#;
        let as_value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(as_value(&text), as_value(expected));
    }

    #[test]
    fn a_key_that_is_no_object_is_rebuilt() {
        for text in ["", "null", "[1]", "{\"code\":", "\"text\""] {
            let rebuilt = with_members(text, &session()).unwrap();

            assert_eq!(rebuilt, new_session(&session()).unwrap(), "{text}");
        }
    }

    #[test]
    fn a_question_is_found_where_it_is_whole() {
        let mut expected = session().question;
        expected.difficulty = "easy".into();

        let whole = question_in(&new_session(&session()).unwrap());
        let partial = question_in(r#"{"question":{"id":17,"title":"Two Sum"}}"#);

        assert_eq!(whole, Some(expected));
        assert_eq!(partial, None);
        assert_eq!(question_in("nonsense"), None);
    }

    #[test]
    fn a_broken_question_is_put_right_and_the_rest_is_kept() {
        let text = with_question(r#"{"code":"x","question":{"id":1}}"#, &session()).unwrap();

        let found: SessionDocument = serde_json::from_str::<Value>(&text)
            .map(|mut value| {
                value["language"] = "python".into();
                serde_json::from_value(value).unwrap()
            })
            .unwrap();
        assert_eq!(found.code, "x");
        assert_eq!(found.question.id, 17);
        assert_eq!(found.users, ["user-1", "user-2"]);
    }
}
