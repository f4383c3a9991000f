//! What is stored, what is on its way there, and what must be true of each write.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use matchmaker::domain::limits::{DOWNTIME_GRACE_MS, RETRY_FIRST_MS, Timeouts};
use matchmaker::domain::{
    BucketKey, Ending, Question, SessionId, Ticket, TicketId, TicketOutcome, Timestamp, UserId,
    Write, WriteOutcome,
};

use super::announcing::Announced;
use crate::simulation::checks::touched;
use crate::simulation::promises::Promises;
use crate::simulation::referee::{Database, MatchState, Status};

/// How many writes are stored between two looks at all that ever was.
const CHECK_AFTER: u64 = 200;

/// The rows, kept by the referee.
#[derive(Debug, Default)]
pub struct Rows {
    pub db: Database,
    promises: Promises,
    /// Running one of these again is storing it once.
    stored: HashSet<Write>,
    /// The sessions that the collaboration service would read.
    pub shared: BTreeMap<SessionId, Question>,
    pub announced: Announced,
    under_way: BTreeMap<u64, UnderWay>,
    submitted: u64,
    /// Waiting tickets that no write is about, and since when.
    free_since: BTreeMap<TicketId, Timestamp>,
    /// Tickets of which their users were told.
    pub known: BTreeSet<TicketId>,
    /// When an end that time demands could not be stored.
    failed_at: BTreeMap<TicketId, Timestamp>,
    /// How many tickets were stored for each user.
    pub opened: BTreeMap<UserId, usize>,
    /// How many writes were stored.
    pub commits: u64,
    /// How many of them when everything was looked at last.
    checked: u64,
}

#[derive(Debug)]
struct UnderWay {
    write: Write,
    deadline: Option<Timestamp>,
    /// It may have been stored already.
    in_doubt: bool,
}

impl Rows {
    /// The server asks for `write`; its clock shows `now`, the time is `at`.
    pub fn begin(
        &mut self,
        write: &Write,
        now: Timestamp,
        at: Timestamp,
        timeouts: Timeouts,
        deadline: Option<Timestamp>,
    ) -> u64 {
        let tickets = touched(write, &self.db);
        for UnderWay { write: other, .. } in self.under_way.values() {
            let both = !touched(other, &self.db).is_disjoint(&tickets);
            assert!(
                !both,
                "two writes about one ticket at once: {other:?}, {write:?}"
            );
        }
        self.promises.check(write, &self.db, now, timeouts);
        let opened = match write {
            Write::OpenTicket(new) | Write::ReplaceTicket { new, .. } => Some(new),
            Write::EndMatch { opens, .. } => opens.as_deref(),
            _ => None,
        };
        let in_order = opened.is_none_or(|new| new.enqueued_at == now);
        assert!(in_order, "G6: a place is not that of its moment: {write:?}");
        match write {
            Write::OpenSession { session, .. } => {
                let shared = self.shared.get(&session.id);
                assert_eq!(shared, Some(&session.question), "G5: not what can be read");
            }
            Write::ProposeMatch(proposal) => {
                self.check_pair(&proposal.bucket, proposal.tickets, now, at);
            }
            Write::ExtendMatch {
                match_id,
                expires_at,
            } => {
                let row = self.db.open_match(*match_id).expect("the match is open");
                assert!(
                    !row.extended && row.proposal.expires_at <= now,
                    "G7: {row:?}"
                );
                assert_eq!(*expires_at, now.plus_ms(DOWNTIME_GRACE_MS), "G7");
            }
            _ => {}
        }
        if is_timely(write) {
            for ticket in &tickets {
                let failed = self.failed_at.get(ticket);
                let waited = failed.is_none_or(|failed| failed.plus_ms(RETRY_FIRST_MS) <= at);
                assert!(waited, "tried again without a wait: {write:?}");
            }
        }
        for ticket in &tickets {
            self.free_since.remove(ticket);
        }
        self.submitted += 1;
        let under_way = UnderWay {
            write: write.clone(),
            deadline,
            in_doubt: false,
        };
        self.under_way.insert(self.submitted, under_way);
        self.submitted
    }

    /// The store has answered.
    pub fn end(&mut self, number: u64, outcome: &WriteOutcome, at: Timestamp) -> Write {
        let write = self.under_way.remove(&number);
        let write = write.expect("answered once").write;
        let stored = self.stored.contains(&write);
        match outcome {
            WriteOutcome::Stored => assert!(stored, "G2: answered before it is stored: {write:?}"),
            WriteOutcome::Unavailable => {
                assert!(
                    !stored,
                    "G2: stored, and answered as unavailable: {write:?}"
                );
            }
            WriteOutcome::Refused(why) => panic!("memory and rows differ: {write:?}, {why:?}"),
        }
        for ticket in touched(&write, &self.db) {
            if self.db.is_waiting(ticket) {
                self.free_since.insert(ticket, at);
            }
            if !stored && is_timely(&write) {
                self.failed_at.insert(ticket, at);
            }
        }
        write
    }

    /// A group is sent. Nothing is begun after its caller's deadline, and each write is sent once,
    /// unless it may have been stored.
    pub fn sent(&self, writes: &[Write], now: Timestamp) {
        for write in writes {
            let mut all = self.under_way.values();
            let known = all.find(|under_way| under_way.write == *write);
            let known = known.expect("nobody waits for this write any more");
            let begins = known.in_doubt || known.deadline.is_none_or(|deadline| deadline > now);
            assert!(begins, "begun after its deadline: {known:?}");
        }
    }

    /// The answer to a group was lost.
    pub fn lost(&mut self, writes: &[Write]) {
        let under_way = self.under_way.values_mut();
        for under_way in under_way.filter(|under_way| writes.contains(&under_way.write)) {
            under_way.in_doubt = true;
        }
    }

    /// Runs a group as one transaction.
    pub fn commit(&mut self, writes: &[Write]) -> Vec<WriteOutcome> {
        writes.iter().map(|write| self.apply(write)).collect()
    }

    fn apply(&mut self, write: &Write) -> WriteOutcome {
        if self.stored.contains(write) {
            return WriteOutcome::Stored;
        }
        let outcome = self.db.apply(write);
        if outcome != WriteOutcome::Stored {
            return outcome;
        }
        self.promises.note(write, &self.db);
        self.stored.insert(write.clone());
        self.commits += 1;
        match write {
            Write::OpenTicket(new) | Write::ReplaceTicket { new, .. } => self.count(new),
            Write::EndMatch {
                opens: Some(new), ..
            } => self.count(new),
            Write::ProposeMatch(proposal) => {
                let known = |ticket: &TicketId| self.known.contains(ticket);
                let all = proposal.tickets.iter().all(known);
                assert!(all, "an abandoned ticket is paired: {proposal:?}");
            }
            Write::OpenSession { session, event, .. } => self.announced.add(session, *event),
            _ => {}
        }
        WriteOutcome::Stored
    }

    fn count(&mut self, new: &Ticket) {
        *self.opened.entry(new.user.clone()).or_default() += 1;
    }

    /// The process is gone: what it had not stored is lost, and everybody finds their ticket again.
    pub fn restart(&mut self, at: Timestamp) {
        self.under_way.clear();
        self.failed_at.clear();
        self.free_since.clear();
        for (id, row) in &self.db.tickets {
            self.known.insert(*id);
            if row.status == Status::Waiting {
                self.free_since.insert(*id, at);
            }
        }
    }

    /// Who may be paired in `key` and could have been before `at`.
    fn waiting(&self, key: &BucketKey, now: Timestamp, at: Timestamp) -> Vec<&Ticket> {
        let free = self
            .free_since
            .iter()
            .filter(|(id, since)| **since < at && self.known.contains(id));
        let rows = free.map(|(id, _)| &self.db.tickets[id].ticket);
        rows.filter(|ticket| ticket.wish.bucket() == *key && ticket.waits_until > now)
            .collect()
    }

    /// G6: first come, first paired. Whoever came back in this very moment may not be there yet.
    fn check_pair(&self, key: &BucketKey, pair: [TicketId; 2], now: Timestamp, at: Timestamp) {
        let mut waiting = self.waiting(key, now, at);
        waiting.retain(|ticket| !pair.contains(&ticket.id));
        waiting.extend(pair.map(|id| &self.db.tickets[&id].ticket));
        let expected = self.promises.expected_pair(&waiting);
        assert_eq!(Some(pair), expected, "G6: the wrong pair");
    }

    /// What must hold at any moment at which nothing is going on. Looks at all that ever was only
    /// where much has been stored since the last time.
    pub fn check(&mut self) {
        let mut users = BTreeSet::new();
        for row in self.db.live() {
            let first = users.insert(row.ticket.user.clone());
            assert!(first, "G1: two live tickets of {}", row.ticket.user);
        }
        if self.commits >= self.checked + CHECK_AFTER {
            self.checked = self.commits;
            self.check_all();
        }
    }

    pub fn check_all(&self) {
        for (id, row) in &self.db.matches {
            let [one, other] = &row.proposal.users;
            assert_ne!(one, other, "G3: matched with themselves");
            let both = row.confirmed == [true, true];
            let session = self.db.sessions.get(&row.proposal.session);
            match row.state {
                MatchState::Open => {
                    for ticket in row.proposal.tickets {
                        assert_eq!(self.db.status(ticket), Some(Status::Matched(*id)), "G3");
                    }
                }
                MatchState::InSession => assert!(both && session.is_some(), "G5: {row:?}"),
                MatchState::Ended(Ending::QuestionUnavailable) => assert!(both, "G5: {row:?}"),
                MatchState::Ended(_) => assert!(!both && session.is_none(), "G5: {row:?}"),
            }
        }
        self.promises.check_places(&self.db);
    }

    /// What must hold where every backend has been well for `calm_ms`.
    pub fn check_calm(&self, now: Timestamp, at: Timestamp, calm_ms: u64, permits_max: usize) {
        let overdue = |due: Timestamp| due.plus_ms(calm_ms) < now;
        let busy = self.busy();
        for row in self.db.live() {
            let id = row.ticket.id;
            match row.status {
                Status::Waiting => {
                    assert!(!overdue(row.ticket.waits_until), "G7: {id} waits too long");
                    let known = self.known.contains(&id) || busy.contains(&id);
                    assert!(known, "an abandoned ticket is left: {row:?}");
                }
                Status::Matched(id) => {
                    let open = &self.db.matches[&id];
                    let late = overdue(open.proposal.expires_at);
                    assert!(!late, "G7: a match is open too long: {open:?}");
                }
                Status::Closed(_) => {}
            }
        }
        let open = self.db.matches.values();
        let open = open.filter(|row| row.state == MatchState::Open).count();
        if open < permits_max && self.under_way.is_empty() {
            let keys: BTreeSet<BucketKey> =
                self.db.live().map(|row| row.ticket.wish.bucket()).collect();
            for key in keys {
                let pair = self.promises.expected_pair(&self.waiting(&key, now, at));
                assert_eq!(pair, None, "G6: two who fit both wait in {key}");
            }
        }
    }

    pub fn nothing_under_way(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The tickets that writes under way are about.
    pub fn busy(&self) -> BTreeSet<TicketId> {
        let under_way = self.under_way.values();
        under_way
            .flat_map(|under_way| touched(&under_way.write, &self.db))
            .collect()
    }
}

/// Whether time alone demands this write.
fn is_timely(write: &Write) -> bool {
    matches!(
        write,
        Write::EndMatch {
            ending: Ending::Expired,
            ..
        } | Write::CloseTicket {
            outcome: TicketOutcome::Expired,
            ..
        }
    )
}
