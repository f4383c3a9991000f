//! A slow walk through all keys of Redis that may be sessions.

use std::time::Duration;

use deadpool_redis::redis;
use tokio::time::sleep;
use tracing::warn;

use super::link::CallError;
use super::own;
use super::sessions::RedisSessions;
use crate::documents;
use domain::{Question, SessionId, SessionRecord, UserId};
use ports::Away;

/// Keys that one step of the scan looks at.
const STEP: usize = 256;
/// Records of our own that are read together; each is small.
const RECORDS_AT_ONCE: usize = 64;
/// Values of others that are read together: each may be large, and its answer is waited for by all
/// who use the connection.
const VALUES_AT_ONCE: usize = 16;
/// Rest between two steps: others use the same Redis.
const REST: Duration = Duration::from_millis(5);
/// Rest before a read is tried once more.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Steps after which the scan ends, finished or not: 5 million keys.
const STEPS_MAX: u64 = 20_000;

/// What was found of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Our own record of it.
    Ours(SessionRecord),
    /// A key of the service that this one replaces.
    Theirs(FoundSession),
}

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
    skipped: usize,
    is_complete: bool,
}

impl Found {
    /// Which session.
    pub(super) fn id(&self) -> SessionId {
        match self {
            Self::Ours(session) => session.id,
            Self::Theirs(session) => session.id,
        }
    }
}

impl<'a> Scan<'a> {
    /// At its beginning.
    pub(super) fn of(sessions: &'a RedisSessions) -> Self {
        Self {
            sessions,
            cursor: 0,
            steps: 0,
            skipped: 0,
            is_complete: false,
        }
    }

    /// Whether it came to the end of all keys.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// How many keys it went past because they could not be read.
    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Takes the next step, after a rest, and tells which sessions it met; nothing at the end. A
    /// session may be met twice. Not for requests.
    ///
    /// # Errors
    ///
    /// [`Away`] where Redis does not answer.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Found>>, Away> {
        if self.is_complete || self.steps >= STEPS_MAX {
            return Ok(None);
        }
        if self.steps > 0 {
            sleep(REST).await;
        }
        let (next, ids) = self.keys().await?;
        let found = self.found(&ids).await;
        self.steps += 1;
        self.cursor = next;
        self.is_complete = next == 0;
        Ok(Some(found))
    }

    /// The next keys that are spelled as sessions.
    async fn keys(&self) -> Result<(u64, Vec<SessionId>), CallError> {
        let uuids = "????????-????-????-????-????????????";
        let link = self.sessions.link();
        let mut scan = redis::cmd("SCAN");
        scan.arg(self.cursor).arg("MATCH").arg(link.pattern(uuids));
        scan.arg("COUNT").arg(STEP);
        let (next, keys): (u64, Vec<Vec<u8>>) = link.query_aside(scan).await?;
        let prefix = link.key("");
        let id = |key: &Vec<u8>| {
            let text = std::str::from_utf8(key).ok()?.strip_prefix(&prefix)?;
            let id = SessionId(text.parse().ok()?);
            (id.to_string() == text).then_some(id)
        };
        Ok((next, keys.iter().filter_map(id).collect()))
    }

    /// What is known of these: from our own records, and from the values where there are none.
    async fn found(&mut self, ids: &[SessionId]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut strange = Vec::new();
        for ids in ids.chunks(RECORDS_AT_ONCE) {
            let mut records = self.sessions.own_records(ids).await;
            if records.is_err() {
                sleep(REST_AFTER_FAILURE).await;
                records = self.sessions.own_records(ids).await;
            }
            let records = self.or_skip(ids, records);
            for (id, record) in ids.iter().zip(records) {
                match record {
                    Some(record) => found.push(Found::Ours(record)),
                    None => strange.push(*id),
                }
            }
        }
        for ids in strange.chunks(VALUES_AT_ONCE) {
            let mut values = self.values(ids).await;
            if values.is_err() {
                sleep(REST_AFTER_FAILURE).await;
                values = self.values(ids).await;
            }
            let values = self.or_skip(ids, values);
            for (id, (text, ttl_ms)) in ids.iter().zip(values) {
                let ttl_ms = u64::try_from(ttl_ms).unwrap_or(0);
                let theirs = text.and_then(|text| session_in(*id, &text, ttl_ms));
                found.extend(theirs.map(Found::Theirs));
            }
        }
        found
    }

    fn or_skip<T>(&mut self, ids: &[SessionId], read: Result<Vec<T>, CallError>) -> Vec<T> {
        read.unwrap_or_else(|error| {
            self.skipped += ids.len();
            let (keys, error) = (ids.len(), Away::from(error));
            warn!(
                keys,
                "the search for sessions goes past {keys} keys, because {error}"
            );
            Vec::new()
        })
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
        let answers: Vec<redis::Value> = link.query_aside(pipe).await?;
        let mut answers = answers.into_iter();
        let values: Option<Vec<Option<Vec<u8>>>> = answers
            .next()
            .and_then(|value| redis::from_redis_value(value).ok());
        let ttls = answers.map(|ttl| redis::from_redis_value(ttl).unwrap_or(0));
        Ok(values.unwrap_or_default().into_iter().zip(ttls).collect())
    }
}

impl RedisSessions {
    /// Our own records of these; nothing where there is none.
    pub(super) async fn own_records(
        &self,
        ids: &[SessionId],
    ) -> Result<Vec<Option<SessionRecord>>, CallError> {
        let keys: Vec<String> = ids.iter().map(|id| self.link().own_key(*id)).collect();
        let mut mget = redis::cmd("MGET");
        mget.arg(keys);
        let texts: Vec<Option<Vec<u8>>> = self.link().query_aside(mget).await?;
        let records = ids.iter().zip(texts);
        Ok(records.map(|(id, text)| own::record(*id, &text?)).collect())
    }
}

fn session_in(id: SessionId, text: &[u8], ttl_ms: u64) -> Option<FoundSession> {
    let (users, left) = documents::members_in(text)?;
    Some(FoundSession {
        id,
        users,
        left,
        question: documents::question_in(text),
        ttl_ms,
    })
}
