//! What is live, as it is stored: written by the actors, read by every HTTP handler without a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

use super::decisions::Decisions;
use super::tokens::LentTokens;
use domain::{BucketKey, MatchId, SessionId, SessionRecord, TicketId, Timestamp, UserId};

/// The published state. An entry is written after its fact is stored and before anybody is told.
#[derive(Debug, Default)]
pub struct Board {
    tickets: DashMap<TicketId, TicketView>,
    matches: DashMap<MatchId, MatchView>,
    sessions: DashMap<SessionId, Arc<SessionRecord>>,
    /// Each user's open sessions that the user has not left, oldest first.
    active: DashMap<UserId, Vec<SessionId>>,
    buckets: DashMap<BucketKey, Arc<BucketView>>,
    /// How many buckets there have ever been.
    buckets_ever: AtomicU64,
    /// Matches by [`MatchView::state`].
    states: [AtomicUsize; MatchState::ALL.len()],
    /// How many commands wait at actors that are no buckets.
    pub mailboxes: Mailboxes,
    /// What was decided lately.
    pub decisions: Decisions,
    /// The one thing that handlers write: tokens that matches want to look for a question.
    pub tokens: LentTokens,
}

/// A ticket that waits, is in a match, or is in an open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketView {
    /// Whose.
    pub user: UserId,
    /// The match that it is in, which may have become a session.
    pub match_id: Option<MatchId>,
}

/// A match, or the session that it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchView {
    /// Somebody has not answered.
    Proposed {
        /// When the confirmation window is over.
        expires_at: Timestamp,
    },
    /// Both confirmed.
    Opening,
    /// The session can be read.
    InSession(SessionId),
}

/// What a [`MatchView`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchState {
    /// Somebody has not answered.
    Proposed,
    /// Both confirmed.
    Opening,
    /// It became a session.
    InSession,
}

/// How many commands wait at actors that are no buckets.
#[derive(Debug, Default)]
pub struct Mailboxes {
    /// At the roster.
    pub roster: Mailbox,
    /// At all matches and sessions.
    pub sessions: Mailbox,
}

/// How many commands wait in one mailbox, or in all of one kind.
#[derive(Debug, Default)]
pub struct Mailbox(AtomicUsize);

/// How a bucket stands.
#[derive(Debug, Default)]
pub struct BucketView {
    /// Buckets in the order in which they came.
    number: u64,
    waiting: AtomicUsize,
    set_aside: AtomicUsize,
    oldest_ms: AtomicI64,
    in_flight: AtomicUsize,
    mailbox: Mailbox,
}

/// A reading of a [`BucketView`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketReading {
    /// Smaller than that of every bucket that came later.
    pub number: u64,
    /// Tickets that may be paired.
    pub waiting: usize,
    /// Tickets about which a write is under way.
    pub set_aside: usize,
    /// When the oldest of those that may be paired was first enqueued.
    pub oldest: Option<Timestamp>,
    /// Callers who wait for an answer of the store.
    pub in_flight: usize,
    /// Commands that wait at the actor.
    pub mailbox: usize,
}

impl Board {
    /// One that shows these open sessions before any actor has been started: whoever writes the keys
    /// of open sessions begins at once.
    pub fn with_sessions(sessions: impl IntoIterator<Item = SessionRecord>) -> Self {
        let board = Self::default();
        sessions
            .into_iter()
            .for_each(|record| board.put_session(record));
        board
    }

    /// Whether nothing is live and nothing waits.
    pub fn is_empty(&self) -> bool {
        let Self {
            tickets,
            matches,
            sessions,
            active,
            buckets,
            states,
            mailboxes,
            tokens,
            ..
        } = self;
        let nothing = [
            tickets.len(),
            matches.len(),
            sessions.len(),
            active.len(),
            buckets.len(),
        ];
        nothing == [0; 5]
            && states
                .iter()
                .all(|count| count.load(Ordering::Relaxed) == 0)
            && mailboxes.roster.depth() + mailboxes.sessions.depth() == 0
            && tokens.is_empty()
    }

    /// The ticket, if it is live or in an open session.
    pub fn ticket(&self, id: TicketId) -> Option<TicketView> {
        self.tickets.get(&id).map(|view| view.clone())
    }

    /// The match, if it or its session is open.
    pub fn find_match(&self, id: MatchId) -> Option<MatchView> {
        self.matches.get(&id).map(|view| *view)
    }

    /// The session, if it is open.
    pub fn session(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        self.sessions.get(&id).map(|record| Arc::clone(&record))
    }

    /// The user's newest open session that the user has not left.
    pub fn active_session(&self, user: &UserId) -> Option<Arc<SessionRecord>> {
        let newest = self
            .active
            .get(user)
            .and_then(|sessions| sessions.last().copied())?;
        self.session(newest)
    }

    /// How many tickets wait, are in a match, or in an open session.
    pub fn tickets_len(&self) -> usize {
        self.tickets.len()
    }

    /// Every open session.
    pub fn sessions(&self) -> Vec<Arc<SessionRecord>> {
        self.sessions
            .iter()
            .map(|record| Arc::clone(&record))
            .collect()
    }

    /// How many sessions are open.
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// Every match, those that became sessions included.
    pub fn matches(&self) -> Vec<(MatchId, MatchView)> {
        self.matches
            .iter()
            .map(|entry| (*entry.key(), *entry.value()))
            .collect()
    }

    /// How many matches there are in `state`.
    pub fn matches_in(&self, state: MatchState) -> usize {
        self.states[state as usize].load(Ordering::Relaxed)
    }

    /// Every bucket that has an actor, in no order.
    pub fn buckets(&self) -> Vec<(BucketKey, BucketReading)> {
        let buckets = self.buckets.iter();
        buckets
            .map(|entry| (entry.key().clone(), entry.read()))
            .collect()
    }

    pub(super) fn put_ticket(&self, id: TicketId, user: &UserId, match_id: Option<MatchId>) {
        self.tickets.insert(
            id,
            TicketView {
                user: user.clone(),
                match_id,
            },
        );
    }

    pub(super) fn remove_ticket(&self, id: TicketId) {
        self.tickets.remove(&id);
    }

    pub(super) fn put_match(&self, id: MatchId, view: MatchView) {
        self.states[view.state() as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(before) = self.matches.insert(id, view) {
            self.states[before.state() as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn remove_match(&self, id: MatchId) {
        if let Some((_, view)) = self.matches.remove(&id) {
            self.states[view.state() as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Publishes an open session: a new one, or one that somebody has left.
    pub(super) fn put_session(&self, record: SessionRecord) {
        for (user, left) in record.users.iter().zip(record.left) {
            if left {
                self.forget_active(user, record.id);
            } else {
                let mut sessions = self.active.entry(user.clone()).or_default();
                if !sessions.contains(&record.id) {
                    sessions.push(record.id);
                }
            }
        }
        self.sessions.insert(record.id, Arc::new(record));
    }

    pub(super) fn remove_session(&self, id: SessionId) {
        if let Some((_, record)) = self.sessions.remove(&id) {
            for user in &record.users {
                self.forget_active(user, id);
            }
        }
    }

    pub(super) fn put_bucket(&self, key: BucketKey) -> Arc<BucketView> {
        let view = self.buckets.entry(key).or_insert_with(|| {
            let number = self.buckets_ever.fetch_add(1, Ordering::Relaxed);
            Arc::new(BucketView {
                number,
                ..BucketView::default()
            })
        });
        Arc::clone(&view)
    }

    pub(super) fn remove_bucket(&self, key: &BucketKey) {
        self.buckets.remove(key);
    }

    fn forget_active(&self, user: &UserId, id: SessionId) {
        self.active.remove_if_mut(user, |_, sessions| {
            sessions.retain(|session| *session != id);
            sessions.is_empty()
        });
    }
}

impl BucketView {
    fn read(&self) -> BucketReading {
        let oldest = self.oldest_ms.load(Ordering::Relaxed);
        BucketReading {
            number: self.number,
            waiting: self.waiting.load(Ordering::Relaxed),
            set_aside: self.set_aside.load(Ordering::Relaxed),
            oldest: (oldest != 0).then(|| Timestamp::from_ms(oldest)),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            mailbox: self.mailbox.depth(),
        }
    }

    pub(super) fn publish(
        &self,
        waiting: usize,
        set_aside: usize,
        in_flight: usize,
        oldest: Option<Timestamp>,
    ) {
        self.waiting.store(waiting, Ordering::Relaxed);
        self.set_aside.store(set_aside, Ordering::Relaxed);
        self.in_flight.store(in_flight, Ordering::Relaxed);
        self.oldest_ms
            .store(oldest.map_or(0, Timestamp::as_ms), Ordering::Relaxed);
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

impl MatchView {
    /// What it is.
    pub fn state(&self) -> MatchState {
        match self {
            Self::Proposed { .. } => MatchState::Proposed,
            Self::Opening => MatchState::Opening,
            Self::InSession(_) => MatchState::InSession,
        }
    }
}

impl MatchState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Proposed, Self::Opening, Self::InSession];

    /// Its name.
    pub fn label(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Opening => "opening",
            Self::InSession => "in_session",
        }
    }
}

impl Mailbox {
    /// How many wait.
    pub fn depth(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One was put in.
    pub fn sent(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One was taken out, or could not be put in after all.
    pub fn taken(&self) {
        // Not below 0, should somebody have put one in without a word.
        let one_less = |depth: usize| depth.checked_sub(1);
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }
}
