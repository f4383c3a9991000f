//! The words of the domain as types: parsed once at the edge, trusted from there on.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::limits::{TOPIC_CHARS_MAX, USER_ID_BYTES_MAX};

/// Who somebody is: the `sub` of their token, opaque text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Takes 1..=255 bytes without control characters.
    ///
    /// # Errors
    ///
    /// [`InvalidValue::UserId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let fits = !text.is_empty() && text.len() <= USER_ID_BYTES_MAX;
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidValue::UserId)
        }
    }

    /// The text as the token carried it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// One wish for a partner, "match request" on the wire; version 7, in the roster's order.
    TicketId
);
uuid_id!(
    /// One pairing of two tickets.
    MatchId
);
uuid_id!(
    /// The shared work that a confirmed match opens.
    SessionId
);
uuid_id!(
    /// One announcement in the outbox; stable across redelivery.
    EventId
);

/// How hard the question should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Difficulty {
    /// For a warm-up.
    Easy,
    /// As in most interviews.
    Medium,
    /// For a challenge.
    Hard,
}

impl Difficulty {
    /// Every difficulty, easiest first.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Medium, Self::Hard];

    /// Takes the English word in any letter case.
    ///
    /// # Errors
    ///
    /// [`InvalidValue::Difficulty`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .ok_or(InvalidValue::Difficulty)
    }

    /// The spelling that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Easy => "Easy",
            Self::Medium => "Medium",
            Self::Hard => "Hard",
        }
    }

    /// The spelling that keys, events and the question service use.
    pub fn as_lower_case(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        }
    }
}

/// A topic as its user spelt it, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Takes 1..=64 characters after trimming, none of them a control character.
    ///
    /// # Errors
    ///
    /// [`InvalidValue::Topic`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.chars().any(char::is_control) {
            return Err(InvalidValue::Topic);
        }
        let trimmed = text.trim();
        match trimmed.chars().count() {
            1..=TOPIC_CHARS_MAX => Ok(Self(trimmed.into())),
            _ => Err(InvalidValue::Topic),
        }
    }

    /// The trimmed text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text by which topics meet: lower case, inner runs of white space as one space.
    pub fn key(&self) -> TopicKey {
        let words: Vec<&str> = self.0.split_whitespace().collect();
        TopicKey(words.join(" ").to_lowercase().into())
    }
}

/// What two topics have in common when they meet; see [`Topic::key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicKey(Arc<str>);

impl TopicKey {
    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names a bucket: one difficulty and one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketKey {
    /// How hard.
    pub difficulty: Difficulty,
    /// About what.
    pub topic: TopicKey,
}

impl fmt::Display for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}",
            self.difficulty.as_lower_case(),
            self.topic.as_str()
        )
    }
}

/// A point in time: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// The point `ms` milliseconds later; stays at the end of time instead of passing it.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    /// Milliseconds from `earlier` to this point; 0 where `earlier` is the later one.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        let ms = self.0.saturating_sub(earlier.0);
        if ms > 0 { ms.unsigned_abs() } else { 0 }
    }
}

/// A value from outside that is not what it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// Not a user id.
    #[error("a user id is 1 to {USER_ID_BYTES_MAX} bytes without control characters")]
    UserId,
    /// Not a difficulty.
    #[error("difficulty must be Easy, Medium or Hard")]
    Difficulty,
    /// Not a topic.
    #[error("topic must be 1 to {TOPIC_CHARS_MAX} characters without control characters")]
    Topic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difficulty_is_read_in_any_letter_case_and_answered_in_one() {
        assert_eq!(
            Difficulty::parse("eASY").map(Difficulty::as_str),
            Ok("Easy")
        );
        assert_eq!(
            Difficulty::parse("Impossible"),
            Err(InvalidValue::Difficulty)
        );
    }

    #[test]
    fn topics_meet_ignoring_case_and_runs_of_white_space() {
        let sent = Topic::parse("  Hash \u{a0} TABLE ").unwrap();

        assert_eq!(sent.as_str(), "Hash \u{a0} TABLE");
        assert_eq!(sent.key(), Topic::parse("hash table").unwrap().key());
        assert_eq!(sent.key().as_str(), "hash table");
    }

    #[test]
    fn a_bucket_is_written_as_in_the_keys_of_redis() {
        for (difficulty, written) in [
            (Difficulty::Easy, "easy:dynamic programming"),
            (Difficulty::Medium, "medium:dynamic programming"),
            (Difficulty::Hard, "hard:dynamic programming"),
        ] {
            let topic = Topic::parse("Dynamic Programming").unwrap().key();
            assert_eq!(BucketKey { difficulty, topic }.to_string(), written);
        }
    }

    #[test]
    fn topic_length_counts_characters_after_trimming() {
        let longest = "ä".repeat(TOPIC_CHARS_MAX);

        assert!(Topic::parse(&format!("  {longest}  ")).is_ok());
        assert_eq!(
            Topic::parse(&format!("{longest}b")),
            Err(InvalidValue::Topic)
        );
        assert_eq!(Topic::parse("   "), Err(InvalidValue::Topic));
        assert_eq!(Topic::parse("a\u{0}b"), Err(InvalidValue::Topic));
        assert_eq!(Topic::parse("a\n"), Err(InvalidValue::Topic));
    }

    #[test]
    fn user_id_is_bounded_in_bytes_and_free_of_control_characters() {
        assert!(UserId::parse(&"u".repeat(255)).is_ok());
        assert_eq!(UserId::parse(&"u".repeat(256)), Err(InvalidValue::UserId));
        let ada = UserId::parse("Ada 1").unwrap();
        assert_eq!((ada.as_str(), ada.to_string().as_str()), ("Ada 1", "Ada 1"));
        assert_eq!(UserId::parse(""), Err(InvalidValue::UserId));
        assert_eq!(UserId::parse("a\u{7f}"), Err(InvalidValue::UserId));
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(
            Timestamp::from_ms(i64::MAX).plus_ms(1),
            Timestamp::from_ms(i64::MAX)
        );
        assert_eq!(Timestamp::from_ms(5).ms_since(Timestamp::from_ms(9)), 0);
        assert_eq!(Timestamp::from_ms(9).ms_since(Timestamp::from_ms(5)), 4);
    }
}
