//! The ends of a match without a session, and what becomes of its tickets.

use crate::limits::SILENCES_MAX;
use crate::notices::{ExpiryReason, Notice};
use crate::tickets::{Avoided, TicketOutcome};
use crate::values::Timestamp;
use crate::writes::{Ending, Fate, Side, Write};

use super::{EndedBy, Match, MatchEffect, Writing};

impl Match {
    pub(super) fn end_by_decline(
        &mut self,
        side: Side,
        asked: EndedBy,
        now: Timestamp,
        effects: &mut Vec<MatchEffect>,
    ) {
        let outcome = match asked {
            EndedBy::Replace { .. } => TicketOutcome::Replaced,
            EndedBy::Time | EndedBy::Decline(_) => TicketOutcome::Declined,
        };
        let avoid = Avoided::Decliner(self.user(side).clone());
        let partner =
            self.tickets[side.other().index()].back_in_place(now, self.timeouts, Some(avoid));
        let mut fates = [Fate::Closed(outcome), Fate::PutBack(partner)];
        if side == Side::Second {
            fates.reverse();
        }
        self.end(Ending::Declined(side), fates, asked, now, effects);
    }

    /// Whoever confirmed is put back; whoever did not is put back too, but not twice in a row.
    pub(super) fn expire(&mut self, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        let fates = Side::BOTH.map(|side| {
            let (own, other) = (
                &self.tickets[side.index()],
                &self.tickets[side.other().index()],
            );
            let silent = !self.confirmed[side.index()];
            if silent && own.silences + 1 >= SILENCES_MAX {
                return Fate::Closed(TicketOutcome::Expired);
            }
            let other_was_silent = !self.confirmed[side.other().index()];
            let avoid = silent.then(|| Avoided::Silence {
                user: other.user.clone(),
                own_asks: own.asks,
                theirs: other_was_silent.then_some((other.id, other.asks)),
            });
            let mut back = own.back_in_place(now, self.timeouts, avoid);
            back.silences = if silent { own.silences + 1 } else { 0 };
            Fate::PutBack(back)
        });
        self.end(Ending::Expired, fates, EndedBy::Time, now, effects);
    }

    pub(super) fn end(
        &mut self,
        ending: Ending,
        fates: [Fate; 2],
        asked: EndedBy,
        now: Timestamp,
        effects: &mut Vec<MatchEffect>,
    ) {
        let opens = match &asked {
            EndedBy::Replace { new, .. } => Some(new.clone()),
            EndedBy::Time | EndedBy::Decline(_) => None,
        };
        let write = Write::EndMatch {
            match_id: self.ids.id,
            ending,
            tickets: [self.tickets[0].id, self.tickets[1].id],
            confirmed: self.confirmed,
            fates: Box::new(fates.clone()),
            opens,
            at: now,
        };
        self.write(
            write,
            Writing::End {
                ending,
                fates,
                asked,
            },
            effects,
        );
    }

    pub(super) fn expired_notice(&self, reason: ExpiryReason, fate: &Fate) -> Notice {
        let requeued = matches!(fate, Fate::PutBack(_));
        Notice::MatchExpired {
            match_id: self.ids.id,
            reason,
            requeued,
        }
    }
}
