//! Reads of what ended a short while ago.

use matchmaker::domain::{Ending, Fate, Side, TicketOutcome, Write};

use crate::backends::subject::{
    Subject, at_ms, match_id, session, session_id, ticket_id, up_to_confirmed, up_to_match,
    up_to_session,
};

async fn left(store: &Subject, number: u64, sides: impl IntoIterator<Item = Side>) {
    let leave = |side| Write::LeaveSession {
        session: session_id(number),
        side,
        at: at_ms(9_000),
    };
    store.stores(sides.into_iter().map(leave)).await;
}

fn end(number: u64, tickets: [u64; 2], ending: Ending, at: i64) -> Write {
    Write::EndMatch {
        match_id: match_id(number),
        ending,
        tickets: tickets.map(ticket_id),
        confirmed: [ending == Ending::QuestionUnavailable; 2],
        fates: Box::new([const { Fate::Closed(TicketOutcome::Expired) }; 2]),
        opens: None,
        at: at_ms(at),
    }
}

#[tokio::test]
async fn sessions_that_both_left_are_read_newest_first_until_their_time_is_over() {
    let store = fresh!();
    for number in 1..=4 {
        let pair = [2 * number - 1, 2 * number];
        store.stores(up_to_session(number, pair)).await;
    }
    for number in [1, 2, 4] {
        left(&store, number, Side::BOTH).await;
    }
    left(&store, 3, [Side::First]).await;

    let ends_at = session(1, [1, 2]).ends_at;
    let before = at_ms(ends_at.as_ms() - 1);
    let all = store.records().recently_left(before, 9).await;
    let two = store.records().recently_left(before, 2).await;
    let over = store.records().recently_left(ends_at, 9).await;

    let both_left = |number: u64| {
        let mut session = session(number, [2 * number - 1, 2 * number]);
        session.left = [true; 2];
        session
    };
    assert_eq!(all, Ok([4, 2, 1].map(both_left).to_vec()));
    assert_eq!(two, Ok([4, 2].map(both_left).to_vec()));
    assert_eq!(over, Ok(vec![]));
}

#[tokio::test]
async fn sessions_that_were_given_up_are_read_in_the_order_of_time_and_not_of_their_ids() {
    let store = fresh!();
    for number in 1..=3 {
        let pair = [2 * number - 1, 2 * number];
        store.stores(up_to_confirmed(number, pair)).await;
        let given_up = end(
            number,
            pair,
            Ending::QuestionUnavailable,
            4_000 - 1_000 * number as i64,
        );
        store.stores([given_up]).await;
    }
    store.stores(up_to_match(4, [7, 8])).await;
    store.stores([end(4, [7, 8], Ending::Expired, 9_000)]).await;

    let records = store.records();

    let since_first = records.given_up(at_ms(1_000), 9).await;
    assert_eq!(since_first, Ok([1, 2].map(session_id).to_vec()));
    let newest = records.given_up(at_ms(0), 1).await;
    assert_eq!(newest, Ok(vec![session_id(1)]));
}
