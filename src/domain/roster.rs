//! The roster: who holds which live ticket, and where that ticket is.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::notices::{Breach, Guarantee};
use super::tickets::{Place, Ticket};
use super::values::{BucketKey, MatchId, TicketId, UserId};

/// Every live claim: at most one per user.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    claims: HashMap<UserId, Claim>,
    /// How many claims each bucket has, those in matches included.
    buckets: BTreeMap<BucketKey, usize>,
}

/// A user's live ticket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The ticket's rank, with its id.
    pub place: Place,
    /// The bucket that it belongs to.
    pub bucket: BucketKey,
    /// Who decides about it now.
    pub holder: Holder,
}

/// Who decides about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Its bucket, which has not stored it yet.
    Opening,
    /// Its bucket.
    Bucket,
    /// A match.
    Match(MatchId),
}

impl Roster {
    /// The user's claim.
    pub fn claim(&self, user: &UserId) -> Option<&Claim> {
        self.claims.get(user)
    }

    /// How many claims there are.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether nobody holds a claim.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// How many claims `bucket` has, those in matches included.
    pub fn claims_in(&self, bucket: &BucketKey) -> usize {
        self.buckets.get(bucket).copied().unwrap_or(0)
    }

    /// Claims for the ticket's user; false, and nothing changed, where there is a claim already.
    pub fn claim_for(&mut self, ticket: &Ticket, holder: Holder) -> bool {
        if self.claims.contains_key(&ticket.user) {
            return false;
        }
        let bucket = ticket.wish.bucket();
        *self.buckets.entry(bucket.clone()).or_default() += 1;
        let claim = Claim {
            place: ticket.place(),
            bucket,
            holder,
        };
        self.claims.insert(ticket.user.clone(), claim);
        true
    }

    /// The ticket is held by `holder` from now on. Reports what must not be.
    pub fn moved(&mut self, user: &UserId, place: Place, holder: Holder) -> Option<Breach> {
        let Some(claim) = self.claims.get_mut(user) else {
            return breach(Guarantee::OneLiveClaim, "a live ticket had no claim");
        };
        if claim.place.ticket != place.ticket {
            return breach(Guarantee::OneLiveClaim, "a user had a second live ticket");
        }
        let was = std::mem::replace(&mut claim.holder, holder);
        if claim.place != place {
            claim.place = place;
            return breach(
                Guarantee::PlaceKept,
                "a ticket came back with another place",
            );
        }
        match (was, holder) {
            (Holder::Match(before), Holder::Match(after)) if before != after => {
                breach(Guarantee::SymmetricPairs, "a ticket was in two matches")
            }
            _ => None,
        }
    }

    /// The ticket's life ended; its user may ask again. Another ticket's claim is left alone.
    pub fn release(&mut self, user: &UserId, ticket: TicketId) -> bool {
        let held = self
            .claims
            .get(user)
            .is_some_and(|claim| claim.place.ticket == ticket);
        if held && let Some(claim) = self.claims.remove(user) {
            self.leave_bucket(&claim.bucket);
        }
        held
    }

    fn leave_bucket(&mut self, bucket: &BucketKey) {
        if let Some(claims) = self.buckets.get_mut(bucket) {
            *claims -= 1;
            if *claims == 0 {
                self.buckets.remove(bucket);
            }
        }
    }
}

fn breach(guarantee: Guarantee, seen: &'static str) -> Option<Breach> {
    Some(Breach { guarantee, seen })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at_ms, match_id, ticket, user};
    use super::*;

    fn guarantee(breach: Option<Breach>) -> Option<Guarantee> {
        breach.map(|breach| breach.guarantee)
    }

    #[test]
    fn a_second_claim_is_refused_until_the_first_is_released() {
        let mut roster = Roster::default();
        let mut second = ticket(2);
        second.user = user(1);

        assert!(roster.claim_for(&ticket(1), Holder::Opening));
        assert!(!roster.claim_for(&second, Holder::Opening));
        assert!(!roster.release(&user(1), second.id));
        assert!(roster.release(&user(1), ticket(1).id));
        assert!(roster.claim_for(&second, Holder::Opening));
    }

    #[test]
    fn a_bucket_counts_its_claims_wherever_they_are() {
        let mut roster = Roster::default();
        let bucket = ticket(1).wish.bucket();
        roster.claim_for(&ticket(1), Holder::Opening);
        roster.claim_for(&ticket(2), Holder::Opening);

        roster.moved(&user(1), ticket(1).place(), Holder::Match(match_id(1)));

        assert_eq!((roster.claims_in(&bucket), roster.len()), (2, 2));
        assert!(!roster.is_empty());
        roster.release(&user(1), ticket(1).id);
        roster.release(&user(2), ticket(2).id);
        assert_eq!(roster.claims_in(&bucket), 0);
        assert!(roster.is_empty());
    }

    #[test]
    fn what_must_not_be_is_reported() {
        let mut roster = Roster::default();
        roster.claim_for(&ticket(1), Holder::Bucket);
        let mut moved = ticket(1).place();
        moved.enqueued_at = at_ms(99);

        let stranger = roster.moved(&user(9), ticket(9).place(), Holder::Bucket);
        let second = roster.moved(&user(1), ticket(2).place(), Holder::Bucket);
        let elsewhere = roster.moved(&user(1), moved, Holder::Bucket);
        roster.moved(&user(1), moved, Holder::Match(match_id(1)));
        let again = roster.moved(&user(1), moved, Holder::Match(match_id(1)));
        let twice = roster.moved(&user(1), moved, Holder::Match(match_id(2)));

        assert_eq!(guarantee(stranger), Some(Guarantee::OneLiveClaim));
        assert_eq!(guarantee(second), Some(Guarantee::OneLiveClaim));
        assert_eq!(guarantee(elsewhere), Some(Guarantee::PlaceKept));
        assert_eq!(guarantee(again), None);
        assert_eq!(guarantee(twice), Some(Guarantee::SymmetricPairs));
    }
}
