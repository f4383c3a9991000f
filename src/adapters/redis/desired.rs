//! What the mirror should show, and what of it Redis has not been told.

use std::collections::{BTreeSet, HashMap};

use domain::{BucketKey, Ticket, TicketId, Timestamp, UserId, Wish};
use ports::QueueChange;

/// Changes that may wait for Redis; with more, all is written again once it is back.
const CHANGES_MAX: usize = 50_000;

/// The waiting tickets, and which of them changed since Redis was told.
#[derive(Debug)]
pub(super) struct Desired {
    tickets: HashMap<TicketId, Entry>,
    changed: BTreeSet<TicketId>,
    /// Nothing is known about what Redis holds; changes need not be remembered.
    lost: bool,
    /// Everything is being written.
    rewriting: bool,
}

/// What is written of a waiting ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) user: UserId,
    pub(super) wish: Wish,
    pub(super) enqueued_at: Timestamp,
    pub(super) waits_until: Timestamp,
}

#[derive(Debug)]
struct Entry {
    line: Line,
    waits: bool,
    /// Redis has it, or may have it.
    written: bool,
}

/// Something to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Write(TicketId, Line),
    Remove(TicketId, BucketKey),
}

impl Change {
    fn ticket(&self) -> TicketId {
        match self {
            Self::Write(id, _) | Self::Remove(id, _) => *id,
        }
    }
}

impl Desired {
    /// These tickets wait; what Redis holds is not known.
    pub(super) fn new(waiting: impl IntoIterator<Item = Ticket>) -> Self {
        let entry = |ticket: Ticket| (ticket.id, Entry::waiting(&ticket));
        Self {
            tickets: waiting.into_iter().map(entry).collect(),
            changed: BTreeSet::new(),
            lost: true,
            rewriting: false,
        }
    }

    /// Takes note of a change; answers whether there is something to write.
    pub(super) fn note(&mut self, change: &QueueChange) -> bool {
        match change {
            QueueChange::Waits(ticket) => {
                let mut entry = Entry::waiting(ticket);
                if let Some(known) = self.tickets.get(&ticket.id) {
                    // Every ticket that was there at the start is heard of again.
                    if known.waits && known.line == entry.line {
                        return false;
                    }
                    entry.written = known.written;
                }
                self.tickets.insert(ticket.id, entry);
                self.change(ticket.id)
            }
            QueueChange::Gone(id) => {
                let Some(entry) = self.tickets.get_mut(id) else {
                    return false;
                };
                entry.waits = false;
                if self.lost || !entry.written {
                    self.tickets.remove(id);
                    self.changed.remove(id);
                    return false;
                }
                self.change(*id)
            }
        }
    }

    fn change(&mut self, id: TicketId) -> bool {
        if self.lost {
            return false;
        }
        self.changed.insert(id);
        if self.changed.len() > CHANGES_MAX {
            self.lose();
        }
        true
    }

    /// Up to `max` changes, the oldest tickets first. They are to be given to [`Desired::confirm`]
    /// or [`Desired::retry`].
    pub(super) fn take_changes(&mut self, max: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < max {
            let Some(id) = self.changed.pop_first() else {
                break;
            };
            if let Some(entry) = self.tickets.get_mut(&id) {
                changes.push(if entry.waits {
                    entry.written = true;
                    Change::Write(id, entry.line.clone())
                } else {
                    Change::Remove(id, entry.line.wish.bucket())
                });
            }
        }
        changes
    }

    /// Redis has these.
    pub(super) fn confirm(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Remove(id, _) = change
                && self.tickets.get(id).is_some_and(|entry| !entry.waits)
            {
                self.tickets.remove(id);
                self.changed.remove(id);
            }
        }
    }

    /// Redis may or may not have these.
    pub(super) fn retry(&mut self, changes: &[Change]) {
        if !self.lost {
            let known = changes.iter().map(Change::ticket);
            self.changed
                .extend(known.filter(|id| self.tickets.contains_key(id)));
        }
    }

    /// What Redis holds is not known any more.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.changed.clear();
        self.tickets.retain(|_, entry| entry.waits);
    }

    /// Whether everything must be written again.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Begins to write everything: changes are remembered from here on. Answers which tickets wait.
    pub(super) fn begin_rewrite(&mut self) -> Vec<TicketId> {
        self.lose();
        self.lost = false;
        self.rewriting = true;
        for entry in self.tickets.values_mut() {
            entry.written = true;
        }
        self.tickets.keys().copied().collect()
    }

    /// Redis has everything but what was noted since the rewrite began.
    pub(super) fn end_rewrite(&mut self) {
        self.rewriting = false;
    }

    /// This ticket, if it waits.
    pub(super) fn waiting(&self, id: TicketId) -> Option<&Line> {
        self.tickets
            .get(&id)
            .filter(|entry| entry.waits)
            .map(|entry| &entry.line)
    }

    /// How many changes Redis has not been told.
    pub(super) fn behind(&self) -> usize {
        if self.lost || self.rewriting {
            self.tickets.len().max(1)
        } else {
            self.changed.len()
        }
    }
}

impl Entry {
    fn waiting(ticket: &Ticket) -> Self {
        Self {
            line: Line {
                user: ticket.user.clone(),
                wish: ticket.wish.clone(),
                enqueued_at: ticket.enqueued_at,
                waits_until: ticket.waits_until,
            },
            waits: true,
            written: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::ticket;

    fn known() -> Desired {
        let mut desired = Desired::new([]);
        desired.begin_rewrite();
        desired
    }

    fn waits(number: u64) -> QueueChange {
        QueueChange::Waits(Box::new(ticket(number)))
    }

    fn gone(number: u64) -> QueueChange {
        QueueChange::Gone(ticket(number).id)
    }

    fn ids(changes: &[Change]) -> Vec<(TicketId, bool)> {
        let is_write = |change: &Change| matches!(change, Change::Write(..));
        changes
            .iter()
            .map(|change| (change.ticket(), is_write(change)))
            .collect()
    }

    #[test]
    fn a_ticket_that_went_before_it_was_written_is_never_written() {
        let mut desired = known();

        desired.note(&waits(1));
        let wakes = desired.note(&gone(1));

        assert!(!wakes);
        assert_eq!(desired.take_changes(9), []);
        assert_eq!(desired.tickets.len(), 0);
    }

    #[test]
    fn a_ticket_that_goes_while_it_is_written_is_removed_afterwards() {
        let mut desired = known();
        desired.note(&waits(1));

        let first = desired.take_changes(9);
        desired.note(&gone(1));
        desired.confirm(&first);
        let second = desired.take_changes(9);
        desired.confirm(&second);

        assert_eq!(ids(&first), [(ticket(1).id, true)]);
        assert_eq!(ids(&second), [(ticket(1).id, false)]);
        assert_eq!(desired.tickets.len(), 0);
    }

    #[test]
    fn a_ticket_that_returns_while_it_is_removed_is_written_again() {
        let mut desired = known();
        desired.note(&waits(1));
        let first = desired.take_changes(9);
        desired.confirm(&first);

        desired.note(&gone(1));
        let removal = desired.take_changes(9);
        desired.note(&waits(1));
        desired.confirm(&removal);

        assert_eq!(ids(&desired.take_changes(9)), [(ticket(1).id, true)]);
    }

    #[test]
    fn what_is_known_already_is_not_written_again() {
        let mut desired = Desired::new([ticket(1)]);
        desired.begin_rewrite();

        let wakes = desired.note(&waits(1));

        assert!(!wakes);
        assert_eq!(desired.take_changes(9), []);
    }

    #[test]
    fn what_could_not_be_written_comes_again_as_it_stands_then() {
        let mut desired = known();
        desired.note(&waits(1));
        desired.note(&waits(2));
        let failed = desired.take_changes(9);

        desired.note(&gone(1));
        desired.retry(&failed);

        let again = desired.take_changes(9);
        assert_eq!(ids(&again), [(ticket(1).id, false), (ticket(2).id, true)]);
    }

    #[test]
    fn while_redis_is_lost_only_what_waits_takes_memory() {
        let mut desired = Desired::new([ticket(1), ticket(2)]);

        desired.note(&gone(1));
        desired.note(&waits(3));

        assert_eq!(desired.take_changes(9), []);
        let mut rewritten = desired.begin_rewrite();
        rewritten.sort_unstable();
        assert_eq!(rewritten, [ticket(2).id, ticket(3).id]);
        desired.note(&gone(2));
        assert_eq!(ids(&desired.take_changes(9)), [(ticket(2).id, false)]);
    }

    #[test]
    fn too_many_changes_become_one_rewrite() {
        let mut desired = known();

        for number in 0..=CHANGES_MAX as u64 {
            desired.note(&waits(number));
        }

        assert!(desired.is_lost());
        assert_eq!(desired.changed.len(), 0);
        assert_eq!(desired.behind(), CHANGES_MAX + 1);
    }
}
