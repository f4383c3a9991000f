//! What cannot be in a row that can be read, and is no reason to leave it out.

use super::rows::MatchRow;
use domain::{Breach, Guarantee, Ticket, TicketId};

/// A ticket's id and place are made of one moment, and its wait ends after it.
pub(super) fn in_ticket(ticket: &Ticket) -> impl Iterator<Item = Breach> + use<> {
    let moved = made_at_ms(ticket.id).is_some_and(|ms| ms != ticket.enqueued_at.as_ms());
    let place = moved.then_some(Breach {
        guarantee: Guarantee::PlaceKept,
        seen: "a ticket's place is not the one with which it was opened",
    });
    let ends_early = ticket.waits_until < ticket.enqueued_at;
    let wait = ends_early.then_some(Breach {
        guarantee: Guarantee::TimeKept,
        seen: "a ticket's wait ends before it begins",
    });
    [place, wait].into_iter().flatten()
}

/// The confirmation window ends after the proposal.
pub(super) fn in_match(row: &MatchRow) -> Option<Breach> {
    (row.expires_at_ms < row.proposed_at_ms).then_some(Breach {
        guarantee: Guarantee::TimeKept,
        seen: "a confirmation window ends before it begins",
    })
}

/// The time in an id of version 7, in milliseconds.
fn made_at_ms(id: TicketId) -> Option<i64> {
    (id.0.get_version_num() == 7).then(|| (id.0.as_u128() >> 80) as i64)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use domain::testing::{at_ms, match_id, session_id, ticket, user};
    use domain::{Proposal, Timestamp};

    const OPENED_MS: i64 = 1_700_000_000_123;

    fn opened_ticket() -> Ticket {
        let (seconds, nanos) = (OPENED_MS as u64 / 1_000, 123_000_000);
        let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
        Ticket {
            id: TicketId(Uuid::new_v7(time)),
            enqueued_at: at_ms(OPENED_MS),
            waits_until: at_ms(OPENED_MS + 60_000),
            ..ticket(1)
        }
    }

    fn guarantees(breaches: impl IntoIterator<Item = Breach>) -> Vec<Guarantee> {
        breaches
            .into_iter()
            .map(|breach| breach.guarantee)
            .collect()
    }

    fn window(proposed_at: Timestamp, expires_at: Timestamp) -> MatchRow {
        MatchRow::proposed(&Proposal {
            id: match_id(1),
            session: session_id(1),
            bucket: ticket(1).wish.bucket(),
            tickets: [ticket(1).id, ticket(2).id],
            users: [user(1), user(2)],
            proposed_at,
            expires_at,
        })
    }

    #[test]
    fn a_place_that_is_not_the_one_in_the_id_was_changed() {
        let mut moved = opened_ticket();
        moved.enqueued_at = at_ms(OPENED_MS + 1);
        let mut of_another_version = moved.clone();
        of_another_version.id = ticket(1).id;

        assert_eq!(guarantees(in_ticket(&opened_ticket())), []);
        assert_eq!(guarantees(in_ticket(&moved)), [Guarantee::PlaceKept]);
        assert_eq!(guarantees(in_ticket(&of_another_version)), []);
    }

    #[test]
    fn a_wait_or_a_window_that_ends_before_it_begins_was_changed() {
        let mut never_waits = opened_ticket();
        never_waits.waits_until = at_ms(OPENED_MS - 1);

        assert_eq!(guarantees(in_ticket(&never_waits)), [Guarantee::TimeKept]);
        assert_eq!(in_match(&window(at_ms(10), at_ms(10))), None);
        let backwards = in_match(&window(at_ms(10), at_ms(9)));
        assert_eq!(guarantees(backwards), [Guarantee::TimeKept]);
    }
}
