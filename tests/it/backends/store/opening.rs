//! Opening a store again: what was acknowledged is there.

use matchmaker::domain::{Side, TicketOutcome, Write};
use matchmaker::ports::StoredStatus;

use crate::backends::subject::{
    at_ms, confirm, match_id, session, session_id, ticket, ticket_id, up_to_match, up_to_session,
};

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let before = fresh!();
    before.stores(up_to_session(1, [1, 2])).await;
    before.stores(up_to_match(2, [3, 4])).await;
    before
        .stores([confirm(2, Side::Second), Write::OpenTicket(ticket(5))])
        .await;
    let withdraw = Write::CloseTicket {
        ticket: ticket_id(6),
        outcome: TicketOutcome::Withdrawn,
        at: at_ms(9_000),
    };
    before
        .stores([Write::OpenTicket(ticket(6)), withdraw])
        .await;
    let live_before = before.live().await;

    // Nothing is closed first: the file is as a killed server leaves it.
    let after = before.again().await;

    assert_eq!(after.live().await, live_before);
    assert_eq!(live_before.tickets, [ticket(5)]);
    assert_eq!(live_before.matches[0].id, match_id(2));
    assert_eq!(live_before.sessions[0].record.id, session_id(1));
    let withdrawn = StoredStatus::Closed(TicketOutcome::Withdrawn);
    assert_eq!(after.status(ticket_id(6)).await, Some(withdrawn));
}

#[tokio::test]
async fn the_newest_time_is_that_of_the_last_ticket_match_or_session() {
    let store = fresh!();
    assert_eq!(store.live().await.newest, None);

    store.stores([Write::OpenTicket(ticket(77))]).await;
    assert_eq!(store.live().await.newest, Some(at_ms(77)));

    store.stores(up_to_match(1, [78, 79])).await;
    assert_eq!(store.live().await.newest, Some(at_ms(5_000)));

    store.stores(up_to_session(2, [80, 81])).await;
    let opened_at = session(2, [80, 81]).opened_at;
    assert_eq!(store.live().await.newest, Some(opened_at));
    for side in Side::BOTH {
        let leave = Write::LeaveSession {
            session: session_id(2),
            side,
            at: opened_at,
        };
        store.stores([leave]).await;
    }
    // Also where nothing of it is live any more.
    assert_eq!(store.live().await.newest, Some(opened_at));
}
