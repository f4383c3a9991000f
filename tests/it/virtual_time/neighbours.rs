//! The other backends, ill by seed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use matchmaker::domain::{MatchId, Question, SessionId, SessionRecord, TicketId, Timestamp, Wish};
use matchmaker::ports::{
    Away, BearerToken, LiveState, OpenMatch, OpenSession, Questions, QueueChange, QueueMirror,
    Records, SharedSessions, StoredMatch, StoredTicket,
};
use tokio::time::sleep;

use super::chance::Chance;
use super::plan::{Phase, during};
use super::world::World;
use crate::simulation::referee::{MatchState, Status};

/// Longest time that looking for a question takes, in milliseconds.
const QUESTION_MAX_MS: u64 = 4_000;
/// Longest time that a call to the shared sessions takes, in milliseconds.
const SHARED_MAX_MS: u64 = 500;
/// Longest time that a look into the outbox takes, in milliseconds.
const OUTBOX_MAX_MS: u64 = 2_000;
/// Longest time that the broker takes, in milliseconds.
const BROKER_MAX_MS: u64 = 10_000;

pub struct Neighbour {
    pub world: Arc<World>,
    name: &'static str,
    chance: Mutex<Chance>,
    phases: Vec<Phase>,
    limit_ms: u64,
    /// Users may notice that it is away.
    troubles: bool,
}

/// How a call goes.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    pub ms: u64,
    /// It does what it was asked.
    pub does: bool,
    /// It says so, and then has done it.
    pub says: bool,
}

impl Neighbour {
    pub fn questions(world: &Arc<World>) -> Arc<Self> {
        let phases = world.plan.questions_away.clone();
        Self::new(world, "questions", phases, QUESTION_MAX_MS, true)
    }

    pub fn shared(world: &Arc<World>) -> Arc<Self> {
        let phases = world.plan.shared_away.clone();
        Self::new(world, "shared", phases, SHARED_MAX_MS, true)
    }

    /// The store's, as the relay sees it.
    pub fn outbox(world: &Arc<World>) -> Arc<Self> {
        let phases = world.plan.store_away.clone();
        Self::new(world, "outbox", phases, OUTBOX_MAX_MS, false)
    }

    pub fn broker(world: &Arc<World>) -> Arc<Self> {
        let phases = world.plan.broker_away.clone();
        Self::new(world, "broker", phases, BROKER_MAX_MS, false)
    }

    fn new(
        world: &Arc<World>,
        name: &'static str,
        phases: Vec<Phase>,
        limit_ms: u64,
        troubles: bool,
    ) -> Arc<Self> {
        let processes = world.state().processes;
        Arc::new(Self {
            world: Arc::clone(world),
            name,
            chance: Mutex::new(Chance::new(world.plan.seed, name, processes)),
            phases,
            limit_ms,
            troubles,
        })
    }

    /// Never held while something is awaited; taken before the world's state.
    pub fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn course(&self) -> Course {
        let mut chance = self.chance();
        let mut state = self.world.state();
        let away = during(&self.phases, state.now()).filter(|_| !state.healed);
        let percent = self.world.plan.faults_percent;
        let course = match away {
            Some(phase) => Course {
                ms: if phase.silent {
                    self.limit_ms
                } else {
                    chance.within(1..=20)
                },
                does: false,
                says: false,
            },
            None if !state.healed && chance.percent(percent) => Course {
                ms: chance.skewed(self.limit_ms),
                does: chance.percent(50),
                says: chance.percent(40),
            },
            None => {
                return Course {
                    ms: chance.within(0..=30),
                    does: true,
                    says: true,
                };
            }
        };
        if self.troubles {
            state.trouble(course.ms);
        }
        state.count(self.name);
        state.note(&format!("{}: {course:?}", self.name));
        course
    }

    pub async fn call<T>(&self, act: impl FnOnce(&World) -> T) -> Result<T, Away> {
        let course = self.course();
        sleep(Duration::from_millis(course.ms)).await;
        let done = (course.does || course.says).then(|| act(&self.world));
        done.filter(|_| course.says).ok_or_else(|| self.away())
    }

    pub fn away(&self) -> Away {
        Away {
            backend: self.name,
            reason: "by seed".to_owned(),
        }
    }

    fn question(&self) -> Question {
        let mut chance = self.chance();
        Question {
            id: i64::try_from(chance.within(1..=500)).expect("small"),
            title: "Two Sum".to_owned(),
            difficulty: "easy".to_owned(),
            topics: vec!["Array".to_owned()],
        }
    }
}

#[async_trait]
impl Questions for Neighbour {
    async fn pick(&self, _: &Wish, token: Option<&BearerToken>) -> Result<Question, Away> {
        let question = self.question();
        // After a restart nobody's token is at hand before somebody calls.
        let lent = token.is_some();
        self.call(move |world| {
            world.state().note(&format!("a question, token {lent}"));
            question
        })
        .await
    }
}

#[async_trait]
impl SharedSessions for Neighbour {
    async fn put_if_absent(&self, session: &SessionRecord) -> Result<Question, Away> {
        self.call(|world| {
            let mut state = world.state();
            let shared = state.rows.shared.entry(session.id);
            shared.or_insert_with(|| session.question.clone()).clone()
        })
        .await
    }

    async fn read(&self, _: SessionId) -> Result<Option<String>, Away> {
        Ok(None)
    }

    async fn write_left(&self, _: &SessionRecord) -> Result<(), Away> {
        self.call(|_| ()).await
    }

    async fn remove(&self, id: SessionId) -> Result<(), Away> {
        self.call(|world| {
            world.state().rows.shared.remove(&id);
        })
        .await
    }
}

/// The mirror: what it was told last of each ticket.
pub struct Mirror(pub Arc<World>);

impl QueueMirror for Mirror {
    fn note(&self, change: QueueChange) {
        let mut state = self.0.state();
        match change {
            QueueChange::Waits(ticket) => {
                state.mirror.insert(ticket.id, ticket.user);
            }
            QueueChange::Gone(ticket) => {
                state.mirror.remove(&ticket);
            }
        }
    }
}

/// Reads of the rows.
pub struct Reader(pub Arc<World>);

#[async_trait]
impl Records for Reader {
    async fn ticket(&self, _: TicketId) -> Result<Option<StoredTicket>, Away> {
        unreachable!("people look at the rows themselves")
    }

    async fn find_match(&self, _: MatchId) -> Result<Option<StoredMatch>, Away> {
        unreachable!("people look at the rows themselves")
    }

    async fn session(&self, _: SessionId) -> Result<Option<SessionRecord>, Away> {
        unreachable!("people look at the rows themselves")
    }

    async fn named_sessions(&self, _: &[SessionId]) -> Result<HashSet<SessionId>, Away> {
        unreachable!("nobody asks")
    }

    async fn recently_left(&self, _: Timestamp, _: usize) -> Result<Vec<SessionRecord>, Away> {
        unreachable!("nobody asks")
    }

    async fn given_up(&self, _: Timestamp, _: usize) -> Result<Vec<SessionId>, Away> {
        unreachable!("nobody asks")
    }

    async fn live(&self, now: Timestamp) -> Result<LiveState, Away> {
        let state = self.0.state();
        let away = during(&self.0.plan.store_away, state.now()).filter(|_| !state.healed);
        match away {
            None => Ok(live(&state.rows.db, now)),
            Some(_) => Err(Away {
                backend: "store",
                reason: "by seed".to_owned(),
            }),
        }
    }

    async fn ping(&self) -> Result<(), Away> {
        Ok(())
    }
}

fn live(db: &crate::simulation::referee::Database, now: Timestamp) -> LiveState {
    let ticket = |id: &TicketId| db.tickets[id].ticket.clone();
    let waiting = db
        .tickets
        .values()
        .filter(|row| row.status == Status::Waiting);
    let mut tickets: Vec<_> = waiting.map(|row| row.ticket.clone()).collect();
    tickets.sort_by_key(|ticket| ticket.place());
    let open = db
        .matches
        .values()
        .filter(|row| row.state == MatchState::Open);
    let mut open: Vec<_> = open.collect();
    open.sort_by_key(|row| (row.proposal.proposed_at, row.proposal.tickets));
    let matches = open.into_iter().map(|row| OpenMatch {
        id: row.proposal.id,
        session: row.proposal.session,
        tickets: row.proposal.tickets.each_ref().map(ticket),
        confirmed: row.confirmed,
        expires_at: row.proposal.expires_at,
        extended: row.extended,
    });
    let held = db
        .sessions
        .values()
        .filter(|row| !row.record.has_ended(now));
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|row| (row.record.ends_at, row.tickets));
    let sessions = held.into_iter().map(|row| OpenSession {
        record: row.record.clone(),
        tickets: row.tickets,
    });
    let newest_ticket = db.tickets.values().map(|row| row.ticket.enqueued_at).max();
    let newest_session = db.sessions.values().map(|row| row.record.opened_at).max();
    LiveState {
        tickets,
        matches: matches.collect(),
        sessions: sessions.collect(),
        newest: newest_ticket.max(newest_session),
        contradictions: Vec::new(),
        orphans: Vec::new(),
    }
}
