//! Shared sessions without a server: for dev, where nobody else reads them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tracing::info;

use super::documents::{self, Merged};
use domain::{EventId, Question, SessionId, SessionRecord, Timestamp, Write, WriteOutcome};
use ports::announcement::MATCH_FOUND;
use ports::{
    Away, Clock, OpenSession, QueueChange, QueueMirror, SharedSessions, Store, StoreDepth,
    WriteDone,
};

/// Session texts in memory, each until its session's time is over.
pub struct InProcessSessions {
    clock: Arc<dyn Clock>,
    texts: Mutex<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    by_id: HashMap<SessionId, Entry>,
    by_end: BTreeSet<(Timestamp, SessionId)>,
}

#[derive(Debug)]
struct Entry {
    text: String,
    ends_at: Timestamp,
}

/// The waiting queues have no copy: they are rebuilt from the rows.
#[derive(Debug, Clone, Copy)]
pub struct NoMirror;

impl QueueMirror for NoMirror {
    fn note(&self, _: QueueChange) {}
}

/// What is told of each announcement that has been stored.
pub type OnAnnounced = Arc<dyn Fn(SessionId, EventId) + Send + Sync>;

/// A store that tells when an announcement waits in the outbox.
pub struct Announcing<S> {
    store: Arc<S>,
    told: OnAnnounced,
}

impl<S> Announcing<S> {
    /// Stores in `store`.
    pub fn new(store: Arc<S>, told: OnAnnounced) -> Self {
        Self { store, told }
    }

    /// For a server without a broker: the log tells, and the announcement stays where it is.
    pub fn logged(store: Arc<S>) -> Self {
        let told = |session: SessionId, event: EventId| {
            info!(%session, event = %event, "{MATCH_FOUND} {event} stays in the outbox: no RABBITMQ_URL");
        };
        Self::new(store, Arc::new(told))
    }
}

impl<S: Store> Store for Announcing<S> {
    fn submit(&self, write: Write, deadline: Option<Timestamp>, done: WriteDone) {
        let Write::OpenSession { session, event, .. } = &write else {
            return self.store.submit(write, deadline, done);
        };
        let (session, event, told) = (session.id, *event, Arc::clone(&self.told));
        let tell = move |outcome| {
            if outcome == WriteOutcome::Stored {
                told(session, event);
            }
            done(outcome);
        };
        self.store.submit(write, deadline, Box::new(tell));
    }

    fn depth(&self) -> StoreDepth {
        self.store.depth()
    }
}

impl InProcessSessions {
    /// Holds the sessions that the store has open, as we would first write them: what else was in
    /// their keys ended with the process that held it.
    ///
    /// # Errors
    ///
    /// [`Away`] where a session cannot be written as JSON.
    pub fn new(clock: Arc<dyn Clock>, open: &[OpenSession]) -> Result<Self, Away> {
        let mut texts = Texts::default();
        for OpenSession { record, .. } in open {
            texts.put(record, documents::new_session(record).map_err(away)?);
        }
        Ok(Self {
            clock,
            texts: Mutex::new(texts),
        })
    }

    /// Writes `text` under the session's key, as the collaboration service does; false where there
    /// is no such session.
    pub fn overwrite(&self, id: SessionId, text: &str) -> bool {
        let mut texts = self.current();
        let entry = texts.by_id.get_mut(&id);
        entry
            .map(|entry| text.clone_into(&mut entry.text))
            .is_some()
    }

    /// How many sessions are held.
    pub fn len(&self) -> usize {
        self.current().by_id.len()
    }

    /// Whether no session is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts without those whose time is over.
    fn current(&self) -> MutexGuard<'_, Texts> {
        let now = self.clock.now();
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.purge(now);
        texts
    }
}

impl Texts {
    fn put(&mut self, session: &SessionRecord, text: String) {
        self.remove(session.id);
        self.by_end.insert((session.ends_at, session.id));
        self.by_id.insert(
            session.id,
            Entry {
                text,
                ends_at: session.ends_at,
            },
        );
    }

    fn remove(&mut self, id: SessionId) {
        if let Some(entry) = self.by_id.remove(&id) {
            self.by_end.remove(&(entry.ends_at, id));
        }
    }

    fn purge(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.by_end.first().copied().filter(|(at, _)| *at <= now) {
            self.remove(id);
        }
    }
}

impl Entry {
    fn merge(&mut self, merged: serde_json::Result<Merged>) -> Result<(), Away> {
        if let Merged::Text(text) = merged.map_err(away)? {
            self.text = text;
        }
        Ok(())
    }
}

#[async_trait]
impl SharedSessions for InProcessSessions {
    async fn put_if_absent(&self, session: &SessionRecord) -> Result<Question, Away> {
        let mut texts = self.current();
        let Some(entry) = texts.by_id.get_mut(&session.id) else {
            texts.put(session, documents::new_session(session).map_err(away)?);
            return Ok(session.question.clone());
        };
        if let Some(question) = documents::question_in(entry.text.as_bytes()) {
            return Ok(question);
        }
        entry.merge(documents::with_question(entry.text.as_bytes(), session))?;
        Ok(session.question.clone())
    }

    async fn read(&self, id: SessionId) -> Result<Option<String>, Away> {
        Ok(self
            .current()
            .by_id
            .get(&id)
            .map(|entry| entry.text.clone()))
    }

    async fn write_left(&self, session: &SessionRecord) -> Result<(), Away> {
        let mut texts = self.current();
        if let Some(entry) = texts.by_id.get_mut(&session.id) {
            entry.merge(documents::with_members(entry.text.as_bytes(), session))?;
        } else if session.ends_at > self.clock.now() {
            texts.put(session, documents::new_session(session).map_err(away)?);
        }
        Ok(())
    }

    async fn remove(&self, id: SessionId) -> Result<(), Away> {
        self.current().remove(id);
        Ok(())
    }
}

fn away(error: serde_json::Error) -> Away {
    Away {
        backend: "shared sessions",
        reason: error.to_string(),
    }
}
