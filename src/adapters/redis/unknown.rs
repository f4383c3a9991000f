//! Sessions that only Redis still knows, after the database was restored from an older backup.

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
const FOUND_MAX: u64 = 100_000;
/// Failures in a row after which it ends.
const FAILURES_MAX: u32 = 20;

/// A session's key that has members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// Its id.
    pub id: SessionId,
    /// Its members.
    pub users: Vec<UserId>,
    /// Those of them who have left.
    pub left: Vec<UserId>,
    /// What they work on, where that is whole.
    pub question: Option<Question>,
    /// How much longer the key lives, in milliseconds.
    pub ttl_ms: u64,
}

/// How a scan went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanSummary {
    /// Sessions that were handed over.
    pub found: u64,
    /// Whether every key was looked at.
    pub complete: bool,
}

impl RedisSessions {
    /// Looks through all keys, slowly, and hands over the sessions that `is_known` does not name,
    /// in batches. A session may come twice. Not for requests.
    ///
    /// # Errors
    ///
    /// [`Away`] where Redis stays away; what was found until then has been handed over.
    pub async fn find_unknown_sessions(
        &self,
        is_known: &(dyn Fn(SessionId) -> bool + Send + Sync),
        hand_over: &mut (dyn FnMut(Vec<FoundSession>) + Send),
    ) -> Result<ScanSummary, Away> {
        let mut summary = ScanSummary::default();
        let (mut cursor, mut failures) = (0, 0);
        for _ in 0..STEPS_MAX {
            let step = self.find_some(cursor, is_known).await;
            let (next, found) = match step {
                Ok(step) => step,
                Err(error) if failures >= FAILURES_MAX => return Err(error.into()),
                Err(_) => {
                    failures += 1;
                    sleep(REST * 20 * failures).await;
                    continue;
                }
            };
            failures = 0;
            summary.found += found.len() as u64;
            if !found.is_empty() {
                hand_over(found);
            }
            summary.complete = next == 0;
            if next == 0 || summary.found >= FOUND_MAX {
                break;
            }
            cursor = next;
            sleep(REST).await;
        }
        Ok(summary)
    }

    async fn find_some(
        &self,
        cursor: u64,
        is_known: &(dyn Fn(SessionId) -> bool + Send + Sync),
    ) -> Result<(u64, Vec<FoundSession>), CallError> {
        let (next, keys) = self.scan(cursor).await?;
        let prefix = self.link().key("");
        let id = |key: &Vec<u8>| {
            let text = std::str::from_utf8(key).ok()?.strip_prefix(&prefix)?;
            let id = SessionId(text.parse().ok()?);
            (id.to_string() == text && !is_known(id)).then_some(id)
        };
        let ids: Vec<SessionId> = keys.iter().filter_map(id).collect();
        let mut found = Vec::new();
        if !ids.is_empty() {
            let values = self.read_some(&ids).await?;
            for (id, (text, ttl_ms)) in ids.into_iter().zip(values) {
                let ttl_ms = u64::try_from(ttl_ms).unwrap_or(0);
                let text = text.and_then(|text| String::from_utf8(text).ok());
                found.extend(text.and_then(|text| session_in(id, &text, ttl_ms)));
            }
        }
        Ok((next, found))
    }

    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<Vec<u8>>), CallError> {
        let uuids = "????????-????-????-????-????????????";
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(self.link().pattern(uuids));
        scan.arg("COUNT").arg(STEP);
        self.link().query(scan).await
    }

    /// The values and times to live of these; nothing for what is no string.
    async fn read_some(&self, ids: &[SessionId]) -> Result<Vec<(Option<Vec<u8>>, i64)>, CallError> {
        let keys: Vec<String> = ids.iter().map(|id| self.link().session_key(*id)).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("MGET").arg(&keys);
        for key in &keys {
            pipe.cmd("PTTL").arg(key);
        }
        let answers: Vec<redis::Value> = self.link().query(pipe).await?;
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
