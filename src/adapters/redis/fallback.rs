//! "Fallback to Redis": sessions that the database does not know, because it was restored from a
//! backup that is older than they are, and that Redis still holds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use metrics::counter;
use tokio::sync::Mutex;
use tokio::time::sleep;
use tracing::{info, warn};

use super::sessions::RedisSessions;
use super::unknown::{FoundSession, Scan};
use crate::domain::{MatchId, SessionId, SessionRecord, UserId};
use crate::observability::SESSIONS_FOUND_AGAIN;
use crate::ports::{Away, Clock, FallbackSessions, Left, Records, SharedSessions};

/// Time until a search is begun anew that Redis or the database interrupted.
const SEARCH_AGAIN: Duration = Duration::from_secs(5);

/// What the search has found; the sessions themselves are served from memory, their texts from Redis.
pub struct RedisFallback {
    sessions: RedisSessions,
    clock: Arc<dyn Clock>,
    found: DashMap<SessionId, SessionRecord>,
    /// Each member's sessions, in the order in which they were found.
    by_user: DashMap<UserId, Vec<SessionId>>,
    /// Held while somebody leaves: the two of a session must not undo each other's.
    leaving: Mutex<()>,
}

impl RedisFallback {
    /// Nothing is found yet.
    pub fn new(sessions: RedisSessions, clock: Arc<dyn Clock>) -> Self {
        Self {
            sessions,
            clock,
            found: DashMap::new(),
            by_user: DashMap::new(),
            leaving: Mutex::new(()),
        }
    }

    /// Looks through Redis once, slowly. Begins anew where Redis or the database goes away meanwhile.
    pub async fn search(&self, records: &dyn Records) {
        let mut was_away = false;
        while let Err(away) = self.search_once(records).await {
            if !std::mem::replace(&mut was_away, true) {
                warn!("the search for sessions that only Redis knows is put off, because {away}");
            }
            sleep(SEARCH_AGAIN).await;
        }
        let found = self.found.len();
        if found > 0 {
            warn!(
                found,
                "{found} sessions are not in the database and were found in Redis: was it restored?"
            );
        }
    }

    async fn search_once(&self, records: &dyn Records) -> Result<(), Away> {
        let mut scan = Scan::of(&self.sessions);
        while let Some(batch) = scan.next().await? {
            let batch: Vec<SessionRecord> = batch
                .into_iter()
                .filter(|session| !self.found.contains_key(&session.id))
                .filter_map(|session| self.record(session))
                .collect();
            if batch.is_empty() {
                continue;
            }
            // Asked after the keys were read: a session's match is stored long before its key.
            let ids: Vec<SessionId> = batch.iter().map(|session| session.id).collect();
            let named = records.named_sessions(&ids).await?;
            for session in batch {
                if !named.contains(&session.id) {
                    self.keep(session);
                }
            }
        }
        if !scan.is_complete() {
            info!("the search for sessions that only Redis knows ended early: there are too many");
        }
        Ok(())
    }

    /// The session, where two people can go on working on its question.
    fn record(&self, found: FoundSession) -> Option<SessionRecord> {
        let users: [UserId; 2] = found.users.try_into().ok()?;
        let left = users.each_ref().map(|user| found.left.contains(user));
        let opened_at = self.clock.now();
        let is_open = users[0] != users[1] && left != [true, true] && found.ttl_ms > 0;
        let question = found.question.filter(|_| is_open)?;
        Some(SessionRecord {
            id: found.id,
            // The match is forgotten. One id for both is something that can still be asked about.
            match_id: MatchId(found.id.0),
            users,
            question,
            opened_at,
            ends_at: opened_at.plus_ms(found.ttl_ms),
            left,
        })
    }

    fn keep(&self, session: SessionRecord) {
        counter!(SESSIONS_FOUND_AGAIN).increment(1);
        for user in &session.users {
            self.by_user
                .entry(user.clone())
                .or_default()
                .push(session.id);
        }
        self.found.insert(session.id, session);
    }

    fn forget(&self, session: &SessionRecord) {
        self.found.remove(&session.id);
        for user in &session.users {
            self.by_user.remove_if_mut(user, |_, sessions| {
                sessions.retain(|id| *id != session.id);
                sessions.is_empty()
            });
        }
    }
}

#[async_trait]
impl FallbackSessions for RedisFallback {
    fn session(&self, id: SessionId) -> Option<SessionRecord> {
        let session = self.found.get(&id)?.clone();
        if session.ends_at <= self.clock.now() {
            self.forget(&session);
            return None;
        }
        Some(session)
    }

    fn active_session(&self, user: &UserId) -> Option<SessionRecord> {
        let ids = self.by_user.get(user)?.clone();
        let open = ids.into_iter().rev().filter_map(|id| self.session(id));
        let mut open = open.filter(|session| {
            let side = session.side_of(user);
            side.is_some_and(|side| !session.left[side.index()])
        });
        open.next()
    }

    async fn leave(&self, id: SessionId, user: &UserId) -> Result<Left, Away> {
        let _leaving = self.leaving.lock().await;
        let Some(mut session) = self.session(id) else {
            return Ok(Left::Unknown);
        };
        let Some(side) = session.side_of(user) else {
            return Ok(Left::NotMember);
        };
        if session.left[side.index()] {
            return Ok(Left::Before);
        }
        session.left[side.index()] = true;
        self.sessions.write_left(&session).await?;
        let partner = session.users[side.other().index()].clone();
        let is_there = !session.left[side.other().index()];
        // Kept after both have left as well: whoever repeats it gets the same answer.
        self.found.insert(id, session);
        Ok(Left::Now {
            partner: is_there.then_some(partner),
        })
    }
}
