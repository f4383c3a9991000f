//! The shared sessions.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis;

use super::link::{CallError, RedisLink};
use crate::adapters::documents;
use crate::domain::{Question, SessionId, SessionRecord};
use crate::ports::{Away, Clock, SharedSessions};

/// Tries to write before a value that others keep changing is given up on for now.
const TRIES_MAX: usize = 16;

/// Writes `ARGV[2]` where `ARGV[1]` still stands. The merge itself is made in Rust: Lua's JSON library
/// turns empty lists into objects and long numbers into rounded ones.
const REPLACE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// Sessions as strings in Redis, each with a time to live that our writes refresh.
pub struct RedisSessions {
    link: Arc<RedisLink>,
    clock: Arc<dyn Clock>,
}

/// What stands under a session's key.
enum Found {
    Nothing,
    Text(Vec<u8>),
    /// Something that is no string.
    Foreign,
}

impl RedisSessions {
    /// Sessions behind `link`.
    pub fn new(link: Arc<RedisLink>, clock: Arc<dyn Clock>) -> Self {
        Self { link, clock }
    }

    /// The connection.
    pub(super) fn link(&self) -> &Arc<RedisLink> {
        &self.link
    }

    async fn find(&self, id: SessionId) -> Result<Found, CallError> {
        let key = self.link.session_key(id);
        match self.link.query(redis::cmd("GET").arg(key)).await {
            Ok(Some(text)) => Ok(Found::Text(text)),
            Ok(None) => Ok(Found::Nothing),
            Err(error) if error.is_wrong_type() => Ok(Found::Foreign),
            Err(error) => Err(error),
        }
    }

    /// Writes a whole new value; false where `only_if_absent` and there is one.
    async fn set(
        &self,
        session: &SessionRecord,
        text: String,
        only_if_absent: bool,
    ) -> Result<bool, CallError> {
        let mut set = set_command(&self.link, session, text);
        if only_if_absent {
            set.arg("NX");
        }
        let done: Option<()> = self.link.query(set).await?;
        Ok(done.is_some())
    }

    /// Writes `text` where still exactly `found` stands.
    async fn replace(
        &self,
        session: &SessionRecord,
        found: Vec<u8>,
        text: String,
    ) -> Result<bool, CallError> {
        let mut replace = redis::cmd("EVAL");
        replace.arg(REPLACE).arg(1);
        replace.arg(self.link.session_key(session.id));
        replace.arg(found).arg(text).arg(ttl_ms(session));
        self.link.query(replace).await
    }

    /// Writes who has left session `id`, as far as Redis was not told; what fails stays owed.
    pub(super) async fn write_owed(&self, id: SessionId) -> Result<(), Away> {
        let written = self.try_write_owed(id).await;
        match &written {
            Ok(Some(told)) => self.link.debts.settle(told),
            Ok(None) => {}
            Err(_) => self.link.debts.fail(id),
        }
        written.map(|_| ())
    }

    async fn try_write_owed(&self, id: SessionId) -> Result<Option<SessionRecord>, Away> {
        for _ in 0..TRIES_MAX {
            let found = self.find(id).await?;
            let Some(session) = self.link.debts.of(id) else {
                return Ok(None);
            };
            let written = match found {
                Found::Nothing if session.ends_at <= self.clock.now() => true,
                found @ (Found::Nothing | Found::Foreign) => {
                    let ours = documents::new_session(&session).map_err(unwritable)?;
                    let only_if_absent = matches!(found, Found::Nothing);
                    self.set(&session, ours, only_if_absent).await?
                }
                Found::Text(found) => {
                    let text = String::from_utf8_lossy(&found);
                    let text = documents::with_members(&text, &session).map_err(unwritable)?;
                    self.replace(&session, found, text).await?
                }
            };
            if written {
                return Ok(Some(session));
            }
        }
        Err(contended())
    }
}

#[async_trait]
impl SharedSessions for RedisSessions {
    async fn put_if_absent(&self, session: &SessionRecord) -> Result<Question, Away> {
        let ours = documents::new_session(session).map_err(unwritable)?;
        for _ in 0..TRIES_MAX {
            if self.set(session, ours.clone(), true).await? {
                return Ok(session.question.clone());
            }
            let written = match self.find(session.id).await? {
                // It went away in between: back to the beginning.
                Found::Nothing => false,
                Found::Foreign => self.set(session, ours.clone(), false).await?,
                Found::Text(found) => {
                    let text = String::from_utf8_lossy(&found);
                    if let Some(question) = documents::question_in(&text) {
                        return Ok(question);
                    }
                    let text = documents::with_question(&text, session).map_err(unwritable)?;
                    self.replace(session, found, text).await?
                }
            };
            if written {
                return Ok(session.question.clone());
            }
        }
        Err(contended())
    }

    async fn read(&self, id: SessionId) -> Result<Option<String>, Away> {
        Ok(match self.find(id).await? {
            Found::Text(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            Found::Nothing | Found::Foreign => None,
        })
    }

    async fn write_left(&self, session: &SessionRecord) -> Result<(), Away> {
        self.link.debts.owe(session);
        self.write_owed(session.id).await
    }

    async fn remove(&self, id: SessionId) -> Result<(), Away> {
        let key = self.link.session_key(id);
        Ok(self.link.query(redis::cmd("DEL").arg(key)).await?)
    }
}

/// `SET` with the session's whole time to live.
pub(super) fn set_command(link: &RedisLink, session: &SessionRecord, text: String) -> redis::Cmd {
    let mut set = redis::cmd("SET");
    set.arg(link.session_key(session.id))
        .arg(text)
        .arg("PX")
        .arg(ttl_ms(session));
    set
}

/// What `SESSION_TTL_SECONDS` was when the session began; Redis refuses 0.
fn ttl_ms(session: &SessionRecord) -> u64 {
    session.ends_at.ms_since(session.opened_at).max(1)
}

fn unwritable(error: serde_json::Error) -> Away {
    Away {
        backend: "Redis",
        reason: error.to_string(),
    }
}

fn contended() -> Away {
    Away {
        backend: "Redis",
        reason: "others keep changing the session's value".to_owned(),
    }
}
