//! A ticket: one user's wish for a partner, and whom it must not meet again.

use super::limits::{AVOIDED_MAX, Timeouts};
use super::values::{BucketKey, Difficulty, TicketId, Timestamp, Topic, UserId};

/// What a user asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wish {
    /// How hard.
    pub difficulty: Difficulty,
    /// About what, as the user spelt it.
    pub topic: Topic,
}

impl Wish {
    /// The bucket in which this wish waits.
    pub fn bucket(&self) -> BucketKey {
        BucketKey {
            difficulty: self.difficulty,
            topic: self.topic.key(),
        }
    }
}

/// A ticket's rank in its bucket, the smallest first; kept for the ticket's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// When the ticket was first enqueued.
    pub enqueued_at: Timestamp,
    /// Decides between tickets of the same millisecond.
    pub ticket: TicketId,
}

/// One user's wish for a partner, with all that pairing and recovery need to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// Who asks.
    pub user: UserId,
    /// What for.
    pub wish: Wish,
    /// When it was first enqueued.
    pub enqueued_at: Timestamp,
    /// When its wait is over; counts from each time that it begins to wait.
    pub waits_until: Timestamp,
    /// Whether an ended match put it back: asking again then answers or replaces it.
    pub put_back: bool,
    /// Proposals in a row that its user did not answer.
    pub silences: u8,
    /// How often its user has asked for it again; a silent user's asking ends an avoidance.
    pub asks: u32,
    /// Whom it must not meet again, at most [`AVOIDED_MAX`], oldest first.
    pub avoided: Vec<Avoided>,
}

/// One reason why two tickets are not proposed to each other again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Avoided {
    /// This user declined the ticket's owner; holds for the ticket's whole life.
    Decliner(UserId),
    /// This ticket's user let a proposal with that user run out. Holds until one of those who were
    /// silent asks again; kept by the silent ones only, because a new ticket is a new ask.
    Silence {
        /// The other user.
        user: UserId,
        /// This ticket's [`Ticket::asks`] at that time.
        own_asks: u32,
        /// The other ticket and its [`Ticket::asks`], where that user was silent too.
        theirs: Option<(TicketId, u32)>,
    },
}

impl Ticket {
    /// A ticket that begins to wait at `now`.
    pub fn new(id: TicketId, user: UserId, wish: Wish, now: Timestamp, timeouts: Timeouts) -> Self {
        Self {
            id,
            user,
            wish,
            enqueued_at: now,
            waits_until: now.plus_ms(timeouts.ticket_wait_ms),
            put_back: false,
            silences: 0,
            asks: 0,
            avoided: Vec::new(),
        }
    }

    /// Its rank in its bucket.
    pub fn place(&self) -> Place {
        Place {
            enqueued_at: self.enqueued_at,
            ticket: self.id,
        }
    }

    /// Whether these two may be proposed to each other; the same from both sides.
    pub fn may_meet(&self, other: &Self) -> bool {
        self.user != other.user && !self.avoids(other) && !other.avoids(self)
    }

    /// The same ticket, waiting again from `now` in its old place, with one more to avoid.
    #[must_use]
    pub fn back_in_place(
        &self,
        now: Timestamp,
        timeouts: Timeouts,
        avoid: Option<Avoided>,
    ) -> Self {
        let mut ticket = self.clone();
        ticket.waits_until = now.plus_ms(timeouts.ticket_wait_ms);
        ticket.put_back = true;
        if let Some(avoid) = avoid {
            // What holds no more, or twice, must not push out what still holds.
            let asks = ticket.asks;
            let holds = |known: &Avoided| *known != avoid && known.may_hold(asks);
            ticket.avoided.retain(holds);
            let surplus = (ticket.avoided.len() + 1).saturating_sub(AVOIDED_MAX);
            ticket.avoided.drain(..surplus);
            ticket.avoided.push(avoid);
        }
        ticket
    }

    fn avoids(&self, other: &Self) -> bool {
        let may_hold = |avoided: &&Avoided| avoided.may_hold(self.asks);
        let mut avoided = self.avoided.iter().filter(may_hold);
        avoided.any(|avoided| match avoided {
            Avoided::Decliner(user) => *user == other.user,
            Avoided::Silence { user, theirs, .. } => {
                let they_asked_again = theirs.is_some_and(|asked| asked != (other.id, other.asks));
                *user == other.user && !they_asked_again
            }
        })
    }
}

impl Avoided {
    /// Whether it may still hold for a ticket that was asked for again `asks` times.
    fn may_hold(&self, asks: u32) -> bool {
        match self {
            Self::Decliner(_) => true,
            Self::Silence { own_asks, .. } => *own_asks == asks,
        }
    }
}

/// How a ticket's life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TicketOutcome {
    /// Its user cancelled it.
    Withdrawn,
    /// Its user declined the proposal.
    Declined,
    /// Its user asked for another bucket.
    Replaced,
    /// Its time was over, or its user was silent twice in a row.
    Expired,
    /// It was never stored, or the database no longer knows it as live.
    Refused,
    /// Its match became a session.
    InSession,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at_ms, ticket, user};
    use super::*;

    /// `own`, put back after it was silent in a proposal with `other`.
    fn silent(own: &Ticket, other: &Ticket, other_was_silent: bool) -> Ticket {
        let avoid = Avoided::Silence {
            user: other.user.clone(),
            own_asks: own.asks,
            theirs: other_was_silent.then_some((other.id, other.asks)),
        };
        own.back_in_place(at_ms(5), Timeouts::default(), Some(avoid))
    }

    #[test]
    fn nobody_may_meet_themselves() {
        let mut twin = ticket(2);
        twin.user = user(1);

        assert!(!ticket(1).may_meet(&twin));
        assert!(ticket(1).may_meet(&ticket(2)));
    }

    #[test]
    fn a_declined_ticket_avoids_every_later_ticket_of_the_decliner() {
        let declined = ticket(1).back_in_place(
            at_ms(5),
            Timeouts::default(),
            Some(Avoided::Decliner(user(2))),
        );
        let mut later = ticket(7);
        later.user = user(2);

        assert!(!declined.may_meet(&later));
        assert!(!later.may_meet(&declined));
    }

    #[test]
    fn an_avoidance_after_silence_ends_when_the_silent_one_asks_again() {
        let faithful = ticket(1);
        let mut silent = silent(&ticket(2), &faithful, false);

        assert!(!faithful.may_meet(&silent));
        silent.asks = 1;
        assert!(faithful.may_meet(&silent));
    }

    #[test]
    fn the_one_who_answered_does_not_end_the_avoidance_with_a_new_ticket_either() {
        let mut faithful = ticket(1);
        let silent = silent(&ticket(2), &faithful, false);

        faithful.asks = 1;
        let mut anew = ticket(9);
        anew.user = faithful.user.clone();

        assert!(!faithful.may_meet(&silent));
        assert!(!anew.may_meet(&silent));
    }

    #[test]
    fn of_two_silent_ones_either_ends_the_avoidance() {
        let (first, second) = (ticket(1), ticket(2));
        let both = [silent(&first, &second, true), silent(&second, &first, true)];
        let mut anew = ticket(9);
        anew.user = first.user;

        assert!(!both[0].may_meet(&both[1]));
        for asking in 0..2 {
            let mut both = both.clone();
            both[asking].asks = 1;
            assert!(both[0].may_meet(&both[1]), "{asking}");
        }
        assert!(anew.may_meet(&both[1]));
    }

    #[test]
    fn what_holds_no_more_or_twice_does_not_push_out_a_decliner() {
        let declined = Avoided::Decliner(user(50));
        let back = |ticket: Ticket, avoid: &Avoided| {
            ticket.back_in_place(at_ms(5), Timeouts::default(), Some(avoid.clone()))
        };
        let mut tested = back(ticket(1), &declined);

        for number in 0..=AVOIDED_MAX as u64 {
            tested = silent(&tested, &ticket(100 + number), false);
            tested.asks += 1;
            tested = back(tested, &Avoided::Decliner(user(51)));
        }

        assert_eq!(tested.avoided, [declined, Avoided::Decliner(user(51))]);
    }

    #[test]
    fn going_back_keeps_the_place_and_forgets_the_oldest_avoidance_first() {
        let mut ticket = ticket(1);
        let place = ticket.place();

        for number in 0..=AVOIDED_MAX {
            let avoid = Avoided::Decliner(user(100 + number as u64));
            ticket = ticket.back_in_place(at_ms(9), Timeouts::default(), Some(avoid));
        }

        assert_eq!(ticket.place(), place);
        assert_eq!(ticket.avoided.len(), AVOIDED_MAX);
        assert_eq!(ticket.avoided[0], Avoided::Decliner(user(101)));
        assert_eq!(ticket.waits_until, at_ms(9).plus_ms(60_000));
    }
}
