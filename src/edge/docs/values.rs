//! Values of the domain and words of the wire, as schemas: bounds and spellings are the code's own.

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::samples;
use crate::wire;
use actors::board::MatchState;
use domain::limits::{TOPIC_CHARS_MAX, USER_ID_BYTES_MAX};
use observability::{BackendState, Needed};

/// Any character except control characters; [`char::is_control`] as a class.
const PLAIN: &str = r"[^\u0000-\u001f\u007f-\u009f]";
/// What [`str::trim`] removes and is no control character, as the inside of a class.
const SPACES: &str = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

macro_rules! schemas {
    ($($(#[doc = $doc:literal])+ $name:ident => $object:expr;)+) => {$(
        $(#[doc = $doc])+
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let mut object: Object = $object;
                object.description = Some([$($doc),+].concat().trim().to_owned());
                object.into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

schemas! {
    /// Who somebody is: the `sub` of their token. Opaque text without control characters; the
    /// longest length counts bytes of UTF-8.
    UserId => text(Some(USER_ID_BYTES_MAX), &format!("^{PLAIN}+$"));
    /// How hard the question should be, in any letter case.
    AskedDifficulty => text(None, &any_case(&domain::Difficulty::ALL.map(|it| it.as_str())));
    /// How hard the question should be.
    Difficulty => words(domain::Difficulty::ALL.map(|it| json!(it.as_str())));
    /// What the question should be about. White space around it is cut off; control characters are
    /// refused. Two topics meet where they are equal but for letter case and runs of white space.
    AskedTopic => text(None, &format!("^[{SPACES}]*{}[{SPACES}]*$", topic()));
    /// A difficulty and a topic.
    AskedBucket => text(None, &asked_bucket());
    /// The topic as it was sent, trimmed.
    Topic => text(Some(TOPIC_CHARS_MAX), &format!("^{}$", topic()));
    /// How a request that is not over stands.
    LiveStatus => words_of("status", [samples::request_created(), samples::request_matched()]);
    /// The partner has not confirmed yet.
    WaitingWord => words_of("status", [samples::waiting_for_partner()]);
    /// The match is over.
    DeclinedWord => words_of("status", [samples::declined()]);
    /// How far a match has come.
    SessionStage => words(MatchState::ALL.map(|it| json!(it.label())));
    /// Whether a server answers, or is not needed as this one is configured.
    BackendWord => words(BackendState::ALL.map(|it| json!(it.label())));
    /// Where an entry of a timeline comes from.
    TimelineSource => words(wire::TIMELINE_SOURCES.map(|it| json!(it)));
    /// The request waits no more.
    WithdrawnMessage => words_of("message", [samples::withdrawn()]);
    /// Whether the caller was in the session, or there is no such session.
    LeftWord => words_of("status", [samples::left(), samples::left_unknown()]);
    /// The process answers.
    AliveWord => words_of("status", [samples::alive()]);
    /// The server answers.
    HealthyWord => words_of("status", [samples::health()]);
    /// The server takes work.
    ReadyWord => words_of("status", [samples::ready()]);
    /// A whole number, as text.
    QuestionIdText => text(None, r"^-?\d+$");
    /// Why a match ended without a session.
    ExpiryReason => words_of("reason", samples::expired());
    /// A server that this one needs.
    NeededServer => words(Needed::ALL.map(|it| json!(it.label())));
    /// A JSON Web Token: three parts in base64url.
    SignedToken => text(None, r"^[\w-]+\.[\w-]+\.[\w-]+$");
    /// For whom: text without control characters, of at most 255 bytes of UTF-8.
    AskedUserId => text(None, &asked_user_id());
}

fn text(length_max: Option<usize>, pattern: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(length_max)
        .pattern(Some(pattern))
        .build()
}

fn words(values: impl IntoIterator<Item = Value>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(values))
        .build()
}

/// The values that one field has in these answers.
fn words_of<const N: usize>(field: &str, answers: [Value; N]) -> Object {
    words(answers.map(|answer| answer[field].clone()))
}

fn any_case(words: &[&str]) -> String {
    let letter = |c: char| format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase());
    let words = words.iter().map(|word| word.chars().map(letter).collect());
    format!("^({})$", words.collect::<Vec<String>>().join("|"))
}

/// A user id that is surely short enough: a pattern counts characters, of which each may have four
/// bytes, or one where it is ASCII.
fn asked_user_id() -> String {
    let (ascii_max, any_max) = (USER_ID_BYTES_MAX, USER_ID_BYTES_MAX / 4);
    format!(r"^([\u0020-\u007e]{{1,{ascii_max}}}|{PLAIN}{{1,{any_max}}})$")
}

/// Both as they are asked for, with a colon between them.
fn asked_bucket() -> String {
    let difficulty = any_case(&domain::Difficulty::ALL.map(|it| it.as_str()));
    let difficulty = difficulty.trim_end_matches('$');
    format!("{difficulty}:[{SPACES}]*{}[{SPACES}]*$", topic())
}

/// A trimmed topic: it begins and ends with what is no space.
fn topic() -> String {
    let edge = PLAIN.replace(']', &format!("{SPACES}]"));
    let inner_max = TOPIC_CHARS_MAX - 2;
    format!("{edge}({PLAIN}{{0,{inner_max}}}{edge})?")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;

    fn generator(pattern: &str) -> impl Strategy<Value = String> + use<> {
        let anchored = pattern
            .strip_prefix('^')
            .unwrap()
            .strip_suffix('$')
            .unwrap();
        string_regex(anchored).unwrap()
    }

    proptest! {
        #[test]
        fn whatever_fits_the_topic_pattern_is_a_topic(
            asked in generator(&format!("^[{SPACES}]*{}[{SPACES}]*$", topic())),
            answered in generator(&format!("^{}$", topic())),
        ) {
            prop_assert!(domain::Topic::parse(&asked).is_ok());
            let parsed = domain::Topic::parse(&answered).unwrap();
            prop_assert_eq!(parsed.as_str(), answered);
        }

        #[test]
        fn whatever_fits_the_user_id_pattern_is_a_user_id(asked in generator(&asked_user_id())) {
            prop_assert!(domain::UserId::parse(&asked).is_ok());
        }

        #[test]
        fn whatever_fits_the_difficulty_pattern_is_a_difficulty(
            asked in generator(&any_case(&domain::Difficulty::ALL.map(|it| it.as_str()))),
        ) {
            prop_assert!(domain::Difficulty::parse(&asked).is_ok());
        }
    }
}
