//! A slow walk through all keys of Redis that may be sessions.

use std::time::Duration;

use deadpool_redis::redis;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::link::CallError;
use super::sessions::RedisSessions;
use crate::adapters::documents;
use crate::domain::{Question, SessionId, UserId};
use crate::ports::Away;

/// Keys that one step of the scan looks at.
const STEP: usize = 256;
/// Rest between two steps: others use the same Redis.
const REST: Duration = Duration::from_millis(5);
/// Steps after which the scan ends, finished or not: 5 million keys.
const STEPS_MAX: u64 = 20_000;
/// Sessions after which it ends.
const FOUND_MAX: usize = 100_000;

/// A session's key that has members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundSession {
    /// Its id.
    pub(super) id: SessionId,
    /// Its members.
    pub(super) users: Vec<UserId>,
    /// Those of them who have left.
    pub(super) left: Vec<UserId>,
    /// What they work on, where that is whole.
    pub(super) question: Option<Question>,
    /// How much longer the key lives, in milliseconds.
    pub(super) ttl_ms: u64,
}

/// One pass over all keys, step by step.
pub(super) struct Scan<'a> {
    sessions: &'a RedisSessions,
    cursor: u64,
    steps: u64,
    found: usize,
    is_complete: bool,
}

impl<'a> Scan<'a> {
    /// At its beginning.
    pub(super) fn of(sessions: &'a RedisSessions) -> Self {
        Self {
            sessions,
            cursor: 0,
            steps: 0,
            found: 0,
            is_complete: false,
        }
    }

    /// Whether every key was looked at.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Takes the next step, after a rest, and tells which sessions it met; nothing at the end. A
    /// session may be met twice. Not for requests.
    ///
    /// # Errors
    ///
    /// [`Away`] where Redis does not answer.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<FoundSession>>, Away> {
        if self.is_complete || self.steps >= STEPS_MAX || self.found >= FOUND_MAX {
            return Ok(None);
        }
        if self.steps > 0 {
            sleep(REST).await;
        }
        let (next, found) = self.step().await?;
        self.steps += 1;
        self.found += found.len();
        self.cursor = next;
        self.is_complete = next == 0;
        Ok(Some(found))
    }

    async fn step(&self) -> Result<(u64, Vec<FoundSession>), CallError> {
        let (next, keys) = self.keys().await?;
        let prefix = self.sessions.link().key("");
        let id = |key: &Vec<u8>| {
            let text = std::str::from_utf8(key).ok()?.strip_prefix(&prefix)?;
            let id = SessionId(text.parse().ok()?);
            (id.to_string() == text).then_some(id)
        };
        let ids: Vec<SessionId> = keys.iter().filter_map(id).collect();
        let mut found = Vec::new();
        if !ids.is_empty() {
            let values = self.values(&ids).await?;
            for (id, (text, ttl_ms)) in ids.into_iter().zip(values) {
                let ttl_ms = u64::try_from(ttl_ms).unwrap_or(0);
                let text = text.and_then(|text| String::from_utf8(text).ok());
                found.extend(text.and_then(|text| session_in(id, &text, ttl_ms)));
            }
        }
        Ok((next, found))
    }

    async fn keys(&self) -> Result<(u64, Vec<Vec<u8>>), CallError> {
        let uuids = "????????-????-????-????-????????????";
        let link = self.sessions.link();
        let mut scan = redis::cmd("SCAN");
        scan.arg(self.cursor).arg("MATCH").arg(link.pattern(uuids));
        scan.arg("COUNT").arg(STEP);
        link.query(scan).await
    }

    /// The values and times to live of these; nothing for what is no string.
    async fn values(&self, ids: &[SessionId]) -> Result<Vec<(Option<Vec<u8>>, i64)>, CallError> {
        let link = self.sessions.link();
        let keys: Vec<String> = ids.iter().map(|id| link.session_key(*id)).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("MGET").arg(&keys);
        for key in &keys {
            pipe.cmd("PTTL").arg(key);
        }
        let answers: Vec<redis::Value> = link.query(pipe).await?;
        let mut answers = answers.into_iter();
        let values: Option<Vec<Option<Vec<u8>>>> = answers
            .next()
            .and_then(|value| redis::from_redis_value(value).ok());
        let ttls = answers.map(|ttl| redis::from_redis_value(ttl).unwrap_or(0));
        Ok(values.unwrap_or_default().into_iter().zip(ttls).collect())
    }
}

fn session_in(id: SessionId, text: &str, ttl_ms: u64) -> Option<FoundSession> {
    let document: Map<String, Value> = serde_json::from_str(text).ok()?;
    let users = users_in(document.get("users")?)?;
    let left = document.get("left_users").and_then(users_in);
    (!users.is_empty()).then(|| FoundSession {
        id,
        users,
        left: left.unwrap_or_default(),
        question: documents::question_in(text),
        ttl_ms,
    })
}

fn users_in(value: &Value) -> Option<Vec<UserId>> {
    let user = |value: &Value| UserId::parse(value.as_str()?).ok();
    value.as_array()?.iter().map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{session_id, user};

    #[test]
    fn a_value_with_members_is_a_session_and_others_are_not() {
        let whole = r#"{"users":["user-1","user-2"],"left_users":["user-2"],"code":""}"#;

        let found = session_in(session_id(1), whole, 7).unwrap();

        assert_eq!(found.users, [user(1), user(2)]);
        assert_eq!(found.left, [user(2)]);
        assert_eq!(found.ttl_ms, 7);
        for text in [
            "",
            "[]",
            "{}",
            r#"{"users":[]}"#,
            r#"{"users":[1]}"#,
            r#"{"users":"a"}"#,
        ] {
            assert_eq!(session_in(session_id(1), text, 7), None, "{text}");
        }
    }
}
