//! What becomes of announcements, on the conditions of the outbox.

use matchmaker::domain::{EventId, Timestamp};

use super::{Condition, Conditions, Database, OutboxRow};

impl OutboxRow {
    /// Whether it waits to be sent.
    pub fn is_unsent(&self) -> bool {
        self.sent_at.is_none() && !self.removed
    }
}

impl Database {
    /// What waits to be sent.
    pub fn unsent(&self) -> impl Iterator<Item = EventId> {
        let rows = self.outbox.iter().filter(|(_, row)| row.is_unsent());
        rows.map(|(event, _)| *event)
    }

    /// The broker has confirmed this one.
    pub fn mark_sent(&mut self, on: Conditions, event: EventId, at: Timestamp) {
        let row = self.outbox.get_mut(&event).filter(|row| !row.removed);
        if let Some(row) = row
            && (row.sent_at.is_none() || !on.include(Condition::MarkUnsent))
        {
            row.sent_at = Some(at);
        }
    }

    /// Removes this one if it was sent before `before`; answers whether it did.
    pub fn remove_sent(&mut self, on: Conditions, event: EventId, before: Timestamp) -> bool {
        let Some(row) = self.outbox.get_mut(&event).filter(|row| !row.removed) else {
            return false;
        };
        let old = row.sent_at.is_some_and(|at| at < before);
        row.removed = old || !on.include(Condition::RemoveSent);
        row.removed
    }
}
