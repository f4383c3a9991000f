//! "Fallback to Redis": sessions that the database does not know, because it was restored from a
//! backup that is older than they are, and that Redis still holds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dashmap::DashMap;
use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::warn;

use super::sessions::RedisSessions;
use super::unknown::{Found, FoundSession, Scan};
use domain::{MatchId, SessionId, SessionRecord, Side, UserId};
use observability::{Cause, SESSIONS_FOUND_AGAIN};
use ports::{Away, Clock, FallbackSessions, Left, OnLeft, Records, SharedSessions};

/// Time until a search is begun anew that Redis or the database interrupted.
const SEARCH_AGAIN: Duration = Duration::from_secs(5);
/// Searches after which keys that could not be read are given up.
const SEARCHES_MAX: usize = 3;
/// Sessions that are kept; a search that finds more ends early.
const FOUND_MAX: usize = 100_000;

/// What the search has found; the sessions themselves are served from memory, their texts from Redis.
pub struct RedisFallback {
    sessions: RedisSessions,
    clock: Arc<dyn Clock>,
    found: DashMap<SessionId, Arc<Kept>>,
    /// Each member's sessions, in the order in which they were found.
    by_user: DashMap<UserId, Vec<SessionId>>,
    by_match: DashMap<MatchId, SessionId>,
    found_max: usize,
}

/// One session that was found.
struct Kept {
    record: Mutex<SessionRecord>,
    /// Held while somebody leaves.
    leaving: tokio::sync::Mutex<Leaving>,
}

/// How far the leaves of both sides are.
#[derive(Default)]
struct Leaving {
    /// Redis has it, and its writer tells the partner.
    written: [bool; 2],
    /// Somebody waits until Redis has it.
    awaited: [bool; 2],
}

impl RedisFallback {
    /// Nothing is found yet.
    pub fn new(sessions: RedisSessions, clock: Arc<dyn Clock>) -> Self {
        Self {
            sessions,
            clock,
            found: DashMap::new(),
            by_user: DashMap::new(),
            by_match: DashMap::new(),
            found_max: FOUND_MAX,
        }
    }

    /// The same, with room for fewer sessions.
    pub fn with_room_for(self, found_max: usize) -> Self {
        Self { found_max, ..self }
    }

    /// Looks through Redis, slowly. Begins anew where Redis or the database goes away meanwhile, and a
    /// few times where keys could not be read.
    pub fn search<'a>(&'a self, records: &'a dyn Records) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut was_away = false;
            let mut searches = 0;
            loop {
                match self.search_once(records).await {
                    Ok(0) => break,
                    Ok(skipped) => {
                        searches += 1;
                        if searches >= SEARCHES_MAX {
                            warn!(skipped, "the search for sessions gives up {skipped} keys");
                            break;
                        }
                    }
                    Err(away) => {
                        if !std::mem::replace(&mut was_away, true) {
                            warn!(
                                "the search for sessions that only Redis knows is put off, because {away}"
                            );
                        }
                    }
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
        })
    }

    /// Answers how many keys could not be read.
    async fn search_once(&self, records: &dyn Records) -> Result<usize, Away> {
        let mut scan = Scan::of(&self.sessions);
        let mut has_room = true;
        while has_room && let Some(batch) = scan.next().await? {
            let batch: Vec<SessionRecord> = batch
                .into_iter()
                .filter(|session| !self.found.contains_key(&session.id()))
                .filter_map(|session| self.open_record(session))
                .collect();
            if batch.is_empty() {
                continue;
            }
            // Asked after the keys were read: a session's match is stored long before its key.
            let ids: Vec<SessionId> = batch.iter().map(|session| session.id).collect();
            let named = records.named_sessions(&ids).await?;
            let mut lost = batch
                .into_iter()
                .filter(|session| !named.contains(&session.id));
            has_room = lost.all(|session| self.keep(session));
        }
        if !has_room || !scan.is_complete() {
            warn!("the search for sessions that only Redis knows ended early: there are too many");
        }
        Ok(scan.skipped())
    }

    /// The session, where two people can go on working on its question.
    fn open_record(&self, found: Found) -> Option<SessionRecord> {
        let record = match found {
            Found::Ours(record) => record,
            Found::Theirs(found) => self.record(found)?,
        };
        let is_open = record.users[0] != record.users[1]
            && record.left != [true, true]
            && self.clock.now() < record.ends_at;
        is_open.then_some(record)
    }

    fn record(&self, found: FoundSession) -> Option<SessionRecord> {
        let users: [UserId; 2] = found.users.try_into().ok()?;
        let opened_at = self.clock.now();
        Some(SessionRecord {
            id: found.id,
            // The match is forgotten. One id for both is something that can still be asked about.
            match_id: MatchId(found.id.0),
            left: users.each_ref().map(|user| found.left.contains(user)),
            users,
            question: found.question?,
            opened_at,
            ends_at: opened_at.plus_ms(found.ttl_ms),
        })
    }

    /// Keeps a session, where there is room.
    fn keep(&self, session: SessionRecord) -> bool {
        if self.found.len() >= self.found_max {
            return false;
        }
        let (id, users, left) = (session.id, session.users.clone(), session.left);
        let match_id = session.match_id;
        let kept = Arc::new(Kept {
            record: Mutex::new(session),
            leaving: tokio::sync::Mutex::new(Leaving {
                written: left,
                awaited: [false; 2],
            }),
        });
        if self.found.insert(id, kept).is_some() {
            return true;
        }
        counter!(SESSIONS_FOUND_AGAIN).increment(1);
        self.by_match.insert(match_id, id);
        for user in users {
            self.by_user.entry(user).or_default().push(id);
        }
        true
    }

    /// Those that were found and are open.
    pub fn open_sessions(&self) -> Vec<Arc<SessionRecord>> {
        let now = self.clock.now();
        let records = self.found.iter().map(|kept| kept.record());
        records
            .filter(|session| session.left != [true, true] && now < session.ends_at)
            .map(Arc::new)
            .collect()
    }

    fn kept(&self, id: SessionId) -> Option<Arc<Kept>> {
        let kept = Arc::clone(&*self.found.get(&id)?);
        let session = kept.record();
        if session.ends_at <= self.clock.now() {
            self.forget(&session);
            return None;
        }
        Some(kept)
    }

    fn forget(&self, session: &SessionRecord) {
        self.found.remove(&session.id);
        self.by_match.remove(&session.match_id);
        for user in &session.users {
            self.by_user.remove_if_mut(user, |_, sessions| {
                sessions.retain(|id| *id != session.id);
                sessions.is_empty()
            });
        }
    }
}

impl Kept {
    fn record(&self) -> SessionRecord {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.clone()
    }

    /// Notes that a side has left; answers how the session stands.
    fn note_left(&self, side: Side) -> SessionRecord {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.left[side.index()] = true;
        record.clone()
    }

    /// Writes that a side has left, and has its partner told once Redis has it, whoever has written
    /// it by then.
    async fn leave(
        &self,
        sessions: &RedisSessions,
        side: Side,
        on_left: OnLeft,
        answer: oneshot::Sender<Result<(), Away>>,
    ) {
        let mut leaving = self.leaving.lock().await;
        let session = self.note_left(side);
        let away = match leaving.write(sessions, &session, side).await {
            Ok(partner) => {
                drop(leaving);
                tell(partner, on_left).await;
                let _ = answer.send(Ok(()));
                return;
            }
            Err(away) => away,
        };
        let is_awaited = std::mem::replace(&mut leaving.awaited[side.index()], true);
        drop(leaving);
        let _ = answer.send(Err(away));
        if is_awaited {
            return;
        }
        loop {
            sessions.link().debts.settled(session.id).await;
            let mut leaving = self.leaving.lock().await;
            let written = leaving.write(sessions, &self.record(), side).await;
            drop(leaving);
            if let Ok(partner) = written {
                return tell(partner, on_left).await;
            }
        }
    }
}

impl Leaving {
    /// Writes that a side has left unless Redis has it; answers who is to be told.
    async fn write(
        &mut self,
        sessions: &RedisSessions,
        session: &SessionRecord,
        side: Side,
    ) -> Result<Option<UserId>, Away> {
        if self.written[side.index()] {
            return Ok(None);
        }
        sessions.write_left(session).await?;
        self.written[side.index()] = true;
        let partner = side.other().index();
        let is_there = !session.left[partner];
        Ok(is_there.then(|| session.users[partner].clone()))
    }
}

async fn tell(partner: Option<UserId>, on_left: OnLeft) {
    if let Some(partner) = partner {
        on_left(partner).await;
    }
}

#[async_trait]
impl FallbackSessions for RedisFallback {
    fn session(&self, id: SessionId) -> Option<SessionRecord> {
        Some(self.kept(id)?.record())
    }

    fn session_of(&self, id: MatchId) -> Option<SessionRecord> {
        let session = *self.by_match.get(&id)?;
        self.session(session)
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

    async fn leave(&self, id: SessionId, user: &UserId, on_left: OnLeft) -> Result<Left, Away> {
        // Kept after both have left as well: whoever repeats it gets the same answer.
        let Some(kept) = self.kept(id) else {
            return Ok(Left::Unknown);
        };
        let Some(side) = kept.record().side_of(user) else {
            return Ok(Left::NotMember);
        };
        let (answer, answered) = oneshot::channel();
        let sessions = self.sessions.clone();
        // A task of its own: whoever hangs up leaves nothing half done.
        let leaving = async move { kept.leave(&sessions, side, on_left, answer).await };
        let leaving = Cause::current().within(leaving);
        self.sessions.link().io().spawn(leaving);
        let ending = |_| Away {
            backend: "Redis",
            reason: "the server is stopping".to_owned(),
        };
        answered.await.map_err(ending)?.map(|()| Left::Done)
    }
}
