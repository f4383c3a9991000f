//! The JSON text that we share with other services: the session key.

use serde::{Deserialize, Serialize};

use super::raw_object::RawObject;
use domain::{Question, SessionRecord, Side, UserId};
use ports::announcement::QuestionDocument;

/// The language that a session begins with.
const LANGUAGE: &str = "python";
const USERS: &str = "users";
const LEFT_USERS: &str = "left_users";
const QUESTION: &str = "question";

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

/// What becomes of a session's key when our part of it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// It is to hold this text.
    Text(String),
    /// It stays as it is: it looks like an object of somebody else, and cannot be read.
    Kept,
}

/// The question that a session's key holds, where it is whole.
pub fn question_in(text: &[u8]) -> Option<Question> {
    let found = RawObject::parse(text)?;
    let document: QuestionDocument = serde_json::from_str(found.get(QUESTION)?).ok()?;
    Some(document.into())
}

/// The users whom a session's key names as its members, and those of them who have left.
pub fn members_in(text: &[u8]) -> Option<(Vec<UserId>, Vec<UserId>)> {
    let found = RawObject::parse(text)?;
    let users = users_in(found.get(USERS)?)?;
    let left = found.get(LEFT_USERS).and_then(users_in);
    (!users.is_empty()).then(|| (users, left.unwrap_or_default()))
}

fn users_in(text: &str) -> Option<Vec<UserId>> {
    let names: Vec<String> = serde_json::from_str(text).ok()?;
    let user = |name: &String| UserId::parse(name).ok();
    names.iter().map(user).collect()
}

/// The key with our members in it, and everything else byte for byte as somebody left it; rebuilt
/// where it is no JSON object.
///
/// # Errors
///
/// As [`new_session`].
pub fn with_members(text: &[u8], session: &SessionRecord) -> serde_json::Result<Merged> {
    merged(text, session, |_| Ok(()))
}

/// The key with our question and members in it, and everything else as somebody left it.
///
/// # Errors
///
/// As [`new_session`].
pub fn with_question(text: &[u8], session: &SessionRecord) -> serde_json::Result<Merged> {
    merged(text, session, |found| {
        let question = QuestionDocument::from(&session.question);
        found.set(QUESTION, serde_json::to_string(&question)?);
        Ok(())
    })
}

fn merged(
    text: &[u8],
    session: &SessionRecord,
    change: impl FnOnce(&mut RawObject<'_>) -> serde_json::Result<()>,
) -> serde_json::Result<Merged> {
    let Some(mut found) = RawObject::parse(text) else {
        return if looks_like_an_object(text) {
            Ok(Merged::Kept)
        } else {
            new_session(session).map(Merged::Text)
        };
    };
    change(&mut found)?;
    let document = SessionDocument::from(session);
    found.set(USERS, serde_json::to_string(&document.users)?);
    if document.left_users.is_empty() {
        found.remove(LEFT_USERS);
    } else {
        found.set(LEFT_USERS, serde_json::to_string(&document.left_users)?);
    }
    Ok(Merged::Text(found.to_string()))
}

/// Python writes `NaN` and `Infinity`, which are no JSON, and others may read them.
fn looks_like_an_object(text: &[u8]) -> bool {
    let inside = text.trim_ascii().strip_prefix(b"{");
    let inside = inside.and_then(|inside| inside.strip_suffix(b"}"));
    inside.is_some_and(|inside| !inside.trim_ascii().is_empty())
}

fn left_users(session: &SessionRecord) -> Vec<String> {
    Side::BOTH
        .into_iter()
        .filter(|side| session.left[side.index()])
        .map(|side| session.users[side.index()].to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{at_ms, session_record, user};

    fn session() -> SessionRecord {
        let mut session = session_record();
        session.question.title = "Two \"Sum\"".into();
        session.question.difficulty = "Easy".into();
        session.opened_at = at_ms(1_762_756_823_999);
        session.ends_at = at_ms(1_762_756_900_000);
        session
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
        // As Python's json.dumps writes them.
        for (others, rest) in [
            (
                r#"{"code":"x","users":[],"chat":[{"a":1.50}]"#,
                r#","question":7"#,
            ),
            (
                r#"{"code":"half \ud83d","users":7,"z":1"#,
                r#","a":"\uDC00""#,
            ),
            (
                r#"{"code":"x","users":null,"n":123456789012345678901234567890"#,
                r#","m":-1.0e+999,"deep":{ "b" : [ ] , "a" : 1 }"#,
            ),
        ] {
            let found = format!("{others}{rest}}}");
            let expected = others
                .replace(r#""users":[]"#, r#""users":["user-1","user-2"]"#)
                .replace(r#""users":7"#, r#""users":["user-1","user-2"]"#)
                .replace(r#""users":null"#, r#""users":["user-1","user-2"]"#);
            let expected = format!(r#"{expected}{rest},"left_users":["user-2"]}}"#);

            let text = with_members(found.as_bytes(), &left).unwrap();

            assert_eq!(text, Merged::Text(expected));
        }
    }

    #[test]
    fn an_object_that_cannot_be_read_is_left_alone() {
        let not_utf_8 = b"{\"code\": \"\xff\"}".as_slice();
        for text in [br#"{"code": "x", "cursor": NaN}"#, not_utf_8, b" {x} "] {
            assert_eq!(with_members(text, &session()).unwrap(), Merged::Kept);
            assert_eq!(with_question(text, &session()).unwrap(), Merged::Kept);
        }
    }

    #[test]
    fn a_key_that_is_no_object_is_rebuilt() {
        for text in ["", "null", "[1]", "{\"code\":", "\"text\"", "{ "] {
            let rebuilt = with_members(text.as_bytes(), &session()).unwrap();

            let expected = new_session(&session()).unwrap();
            assert_eq!(rebuilt, Merged::Text(expected), "{text}");
        }
    }

    #[test]
    fn a_question_is_found_where_it_is_whole() {
        let mut expected = session().question;
        expected.difficulty = "easy".into();

        let whole = question_in(new_session(&session()).unwrap().as_bytes());
        let partial = question_in(br#"{"question":{"id":17,"title":"Two Sum"}}"#);

        assert_eq!(whole, Some(expected));
        assert_eq!(partial, None);
        assert_eq!(question_in(b"nonsense"), None);
    }

    #[test]
    fn members_are_found_where_there_are_any() {
        let text = br#"{"code":"\ud83d","users":["user-1","user-2"],"left_users":["user-2"]}"#;

        let found = members_in(text);

        assert_eq!(found, Some((vec![user(1), user(2)], vec![user(2)])));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"users":[]}"#,
            r#"{"users":[1]}"#,
            r#"{"users":"a"}"#,
        ] {
            assert_eq!(members_in(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_broken_question_is_put_right_and_the_rest_is_kept() {
        let text = with_question(br#"{"code":"\ud83d","question":{"id":1}}"#, &session());

        let expected = r#"{"code":"\ud83d","question":{"id":17,"title":"Two \"Sum\"","difficulty":"easy","topics":["Array"]},"users":["user-1","user-2"]}"#;
        assert_eq!(text.unwrap(), Merged::Text(expected.to_owned()));
    }
}
