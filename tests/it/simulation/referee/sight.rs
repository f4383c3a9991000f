//! What all rows together must never say.

use std::collections::BTreeSet;

use matchmaker::domain::{Breach, Guarantee};

use super::{Database, MatchState, Status};

impl Database {
    /// Notes what is seen to be broken first.
    pub fn breaks(&mut self, broken: bool, guarantee: Guarantee, seen: &'static str) {
        if broken && self.broken.is_none() {
            self.broken = Some(Breach { guarantee, seen });
        }
    }

    pub(super) fn look(&mut self) {
        let users = self.live().map(|row| &row.ticket.user);
        let (users, claims) = (users.clone().collect::<BTreeSet<_>>().len(), users.count());
        let seen = "a user has two live tickets";
        self.breaks(users != claims, Guarantee::OneLiveClaim, seen);
        let lone = self.is_asymmetric();
        let seen = "a match and its tickets disagree";
        self.breaks(lone, Guarantee::SymmetricPairs, seen);
        let unannounced = self.is_unannounced();
        let seen = "sessions, their matches and their announcements disagree";
        self.breaks(unannounced, Guarantee::OneSession, seen);
    }

    /// Open matches are of two waiting users, and every matched ticket is in the match it names.
    fn is_asymmetric(&self) -> bool {
        let in_match = self.matches.iter().any(|(id, row)| {
            let ([one, other], [first, second]) = (&row.proposal.users, row.proposal.tickets);
            let here = |ticket| self.status(ticket) == Some(Status::Matched(*id));
            let open = row.state == MatchState::Open;
            one == other || first == second || (open && !(here(first) && here(second)))
        });
        let alone = self.tickets.iter().any(|(id, row)| match row.status {
            Status::Matched(its) => {
                let its = self.open_match(its);
                its.is_none_or(|its| !its.proposal.tickets.contains(id))
            }
            Status::Waiting | Status::Closed(_) => false,
        });
        in_match || alone
    }

    /// A match is in session where there is one session of it, with one announcement.
    fn is_unannounced(&self) -> bool {
        let in_session = |row: &&super::MatchRow| row.state == MatchState::InSession;
        let matches = self.matches.values().filter(in_session).count();
        let lost = self.sessions.values().any(|row| {
            let its_match = self.matches.get(&row.record.match_id);
            let its_own = its_match.is_some_and(|its| its.proposal.session == row.record.id);
            let announced = self.outbox.get(&row.event);
            !its_own || announced.is_none_or(|announced| announced.session != row.record.id)
        });
        lost || matches != self.sessions.len() || self.outbox.len() != self.sessions.len()
    }
}
