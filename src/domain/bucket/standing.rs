//! How tickets stand in a bucket, for whoever asks why one is where it is. Changes nothing.

use crate::tickets::{Place, Ticket, TicketOutcome};
use crate::values::{MatchId, TicketId, Timestamp};

use super::{Bucket, Held, Why};

/// Tickets that are counted or looked at for one answer; a longer queue is not walked through.
pub const LOOKED_AT_MAX: usize = 1_000;

/// How one ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may be paired.
    Waits {
        /// Older ones that may be paired, at most [`LOOKED_AT_MAX`] are counted.
        ahead: usize,
        /// All others that may be paired.
        others: usize,
        /// Whether it may meet one of the first [`LOOKED_AT_MAX`] of them.
        has_partner: bool,
        /// Nobody is paired before this time, because the store could not take the last proposal.
        pairs_again_at: Option<Timestamp>,
    },
    /// It is out of reach while a write about it is under way.
    Held(HeldFor),
}

/// A ticket of a bucket, with the reason where it is held.
pub type Listed = (Ticket, Option<HeldFor>);

/// What the write is that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFor {
    /// Its opening.
    Opening,
    /// This match.
    Proposal(MatchId),
    /// Its end.
    Closing(TicketOutcome),
    /// Its user asked for it again.
    Counting,
    /// This ticket is to take its place.
    Replacing(TicketId),
}

impl Bucket {
    /// How `ticket` stands, if it is here.
    pub fn standing(&self, ticket: TicketId) -> Option<Standing> {
        if let Some(held) = self.held.get(&ticket) {
            return Some(Standing::Held(held.reason()));
        }
        let own = self.queue.get(ticket)?;
        let mut others = self.queue.iter().take(LOOKED_AT_MAX);
        Some(Standing::Waits {
            ahead: self.queue.ahead_of(own.place(), LOOKED_AT_MAX),
            others: self.queue.len() - 1,
            has_partner: others.any(|other| own.may_meet(other)),
            pairs_again_at: self.pairs_again_at,
        })
    }

    /// Up to `limit` that may be paired, from the first behind `after`; before the first page up to
    /// as many that are held, with the reason.
    pub fn list(&self, after: Option<Place>, limit: usize) -> Vec<Listed> {
        let held = self.held.values().take(match after {
            Some(_) => 0,
            None => limit,
        });
        let held = held.map(|held| (held.ticket.clone(), Some(held.reason())));
        let waiting = self.queue.behind(after).take(limit);
        held.chain(waiting.map(|ticket| (ticket.clone(), None)))
            .collect()
    }

    /// The tickets of a proposal that is under way.
    pub fn tickets_proposed(&self, id: MatchId) -> Option<[TicketId; 2]> {
        self.proposals.get(&id).map(|proposal| proposal.tickets)
    }
}

impl Held {
    fn reason(&self) -> HeldFor {
        match &self.why {
            Why::Opening(_) => HeldFor::Opening,
            Why::Proposed(ids) => HeldFor::Proposal(ids.id),
            Why::Closing { outcome, .. } => HeldFor::Closing(*outcome),
            Why::Counting(_) => HeldFor::Counting,
            Why::Replacing { new, .. } => HeldFor::Replacing(new.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Timeouts;
    use crate::testing::{at_ms, ticket, user};
    use crate::{Avoided, CallId};

    fn bucket(tickets: impl IntoIterator<Item = Ticket>) -> Bucket {
        let key = ticket(1).wish.bucket();
        let mut bucket = Bucket::new(key, Timeouts::default());
        for ticket in tickets {
            bucket.admit(ticket, at_ms(0));
        }
        bucket
    }

    #[test]
    fn a_ticket_that_waits_says_who_is_ahead_and_whether_anybody_fits() {
        let avoid = Some(Avoided::Decliner(user(1)));
        let shy = ticket(2).back_in_place(at_ms(2), Timeouts::default(), avoid);
        let bucket = bucket([ticket(1), shy]);

        let waits = |ahead| Standing::Waits {
            ahead,
            others: 1,
            has_partner: false,
            pairs_again_at: None,
        };
        assert_eq!(bucket.standing(ticket(1).id), Some(waits(0)));
        assert_eq!(bucket.standing(ticket(2).id), Some(waits(1)));
        assert_eq!(bucket.standing(ticket(3).id), None);
    }

    #[test]
    fn a_ticket_with_a_write_under_way_says_which() {
        let mut bucket = bucket([]);

        bucket.join(ticket(1), CallId(1), at_ms(0));

        let held = Standing::Held(HeldFor::Opening);
        assert_eq!(bucket.standing(ticket(1).id), Some(held));
        assert_eq!(bucket.list(None, 5), [(ticket(1), Some(HeldFor::Opening))]);
    }

    #[test]
    fn a_queue_is_listed_page_by_page() {
        let bucket = bucket([ticket(1), ticket(2), ticket(3)]);

        let first = bucket.list(None, 2);
        let second = bucket.list(Some(ticket(2).place()), 2);

        assert_eq!(first, [(ticket(1), None), (ticket(2), None)]);
        assert_eq!(second, [(ticket(3), None)]);
    }
}
