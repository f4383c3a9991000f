//! Which two waiting tickets fit best.

use super::tickets::Ticket;
use super::values::TicketId;

/// The two oldest tickets that may meet: the oldest that has any partner, with its oldest partner.
///
/// `waiting` runs from the oldest place to the youngest. Usually the first two fit. Tickets none of
/// which may meet are few, because each of them remembers at most
/// [`AVOIDED_MAX`](super::limits::AVOIDED_MAX) others, so a search in vain is short.
pub fn oldest_pair<'a>(
    waiting: impl Iterator<Item = &'a Ticket> + Clone,
) -> Option<(TicketId, TicketId)> {
    let mut rest = waiting;
    while let Some(oldest) = rest.next() {
        if let Some(partner) = rest.clone().find(|other| oldest.may_meet(other)) {
            return Some((oldest.id, partner.id));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::limits::Timeouts;
    use super::super::testing::{at_ms, ticket, user};
    use super::super::tickets::Avoided;
    use super::*;

    #[test]
    fn the_two_oldest_are_paired() {
        let waiting = [ticket(1), ticket(2), ticket(3)];

        assert_eq!(
            oldest_pair(waiting.iter()),
            Some((waiting[0].id, waiting[1].id))
        );
    }

    #[test]
    fn the_oldest_with_no_partner_does_not_hold_up_the_others() {
        let mut waiting = [ticket(1), ticket(2), ticket(3)];
        for younger in &mut waiting[1..] {
            let avoid = Some(Avoided::Decliner(user(1)));
            *younger = younger.back_in_place(at_ms(9), Timeouts::default(), avoid);
        }

        assert_eq!(
            oldest_pair(waiting.iter()),
            Some((waiting[1].id, waiting[2].id))
        );
        assert_eq!(oldest_pair(waiting[..2].iter()), None);
    }
}
