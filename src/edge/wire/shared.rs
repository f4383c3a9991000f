//! What stands in a session, as anybody may read it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::QuestionBody;
use domain::{SessionRecord, UserId};

/// The members of a JSON object; each value as it was written, whether or not we could represent it.
type Members = BTreeMap<String, Box<RawValue>>;

/// The JSON text of a session with its members from our own record, and what is missing of the
/// question too: whoever shares the text rewrites it without them.
///
/// # Errors
///
/// None that a session could cause; the JSON writer's type has one.
pub fn session_text(shared: Option<&str>, session: &SessionRecord) -> serde_json::Result<String> {
    let mut text = shared.and_then(members).unwrap_or_default();
    let mut question = match text.get("question") {
        Some(question) => members(question.get()).unwrap_or_default(),
        None => Members::new(),
    };
    let ours = to_raw_value(&QuestionBody::from(&session.question))?;
    for (name, value) in members(ours.get()).unwrap_or_default() {
        question.entry(name).or_insert(value);
    }
    put(&mut text, "question", &question)?;
    for (name, at_first) in [("code", ""), ("language", "python")] {
        if !text.contains_key(name) {
            put(&mut text, name, at_first)?;
        }
    }
    let users = session.users.each_ref().map(UserId::as_str);
    put(&mut text, "users", &users)?;
    serde_json::to_string(&text)
}

fn put<T: Serialize + ?Sized>(to: &mut Members, name: &str, value: &T) -> serde_json::Result<()> {
    to.insert(name.to_owned(), to_raw_value(value)?);
    Ok(())
}

fn members(text: &str) -> Option<Members> {
    let found = serde_json::from_str(text);
    found
        .or_else(|_| serde_json::from_str(&with_nulls(text)))
        .ok()
}

/// The text with `null` where Python's JSON writer puts numbers that JSON does not have.
fn with_nulls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|number| !in_string && rest.starts_with(number));
        let taken = match number {
            Some(number) => number.len(),
            // With the character that it escapes.
            None if c == '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            None => c.len_utf8(),
        };
        in_string ^= c == '"';
        out.push_str(number.map_or(&rest[..taken], |_| "null"));
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use domain::testing::session_record;

    const QUESTION: &str = r#"{"difficulty":"easy","id":17,"title":"Two Sum","topics":["Array"]}"#;

    #[test]
    fn what_cannot_be_represented_is_answered_as_it_stands() {
        let shared = r#"{"code":"x = '\ud83d'","language":"rust","n":123456789012345678901234567890,"question":{"id":17},"users":["eve"]}"#;

        let text = session_text(Some(shared), &session_record()).unwrap();

        let expected = r#"{"code":"x = '\ud83d'","language":"rust","n":123456789012345678901234567890,"question":QUESTION,"users":["user-1","user-2"]}"#;
        assert_eq!(text, expected.replace("QUESTION", QUESTION));
    }

    #[test]
    fn numbers_that_are_none_do_not_hide_the_code() {
        let shared = r#"{"code":"NaN \" NaN \\","chat":[NaN,{"x":-Infinity}],"z":Infinity}"#;

        let text = session_text(Some(shared), &session_record()).unwrap();

        let text: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text["code"], "NaN \" NaN \\");
        assert_eq!(text["chat"], json!([null, {"x": null}]));
        assert_eq!(text["z"], Value::Null);
    }

    #[test]
    fn a_text_that_is_no_object_is_answered_from_the_record() {
        let expected = format!(
            r#"{{"code":"","language":"python","question":{QUESTION},"users":["user-1","user-2"]}}"#
        );
        for shared in [None, Some(""), Some("[1]"), Some("{\"code\":"), Some("{x}")] {
            assert_eq!(session_text(shared, &session_record()).unwrap(), expected);
        }
    }
}
