//! What ended long ago is removed, and nothing else.

use matchmaker::domain::{Ending, Fate, Side, TicketOutcome, Timestamp, Write};
use matchmaker::ports::{History, Mark, Outbox, Past, Removed, StoredStatus};

use crate::backends::subject::{
    Subject, at_ms, event_id, match_id, proposal, session, session_id, ticket, ticket_id,
    up_to_confirmed, up_to_match, up_to_session,
};

const ALL: [Past; 4] = [
    Past::Matches,
    Past::LeftSessions,
    Past::OverSessions,
    Past::Tickets,
];

async fn step(
    store: &Subject,
    past: Past,
    before: Timestamp,
    after: Mark,
    limit: usize,
) -> Removed {
    let removed = store.history().remove(past, before, after, limit).await;
    removed.expect("the store answers")
}

/// Removes everything that ended before `before`; answers how many tickets, matches and sessions.
async fn remove(store: &Subject, before: Timestamp) -> [usize; 3] {
    let mut all = [0; 3];
    for past in ALL {
        let removed = step(store, past, before, Mark::START, 100).await;
        assert_eq!(removed.next, None);
        all[0] += removed.tickets;
        all[1] += removed.matches;
        all[2] += removed.sessions;
    }
    all
}

fn after_all() -> Timestamp {
    session(1, [1, 2]).ends_at.plus_ms(1)
}

fn close(number: u64, at: i64) -> Write {
    Write::CloseTicket {
        ticket: ticket_id(number),
        outcome: TicketOutcome::Withdrawn,
        at: at_ms(at),
    }
}

fn end(number: u64, tickets: [u64; 2], fates: [Fate; 2], at: i64) -> Write {
    Write::EndMatch {
        match_id: match_id(number),
        ending: Ending::Declined(Side::Second),
        tickets: tickets.map(ticket_id),
        confirmed: [false; 2],
        fates: Box::new(fates),
        opens: None,
        at: at_ms(at),
    }
}

fn leave(number: u64, side: Side) -> Write {
    Write::LeaveSession {
        session: session_id(number),
        side,
        at: at_ms(9_000),
    }
}

async fn send(store: &Subject, number: u64) {
    let sent = store
        .outbox()
        .mark_sent(&[event_id(number)], at_ms(1))
        .await;
    sent.expect("the store answers");
}

/// The event of session `number` is sent, and its row is gone, as is that of any other that was sent.
async fn announce(store: &Subject, number: u64) {
    send(store, number).await;
    let removed = store.outbox().remove_sent(at_ms(2), 9).await;
    removed.expect("the store answers");
}

#[tokio::test]
async fn what_is_live_stays_however_old_it_is() {
    let store = fresh!();
    store.stores([Write::OpenTicket(ticket(1))]).await;
    store.stores(up_to_match(2, [3, 4])).await;
    store.stores(up_to_confirmed(3, [5, 6])).await;
    store.stores(up_to_session(4, [7, 8])).await;
    announce(&store, 4).await;
    store.stores([leave(4, Side::First)]).await;
    let before = store.live().await;

    let removed = remove(&store, session(4, [7, 8]).ends_at).await;

    assert_eq!(removed, [0; 3]);
    assert_eq!(store.live().await, before);
}

#[tokio::test]
async fn tickets_and_matches_go_once_they_ended_before_the_time_that_is_given() {
    let store = fresh!();
    store
        .stores((1..=3).map(|n| Write::OpenTicket(ticket(n))))
        .await;
    store.stores([close(1, 999), close(2, 1_000)]).await;
    for (number, at) in [(1, 999), (2, 1_000)] {
        let pair = [10 * number, 10 * number + 1];
        store.stores(up_to_match(number, pair)).await;
        let closed = [const { Fate::Closed(TicketOutcome::Declined) }; 2];
        store.stores([end(number, pair, closed, at)]).await;
    }

    let removed = remove(&store, at_ms(1_000)).await;

    assert_eq!(removed, [3, 1, 0]);
    for gone in [1, 10, 11] {
        assert_eq!(store.status(ticket_id(gone)).await, None);
    }
    assert_eq!(store.match_state(1).await, None);
    for kept in [2, 3, 20, 21] {
        assert!(store.status(ticket_id(kept)).await.is_some(), "{kept}");
    }
    assert!(store.match_state(2).await.is_some());
    assert_eq!(remove(&store, at_ms(1_000)).await, [0; 3]);
}

#[tokio::test]
async fn a_session_goes_with_its_match_and_its_tickets_whether_both_left_it_or_not() {
    let store = fresh!();
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores(up_to_session(2, [3, 4])).await;
    announce(&store, 1).await;
    announce(&store, 2).await;
    store.stores(Side::BOTH.map(|side| leave(1, side))).await;

    let left = step(&store, Past::LeftSessions, after_all(), Mark::START, 9).await;
    let first = store.records().session(session_id(1)).await;
    let second = store.records().session(session_id(2)).await;
    let over = step(&store, Past::OverSessions, after_all(), Mark::START, 9).await;

    let with_all = Removed {
        tickets: 2,
        matches: 1,
        sessions: 1,
        next: None,
    };
    assert_eq!([left, over], [with_all; 2]);
    assert_eq!(first, Ok(None));
    assert!(second.is_ok_and(|session| session.is_some()));
    for number in 1..=4 {
        assert_eq!(store.status(ticket_id(number)).await, None);
    }
    for number in [1, 2] {
        assert_eq!(store.match_state(number).await, None);
        let session = store.records().session(session_id(number)).await;
        assert_eq!(session, Ok(None));
    }
}

#[tokio::test]
async fn a_session_that_is_still_announced_stays_with_all_that_led_to_it() {
    let store = fresh!();
    for number in 1..=3 {
        let pair = [2 * number - 1, 2 * number];
        store.stores(up_to_session(number, pair)).await;
    }
    announce(&store, 2).await;
    // Sent, and not removed yet.
    send(&store, 3).await;

    let removed = remove(&store, after_all()).await;

    assert_eq!(removed, [2, 1, 1]);
    for kept in [1_u64, 2, 5, 6] {
        let number = kept.div_ceil(2);
        let status = store.status(ticket_id(kept)).await;
        assert_eq!(status, Some(StoredStatus::Matched(match_id(number))));
        assert!(store.match_state(number).await.is_some());
    }
    assert_eq!(store.announced().await.len(), 1);
    announce(&store, 1).await;
    assert_eq!(remove(&store, after_all()).await, [4, 2, 2]);
}

#[tokio::test]
async fn whoever_was_put_back_leaves_nothing_behind() {
    let store = fresh!();
    let back = || Fate::PutBack(ticket(1));
    let closed = || Fate::Closed(TicketOutcome::Declined);
    store.stores(up_to_match(1, [1, 2])).await;
    store
        .stores([end(1, [1, 2], [back(), closed()], 6_000)])
        .await;
    for (number, other, at) in [(2, 3, 6_500), (3, 4, 7_000)] {
        store.stores([Write::OpenTicket(ticket(other))]).await;
        let proposal = Write::ProposeMatch(proposal(number, [1, other]));
        let ended = end(number, [1, other], [back(), closed()], at);
        store.stores([proposal, ended]).await;
    }

    // It waits: what it was in goes, and it does not.
    let first = remove(&store, at_ms(6_800)).await;
    let waiting = store.status(ticket_id(1)).await;
    store.stores([close(1, 7_500)]).await;
    let then = remove(&store, at_ms(7_500)).await;
    let last = remove(&store, at_ms(7_501)).await;

    assert_eq!(first, [2, 2, 0]);
    assert_eq!(waiting, Some(StoredStatus::Waiting));
    assert_eq!(then, [1, 1, 0]);
    assert_eq!(last, [1, 0, 0]);
    assert_eq!(store.status(ticket_id(1)).await, None);
}

#[tokio::test]
async fn steps_are_as_long_as_is_asked_for_and_go_on_behind_each_other() {
    let store = fresh!();
    store
        .stores((1..=5).map(|n| Write::OpenTicket(ticket(n))))
        .await;
    store.stores((1..=5).map(|n| close(n, 1_000))).await;
    for number in 1..=5 {
        let pair = [10 * number, 10 * number + 1];
        store.stores(up_to_session(number, pair)).await;
    }
    announce(&store, 3).await;

    let mut marks = Vec::new();
    for past in [Past::Tickets, Past::OverSessions] {
        let mut next = Some(Mark::START);
        let mut removed = Vec::new();
        while let Some(after) = next {
            let done = step(&store, past, after_all(), after, 2).await;
            removed.push([done.tickets, done.sessions]);
            next = done.next;
        }
        marks.push(removed);
    }

    // Those that are announced are passed by, though all end at the same moment.
    let tickets = vec![[2, 0], [2, 0], [1, 0]];
    let sessions = vec![[0, 0], [2, 1], [0, 0]];
    assert_eq!(marks, [tickets, sessions]);
}
