//! The shared sessions.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis;
use tracing::warn;

use super::debts::Due;
use super::link::{CallError, RedisLink};
use super::own;
use crate::documents::{self, Merged};
use domain::{Question, SessionId, SessionRecord};
use ports::{Away, Clock, SharedSessions};

/// Tries to write before a value that others keep changing is given up on for now.
const TRIES_MAX: usize = 64;

/// Writes `ARGV[2]` where `ARGV[1]` still stands. The merge itself is made in Rust: Lua's JSON library
/// turns empty lists into objects and long numbers into rounded ones.
const REPLACE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// The longest time to live that a session can be given, in milliseconds: thirty days.
const SESSION_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// Sessions as strings in Redis, each with a time to live that our writes refresh. Beside each stands
/// what we know of it ourselves, under a key that nobody else writes.
#[derive(Clone)]
pub struct RedisSessions {
    link: Arc<RedisLink>,
    clock: Arc<dyn Clock>,
    session_ms: u64,
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
        Self {
            link,
            clock,
            session_ms: SESSION_MS_MAX,
        }
    }

    /// The same, where no key lives longer than this, in milliseconds.
    pub fn living_ms(self, session_ms: u64) -> Self {
        Self { session_ms, ..self }
    }

    /// The time.
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The longest time that a key lives, in milliseconds.
    pub(super) fn session_ms(&self) -> u64 {
        self.session_ms
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

    /// Writes a whole new value, and our own record beside it; false where `only_if_absent` and there
    /// is a value.
    async fn set(&self, session: &SessionRecord, only_if_absent: bool) -> Result<bool, Away> {
        let mut set = set_command(&self.link, session)?;
        if only_if_absent {
            set.arg("NX");
        }
        let mut pipe = redis::pipe();
        pipe.add_command(own_command(&self.link, session)?).ignore();
        pipe.add_command(set);
        let (done,): (Option<String>,) = self.link.query(pipe).await?;
        Ok(done.is_some())
    }

    /// Writes `merged` where still exactly `found` stands, and our own record beside it.
    async fn replace(
        &self,
        session: &SessionRecord,
        found: Vec<u8>,
        merged: serde_json::Result<Merged>,
    ) -> Result<bool, Away> {
        let Merged::Text(text) = merged.map_err(unwritable)? else {
            let id = session.id;
            if self.link.debts.is_to_be_reported(id) {
                warn!(session = %id, "what others wrote under session {id} cannot be read and is left alone");
            }
            return self.keep(session).await.map(|()| true);
        };
        let mut replace = redis::cmd("EVAL");
        replace.arg(REPLACE).arg(1);
        replace.arg(self.link.session_key(session.id));
        replace.arg(found).arg(text).arg(ttl_ms(session));
        let mut pipe = redis::pipe();
        pipe.add_command(own_command(&self.link, session)?).ignore();
        pipe.add_command(replace);
        let (replaced,): (bool,) = self.link.query(pipe).await?;
        Ok(replaced)
    }

    /// Writes our own record and nothing else.
    async fn keep(&self, session: &SessionRecord) -> Result<(), Away> {
        Ok(self.link.query(own_command(&self.link, session)?).await?)
    }

    /// Tells Redis what it was not told about session `id`; what fails stays owed.
    pub(super) async fn write_owed(&self, id: SessionId) -> Result<(), Away> {
        let written = self.try_write_owed(id).await;
        match &written {
            Ok(Some(told)) => self.link.debts.settle(id, told),
            Ok(None) => {}
            Err(_) => self.link.debts.fail(id),
        }
        written.map(|_| ())
    }

    async fn try_write_owed(&self, id: SessionId) -> Result<Option<Due>, Away> {
        for _ in 0..TRIES_MAX {
            if let Some(due @ Due::Removal(until)) = self.link.debts.of(id) {
                if self.clock.now() < until {
                    let keys = [self.link.session_key(id), self.link.own_key(id)];
                    let () = self.link.query(redis::cmd("DEL").arg(&keys)).await?;
                }
                return Ok(Some(due));
            }
            let found = self.find(id).await?;
            let Some(Due::Left(session)) = self.link.debts.of(id) else {
                return Ok(None);
            };
            let written = match found {
                Found::Nothing if session.ends_at <= self.clock.now() => true,
                // Nobody misses the key of a session that is over.
                Found::Nothing if session.left == [true; 2] => {
                    self.keep(&session).await.map(|()| true)?
                }
                found @ (Found::Nothing | Found::Foreign) => {
                    let only_if_absent = matches!(found, Found::Nothing);
                    self.set(&session, only_if_absent).await?
                }
                Found::Text(found) => {
                    let text = documents::with_members(&found, &session);
                    self.replace(&session, found, text).await?
                }
            };
            if written {
                return Ok(Some(Due::Left(session)));
            }
        }
        Err(contended())
    }
}

#[async_trait]
impl SharedSessions for RedisSessions {
    async fn put_if_absent(&self, session: &SessionRecord) -> Result<Question, Away> {
        for _ in 0..TRIES_MAX {
            if self.set(session, true).await? {
                return Ok(session.question.clone());
            }
            let written = match self.find(session.id).await? {
                // It went away in between: back to the beginning.
                Found::Nothing => false,
                Found::Foreign => self.set(session, false).await?,
                Found::Text(found) => {
                    if let Some(question) = documents::question_in(&found) {
                        if question != session.question {
                            let mut there = session.clone();
                            there.question = question.clone();
                            self.keep(&there).await?;
                        }
                        return Ok(question);
                    }
                    let text = documents::with_question(&found, session);
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
        let until = self.clock.now().plus_ms(self.session_ms);
        self.link.debts.owe_removal(id, until);
        self.write_owed(id).await
    }
}

/// `SET` of a session as it is at its beginning, with its whole time to live.
pub(super) fn set_command(link: &RedisLink, session: &SessionRecord) -> Result<redis::Cmd, Away> {
    let text = documents::new_session(session).map_err(unwritable)?;
    Ok(set(link.session_key(session.id), text, session))
}

/// `SET` of our own record of a session, with the same time to live.
pub(super) fn own_command(link: &RedisLink, session: &SessionRecord) -> Result<redis::Cmd, Away> {
    let text = own::text(session).map_err(unwritable)?;
    Ok(set(link.own_key(session.id), text, session))
}

fn set(key: String, text: String, session: &SessionRecord) -> redis::Cmd {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(text).arg("PX").arg(ttl_ms(session));
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
