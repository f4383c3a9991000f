//! What comes from outside: answers of the store and of other services, restarts, and time.

use matchmaker::domain::bucket::{Bucket, MatchIds};
use matchmaker::domain::limits::{DOWNTIME_GRACE_MS, RETRY_MAX_MS};
use matchmaker::domain::matches::Match;
use matchmaker::domain::{
    BucketKey, EventId, Holder, MatchId, Question, Session, SessionId, Ticket, Timestamp, Write,
    WriteOutcome,
};

use super::referee::{MatchState, Status};
use super::world::{Errand, Owner, Reply, World};

impl World {
    pub fn reply(&mut self, index: usize, reply: Reply) {
        let now = self.now;
        match self.errands.remove(index) {
            Errand::Write(owner, write, known) => {
                let outcome = match (known, reply) {
                    (Some(outcome), _) => outcome,
                    (None, Reply::Away) => WriteOutcome::Unavailable,
                    (None, Reply::Granted) => self.apply(&write),
                    (None, Reply::DoneUnsaid) => {
                        let outcome = self.apply(&write);
                        return self
                            .errands
                            .push(Errand::Write(owner, write, Some(outcome)));
                    }
                };
                self.written(owner, *write, outcome);
            }
            Errand::Question(id) => {
                let number = self.ids as i64;
                let found = (reply == Reply::Granted).then(|| question(number));
                // It may have ended meanwhile, where its second confirmation could not be stored.
                let known = self.matches.get_mut(&id);
                if let Some(effects) = known.map(|known| known.on_question(found, now)) {
                    self.run_match(id, effects);
                }
            }
            Errand::Share(id, record) => {
                if reply != Reply::Away {
                    self.shared.entry(record.id).or_insert(record.question);
                }
                let held = self
                    .shared
                    .get(&record.id)
                    .filter(|_| reply == Reply::Granted);
                let known = self
                    .matches
                    .get_mut(&id)
                    .expect("a match waits for sharing");
                let effects = known.on_shared(held.cloned(), now);
                self.run_match(id, effects);
            }
            Errand::ShareLeft(id) => {
                let known = self
                    .sessions
                    .get_mut(&id)
                    .expect("a session waits for sharing");
                let effects = known.on_shared(now);
                self.run_session(id, effects);
            }
        }
    }

    fn apply(&mut self, write: &Write) -> WriteOutcome {
        let outcome = self.db.apply(write);
        if outcome == WriteOutcome::Stored {
            self.promises.note(write, &self.db);
        }
        outcome
    }

    fn written(&mut self, owner: Owner, write: Write, outcome: WriteOutcome) {
        let now = self.now;
        let away = outcome == WriteOutcome::Unavailable;
        self.just_failed = away.then(|| (owner.clone(), write));
        match owner {
            Owner::Ticket(key, ticket) => {
                let effects = self.bucket(&key).on_ticket_written(ticket, outcome, now);
                self.run_bucket(&key, effects);
            }
            Owner::Proposal(key, id) => {
                let effects = self.bucket(&key).on_proposal_written(id, &outcome, now);
                if away {
                    self.holds_back_until
                        .insert(key.clone(), now.plus_ms(RETRY_MAX_MS));
                }
                self.run_bucket(&key, effects);
            }
            Owner::Match(id) => {
                let known = self
                    .matches
                    .get_mut(&id)
                    .expect("a match waits for its write");
                let effects = known.on_written(&outcome, now);
                self.run_match(id, effects);
            }
            Owner::Session(id) => {
                let known = self
                    .sessions
                    .get_mut(&id)
                    .expect("a session waits for its write");
                let effects = known.on_written(&outcome, now);
                self.run_session(id, effects);
            }
        }
        self.just_failed = None;
    }

    /// The process dies and comes back after `down_ms`: only what was applied is left.
    pub fn restart(&mut self, down_ms: u64) {
        let fresh = Self::new(self.permits);
        let was = std::mem::replace(self, fresh);
        self.now = was.now.plus_ms(down_ms);
        (self.db, self.promises) = (was.db, was.promises);
        (self.shared, self.ids) = (was.shared, was.ids);
        (self.witness, self.tampered) = (was.witness, was.tampered);
        let now = self.now;
        let rows: Vec<_> = self.db.matches.values().cloned().collect();
        for row in rows.into_iter().filter(|row| row.state == MatchState::Open) {
            let mut expires_at = row.proposal.expires_at;
            if expires_at <= now && !row.extended {
                expires_at = now.plus_ms(DOWNTIME_GRACE_MS);
                let extend = Write::ExtendMatch {
                    match_id: row.proposal.id,
                    expires_at,
                };
                assert_eq!(self.apply(&extend), WriteOutcome::Stored);
            }
            let tickets = row
                .proposal
                .tickets
                .map(|id| self.db.tickets[&id].ticket.clone());
            let (id, session) = (row.proposal.id, row.proposal.session);
            let ids = MatchIds {
                id,
                session,
                event: EventId(self.uuid()),
            };
            let rebuilt = Match::new(ids, tickets, expires_at, self.timeouts);
            self.start_match(rebuilt.with_confirmations(row.confirmed));
        }
        let mut waiting: Vec<Ticket> = Vec::new();
        for row in self
            .db
            .tickets
            .values()
            .filter(|row| row.status == Status::Waiting)
        {
            waiting.push(row.ticket.clone());
        }
        waiting.sort_by_key(Ticket::place);
        for ticket in waiting {
            assert!(
                self.roster.claim_for(&ticket, Holder::Bucket),
                "G1 at start: {ticket:?}"
            );
            self.admit(ticket);
        }
        let rows: Vec<_> = self.db.sessions.values().cloned().collect();
        for row in rows.into_iter().filter(|row| !row.record.has_ended(now)) {
            self.sessions
                .insert(row.record.id, Session::new(row.record, row.tickets));
        }
    }

    /// Every timer that is due fires.
    pub fn on_time(&mut self) {
        let now = self.now;
        for key in self.buckets.keys().cloned().collect::<Vec<_>>() {
            let effects = self.bucket(&key).on_time(now);
            self.run_bucket(&key, effects);
        }
        for id in self.matches.keys().copied().collect::<Vec<_>>() {
            if let Some(known) = self.matches.get_mut(&id) {
                let effects = known.on_time(now);
                self.run_match(id, effects);
            }
        }
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            if let Some(known) = self.sessions.get_mut(&id) {
                let effects = known.on_time(now);
                self.run_session(id, effects);
            }
        }
    }

    /// When the next timer is due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let buckets = self.buckets.values().filter_map(Bucket::next_wake);
        let matches = self.matches.values().filter_map(Match::next_wake);
        let sessions = self.sessions.values().filter_map(Session::next_wake);
        buckets.chain(matches).chain(sessions).min()
    }

    pub fn permits_free(&self) -> usize {
        let proposed = |errand: &&Errand| matches!(errand, Errand::Write(Owner::Proposal(..), ..));
        let used = self.matches.len() + self.errands.iter().filter(proposed).count();
        self.permits.saturating_sub(used)
    }

    /// Proposes while there are pairs and permits.
    pub fn pair(&mut self) {
        for key in self.buckets.keys().cloned().collect::<Vec<_>>() {
            while self.permits_free() > 0 && self.buckets[&key].next_pair().is_some() {
                let ids = MatchIds {
                    id: MatchId(self.uuid()),
                    session: SessionId(self.uuid()),
                    event: EventId(self.uuid()),
                };
                let now = self.now;
                self.check_pairing(&key);
                let effects = self.bucket(&key).propose_next(ids, now);
                self.run_bucket(&key, effects);
            }
        }
    }

    pub(super) fn bucket(&mut self, key: &BucketKey) -> &mut Bucket {
        let timeouts = self.timeouts;
        self.buckets
            .entry(key.clone())
            .or_insert_with(|| Bucket::new(key.clone(), timeouts))
    }
}

fn question(number: i64) -> Question {
    Question {
        id: number,
        title: format!("Question {number}"),
        difficulty: "easy".into(),
        topics: vec!["Array".into()],
    }
}
