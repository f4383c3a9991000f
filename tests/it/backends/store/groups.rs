//! Writes that share a transaction, and writes that never begin.

use matchmaker::domain::{Refusal, TicketOutcome, Write, WriteOutcome};
use matchmaker::ports::StoredStatus;

use crate::backends::subject::{at_ms, session_id, ticket, ticket_id, up_to_session, user};

const STORED: WriteOutcome = WriteOutcome::Stored;

fn open(number: u64) -> Write {
    Write::OpenTicket(ticket(number))
}

#[tokio::test]
async fn a_refused_write_harms_none_of_its_neighbours() {
    let store = fresh!();
    store.stores([open(1)]).await;
    let mut second = ticket(11);
    second.user = user(1);
    let missing = Write::CloseTicket {
        ticket: ticket_id(99),
        outcome: TicketOutcome::Withdrawn,
        at: at_ms(1),
    };

    let group = [
        open(2),
        Write::OpenTicket(second),
        open(3),
        missing,
        open(4),
    ];
    let outcomes = store.write_together(group).await;

    let live = WriteOutcome::Refused(Refusal::AlreadyLive {
        ticket: ticket_id(1),
        matched: false,
    });
    let gone = WriteOutcome::Refused(Refusal::NotWaiting(vec![ticket_id(99)]));
    assert_eq!(outcomes, [STORED, live, STORED, gone, STORED]);
    assert_eq!(store.live().await.tickets, [1, 2, 3, 4].map(ticket));
}

#[tokio::test]
async fn writes_of_one_group_see_those_before_them() {
    let store = fresh!();

    let outcomes = store.write_together(up_to_session(1, [1, 2])).await;

    assert_eq!(outcomes, [STORED; 6]);
    assert_eq!(store.live().await.sessions[0].record.id, session_id(1));
}

#[tokio::test]
async fn of_two_equal_claims_in_one_group_the_first_wins() {
    let store = fresh!();
    let mut second = ticket(11);
    second.user = user(1);

    let outcomes = store
        .write_together([open(1), Write::OpenTicket(second)])
        .await;

    let live = WriteOutcome::Refused(Refusal::AlreadyLive {
        ticket: ticket_id(1),
        matched: false,
    });
    assert_eq!(outcomes, [STORED, live]);
}

#[tokio::test]
async fn more_writes_than_fit_into_a_group_are_all_stored() {
    let store = fresh!();

    let outcomes = store.write_together((1..=1_000).map(open)).await;

    assert_eq!(outcomes, vec![STORED; 1_000]);
    assert_eq!(store.live().await.tickets.len(), 1_000);
}

#[tokio::test]
async fn nothing_is_written_once_the_deadline_has_passed() {
    let store = fresh!();
    store.clock().put_at(1_000);

    let late = store.submit(open(1), Some(at_ms(1_000)));
    let in_time = store.submit(open(2), Some(at_ms(1_001)));

    assert_eq!(late.await, Ok(WriteOutcome::Unavailable));
    assert_eq!(in_time.await, Ok(STORED));
    assert_eq!(store.status(ticket_id(1)).await, None);
    assert_eq!(
        store.status(ticket_id(2)).await,
        Some(StoredStatus::Waiting)
    );
}

#[tokio::test]
async fn a_closed_store_finishes_what_it_took_and_takes_nothing_more() {
    let store = fresh!();
    let taken = store.submit(open(1), None);

    store.close().await;
    let late = store.submit(open(2), None);

    assert_eq!(taken.await, Ok(STORED));
    assert_eq!(late.await, Ok(WriteOutcome::Unavailable));
    assert_eq!(store.live().await.tickets, [ticket(1)]);
}
