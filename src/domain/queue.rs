//! The tickets of one bucket that may be paired: by place, by id and by deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::ops::Bound;

use super::tickets::{Place, Ticket};
use super::values::{TicketId, Timestamp};

/// Waiting tickets in the order of their places. Each operation costs the logarithm of the length.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    tickets: BTreeMap<Place, Ticket>,
    places: HashMap<TicketId, Place>,
    deadlines: BTreeSet<(Timestamp, Place)>,
}

impl Hash for Queue {
    /// The tickets say all; the rest is for finding them.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tickets.hash(state);
    }
}

impl Queue {
    /// Puts `ticket` in its place; a ticket of the same id is replaced.
    pub fn insert(&mut self, ticket: Ticket) {
        self.remove(ticket.id);
        let place = ticket.place();
        self.places.insert(ticket.id, place);
        self.deadlines.insert((ticket.waits_until, place));
        self.tickets.insert(place, ticket);
    }

    /// Takes the ticket out, if it is here.
    pub fn remove(&mut self, ticket: TicketId) -> Option<Ticket> {
        let place = self.places.remove(&ticket)?;
        let ticket = self.tickets.remove(&place)?;
        self.deadlines.remove(&(ticket.waits_until, place));
        Some(ticket)
    }

    /// The ticket, if it is here.
    pub fn get(&self, ticket: TicketId) -> Option<&Ticket> {
        self.tickets.get(self.places.get(&ticket)?)
    }

    /// From the oldest place to the youngest.
    pub fn iter(&self) -> impl Iterator<Item = &Ticket> + Clone {
        self.tickets.values()
    }

    /// Those behind `place`, or all, from the oldest place to the youngest.
    pub fn behind(&self, place: Option<Place>) -> impl Iterator<Item = &Ticket> {
        let begin = place.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.tickets.range((begin, Bound::Unbounded));
        behind.map(|(_, ticket)| ticket)
    }

    /// How many stand before `place`, counted up to `max`.
    pub fn ahead_of(&self, place: Place, max: usize) -> usize {
        self.tickets.range(..place).take(max).count()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// When the next ticket's wait is over.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes out one ticket whose wait is over at `now`, the one due first.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<Ticket> {
        let (at, place) = *self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.remove(place.ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at_ms, ticket};
    use super::*;

    #[test]
    fn tickets_stand_in_the_order_of_their_places_however_they_came() {
        let mut queue = Queue::default();
        for number in [3, 1, 2] {
            queue.insert(ticket(number));
        }

        let order: Vec<TicketId> = queue.iter().map(|ticket| ticket.id).collect();

        assert_eq!(order, [ticket(1).id, ticket(2).id, ticket(3).id]);
    }

    #[test]
    fn a_ticket_is_due_exactly_when_its_wait_is_over() {
        let mut queue = Queue::default();
        queue.insert(ticket(1));

        assert_eq!(queue.pop_due(at_ms(60_000)), None);
        assert_eq!(queue.pop_due(at_ms(60_001)), Some(ticket(1)));
        assert!(queue.is_empty());
        assert_eq!(queue.next_deadline(), None);
    }

    #[test]
    fn inserting_a_ticket_again_leaves_no_trace_of_its_old_deadline() {
        let mut queue = Queue::default();
        let mut again = ticket(1);
        queue.insert(ticket(1));
        again.waits_until = at_ms(90_000);
        queue.insert(again.clone());

        assert_eq!((queue.len(), queue.is_empty()), (1, false));
        assert_eq!(queue.next_deadline(), Some(at_ms(90_000)));
        assert_eq!(queue.remove(again.id), Some(again));
        assert_eq!(queue.next_deadline(), None);
    }
}
