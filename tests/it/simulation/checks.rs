//! What must hold at every write and after every step.

use std::collections::BTreeSet;

use matchmaker::domain::bucket::Bucket;
use matchmaker::domain::matches::Match;
use matchmaker::domain::{
    BucketKey, Ending, Holder, MatchId, Session, Ticket, TicketId, TicketOutcome, Write,
};

use super::referee::{Database, MatchState, Status};
use super::users;
use super::world::{Errand, Owner, Want, World};

impl World {
    pub(super) fn check_write(&self, owner: &Owner, write: &Write) {
        let tickets = touched(write, &self.db);
        for errand in &self.errands {
            if let Errand::Write(other, under_way, _) = errand {
                assert_ne!(owner, other, "two writes of one owner at once");
                let shared = touched(under_way, &self.db)
                    .intersection(&tickets)
                    .next()
                    .is_some();
                assert!(
                    !shared,
                    "two writes about one ticket at once: {under_way:?}, {write:?}"
                );
            }
        }
        self.check_not_repeated_at_once(owner, write);
        if !tickets.is_disjoint(&self.tampered) {
            return;
        }
        self.promises
            .check(write, &self.db, self.now, self.timeouts);
        match write {
            Write::OpenSession { session, .. } => {
                let shared = self.shared.get(&session.id);
                assert_eq!(shared, Some(&session.question), "G5: not what can be read");
            }
            Write::ProposeMatch(_) => {
                assert!(
                    tickets.is_disjoint(&self.abandoned),
                    "an abandoned ticket is paired"
                );
            }
            _ => {}
        }
    }

    /// What time demands is tried again after a wait, unless a caller asks for it.
    fn check_not_repeated_at_once(&self, owner: &Owner, write: &Write) {
        let Some((_, failed)) = self
            .just_failed
            .as_ref()
            .filter(|(failed, _)| failed == owner)
        else {
            return;
        };
        let same = match (write, failed) {
            (
                Write::EndMatch { ending, .. },
                Write::EndMatch {
                    ending: earlier, ..
                },
            ) => ending == earlier && !matches!(ending, Ending::Declined(_)),
            (
                Write::CloseTicket { outcome, .. },
                Write::CloseTicket {
                    outcome: earlier, ..
                },
            ) => outcome == earlier && *outcome == TicketOutcome::Expired,
            _ => false,
        };
        let confirms = |id: &MatchId| {
            let wants = |want: &Want| matches!(want, Want::Confirm(other) if other == id);
            self.calls.values().any(|call| wants(&call.want))
        };
        let asked = matches!(owner, Owner::Match(id) if confirms(id));
        assert!(!same || asked, "tried again without a wait: {write:?}");
    }

    /// Tickets about which an answer is on its way that no longer changes.
    pub(super) fn settled(&self) -> BTreeSet<TicketId> {
        let writes = self.errands.iter().filter_map(|errand| match errand {
            Errand::Write(_, write, Some(_)) => Some(touched(write, &self.db)),
            _ => None,
        });
        writes.flatten().collect()
    }

    fn all_touched(&self) -> BTreeSet<TicketId> {
        let writes = self.errands.iter().filter_map(|errand| match errand {
            Errand::Write(_, write, _) => Some(touched(write, &self.db)),
            _ => None,
        });
        writes.flatten().collect()
    }

    /// Who may be paired, by what is stored and under way.
    fn waiting(&self, key: &BucketKey) -> Vec<&Ticket> {
        let busy = self.all_touched();
        let rows = self.db.tickets.values().filter(|row| {
            row.status == Status::Waiting
                && row.ticket.wish.bucket() == *key
                && row.ticket.waits_until > self.now
                && !busy.contains(&row.ticket.id)
                && !self.abandoned.contains(&row.ticket.id)
        });
        rows.map(|row| &row.ticket).collect()
    }

    /// Whether memory holds a ticket for live that somebody has closed behind its back.
    fn is_blurred(&self, key: &BucketKey) -> bool {
        self.tampered.iter().any(|id| {
            let ticket = &self.db.tickets[id].ticket;
            let claim = self.roster.claim(&ticket.user);
            ticket.wish.bucket() == *key && claim.is_some_and(|claim| claim.place.ticket == *id)
        })
    }

    /// The pair that the bucket is about to propose is the one that it should.
    pub(super) fn check_pairing(&self, key: &BucketKey) {
        if self.is_blurred(key) {
            return;
        }
        let chosen = self.buckets[key]
            .next_pair()
            .map(|(older, younger)| [older, younger]);
        assert_eq!(
            chosen,
            self.promises.expected_pair(&self.waiting(key)),
            "G6: the wrong pair"
        );
    }

    /// Everything that must hold between two steps.
    pub fn check(&self) {
        self.check_timers();
        self.check_claims();
        self.check_matches();
        self.promises.check_places(&self.db);
        for (key, bucket) in &self.buckets {
            if !self.is_blurred(key) {
                self.check_bucket(key, bucket);
            }
        }
        for (id, row) in &self.db.sessions {
            let busy = row
                .tickets
                .iter()
                .any(|ticket| self.all_touched().contains(ticket));
            let live = !row.record.has_ended(self.now) && !busy;
            assert!(
                !live || self.sessions.contains_key(id),
                "a session was forgotten"
            );
        }
    }

    fn check_timers(&self) {
        // A timer that is due although everything has just been told the time would spin.
        let buckets = self.buckets.values().filter_map(Bucket::next_wake);
        let matches = self.matches.values().filter_map(Match::next_wake);
        let sessions = self.sessions.values().filter_map(Session::next_wake);
        let next = buckets.chain(matches).chain(sessions).min();
        assert!(
            next.is_none_or(|at| at > self.now),
            "a timer is due after it fired"
        );
    }

    /// G1: at most one claim per user, the same in memory and in the database.
    fn check_claims(&self) {
        let busy = self.all_touched();
        for user in users() {
            let mut live = self.db.live().filter(|row| row.ticket.user == user);
            let row = live.next();
            assert!(live.next().is_none(), "G1: two live tickets of {user}");
            let Some(row) = row.filter(|row| !busy.contains(&row.ticket.id)) else {
                continue;
            };
            let holder = match row.status {
                Status::Matched(id) => Holder::Match(id),
                _ => Holder::Bucket,
            };
            let claim = self
                .roster
                .claim(&user)
                .map(|claim| (claim.place, claim.holder));
            assert_eq!(
                claim,
                Some((row.ticket.place(), holder)),
                "G1: claim and row"
            );
        }
    }

    /// G3: two distinct users, each ticket in one open match at most, and memory knows it.
    fn check_matches(&self) {
        let mut seen = BTreeSet::new();
        for (id, row) in &self.db.matches {
            let [one, other] = &row.proposal.users;
            assert_ne!(one, other, "G3: matched with themselves");
            if row.state == MatchState::Open {
                for ticket in row.proposal.tickets {
                    assert!(seen.insert(ticket), "G3: a ticket in two open matches");
                    assert_eq!(self.db.status(ticket), Some(Status::Matched(*id)));
                }
            }
        }
        let busy = self.all_touched();
        for (id, known) in &self.matches {
            let tickets = known.tickets();
            for ticket in tickets {
                let claim = self
                    .roster
                    .claim(&ticket.user)
                    .expect("G1: a match without a claim");
                assert_eq!(
                    (claim.holder, claim.place),
                    (Holder::Match(*id), ticket.place())
                );
            }
            let ids = [tickets[0].id, tickets[1].id];
            if ids
                .iter()
                .any(|id| busy.contains(id) || self.tampered.contains(id))
            {
                continue;
            }
            let row = self
                .db
                .open_match(*id)
                .expect("G4: memory holds a match for open");
            assert_eq!(known.is_opening(), row.confirmed == [true, true], "G4");
            assert_eq!(known.expires_at(), row.proposal.expires_at, "G7");
        }
    }

    /// G6: those who wait are those who should, and nobody waits beside somebody who fits.
    fn check_bucket(&self, key: &BucketKey, bucket: &Bucket) {
        let waiting = self.waiting(key);
        assert_eq!(
            bucket.waiting(),
            waiting.len(),
            "G6: who may be paired in {key}"
        );
        let oldest = waiting.iter().map(|ticket| ticket.enqueued_at).min();
        assert_eq!(bucket.oldest(), oldest);
        let claims = users().filter_map(|user| self.roster.claim(&user).cloned());
        let here = claims.filter(|claim| claim.bucket == *key);
        let (mut in_bucket, mut all) = (0, 0);
        for claim in here {
            all += 1;
            in_bucket += usize::from(!matches!(claim.holder, Holder::Match(_)));
        }
        assert_eq!(
            bucket.waiting() + bucket.set_aside(),
            in_bucket,
            "G8: forgotten in {key}"
        );
        assert_eq!(self.roster.claims_in(key), all);
        let held_back = self
            .holds_back_until
            .get(key)
            .is_some_and(|until| *until > self.now);
        if !held_back && self.permits_free() > 0 {
            assert_eq!(
                self.promises.expected_pair(&waiting),
                None,
                "G6: two who fit both wait"
            );
        }
    }
}

/// The tickets that a write is about, those that it opens included.
pub fn touched(write: &Write, db: &Database) -> BTreeSet<TicketId> {
    let of_match = |id: &MatchId| db.matches[id].proposal.tickets.to_vec();
    let tickets = match write {
        Write::OpenTicket(ticket) => vec![ticket.id],
        Write::CloseTicket { ticket, .. }
        | Write::CountAsk { ticket, .. }
        | Write::DiscardTicket { ticket, .. } => vec![*ticket],
        Write::ReplaceTicket { old, new } => vec![*old, new.id],
        Write::ProposeMatch(proposal) => proposal.tickets.to_vec(),
        Write::EndMatch { tickets, opens, .. } => {
            let opened = opens.iter().map(|new| new.id);
            tickets.iter().copied().chain(opened).collect()
        }
        Write::ConfirmMatch { match_id, .. } | Write::ExtendMatch { match_id, .. } => {
            of_match(match_id)
        }
        Write::OpenSession { tickets, .. } => tickets.to_vec(),
        Write::LeaveSession { .. } => Vec::new(),
    };
    tickets.into_iter().collect()
}
