//! Writes about one ticket.

use matchmaker::domain::{Avoided, Refusal, Ticket, TicketId, TicketOutcome, Write, WriteOutcome};
use matchmaker::ports::StoredStatus;

use crate::backends::subject::{
    at_ms, match_id, proposal, ticket, ticket_id, up_to_match, up_to_session, user,
};

fn open(number: u64) -> Write {
    Write::OpenTicket(ticket(number))
}

fn close(number: u64, outcome: TicketOutcome) -> Write {
    Write::CloseTicket {
        ticket: ticket_id(number),
        outcome,
        at: at_ms(9_000),
    }
}

fn count(number: u64, asks: u32) -> Write {
    Write::CountAsk {
        ticket: ticket_id(number),
        asks,
    }
}

fn replace(old: u64, new: Ticket) -> Write {
    Write::ReplaceTicket {
        old: ticket_id(old),
        new,
    }
}

/// Another ticket of user `of`.
fn ticket_of(of: u64, number: u64) -> Ticket {
    Ticket {
        user: user(of),
        ..ticket(number)
    }
}

fn not_waiting(numbers: impl IntoIterator<Item = u64>) -> WriteOutcome {
    let tickets: Vec<TicketId> = numbers.into_iter().map(ticket_id).collect();
    WriteOutcome::Refused(Refusal::NotWaiting(tickets))
}

fn already_live(number: u64, matched: bool) -> WriteOutcome {
    let ticket = ticket_id(number);
    WriteOutcome::Refused(Refusal::AlreadyLive { ticket, matched })
}

#[tokio::test]
async fn an_opened_ticket_waits_and_comes_back_as_it_was() {
    let store = fresh!();
    let mut opened = ticket(7);
    opened.put_back = true;
    opened.silences = 1;
    opened.asks = u32::MAX;
    opened.avoided = vec![
        Avoided::Decliner(user(3)),
        Avoided::Silence {
            user: user(4),
            own_asks: 1,
            theirs: Some((ticket_id(4), 2)),
        },
    ];

    store.stores([Write::OpenTicket(opened.clone())]).await;

    assert_eq!(store.live().await.tickets, [opened]);
    assert_eq!(
        store.status(ticket_id(7)).await,
        Some(StoredStatus::Waiting)
    );
    assert_eq!(store.status(ticket_id(8)).await, None);
}

#[tokio::test]
async fn live_tickets_come_back_in_the_order_of_their_places() {
    let store = fresh!();
    let mut oldest = ticket(9);
    oldest.enqueued_at = at_ms(1);

    store.stores([3, 1, 2].map(open)).await;
    store.stores([Write::OpenTicket(oldest.clone())]).await;

    let live = store.live().await;
    assert_eq!(live.tickets, [ticket(1), oldest, ticket(2), ticket(3)]);
}

#[tokio::test]
async fn a_second_live_ticket_is_refused_and_the_first_is_named() {
    let store = fresh!();
    store.stores([open(1)]).await;

    let while_waiting = store.write(Write::OpenTicket(ticket_of(1, 11))).await;
    store
        .stores([open(2), Write::ProposeMatch(proposal(1, [1, 2]))])
        .await;
    let while_matched = store.write(Write::OpenTicket(ticket_of(1, 12))).await;

    assert_eq!(while_waiting, already_live(1, false));
    assert_eq!(while_matched, already_live(1, true));
    assert_eq!(store.status(ticket_id(11)).await, None);
    assert_eq!(store.status(ticket_id(12)).await, None);
}

#[tokio::test]
async fn whoever_has_no_live_ticket_may_ask_again() {
    let store = fresh!();
    let outcomes = [
        TicketOutcome::Withdrawn,
        TicketOutcome::Declined,
        TicketOutcome::Expired,
    ];
    for (number, outcome) in (10..).zip(outcomes) {
        store
            .stores([
                Write::OpenTicket(ticket_of(1, number)),
                close(number, outcome),
            ])
            .await;
        let closed = store.status(ticket_id(number)).await;
        assert_eq!(closed, Some(StoredStatus::Closed(outcome)));
    }
    store.stores(up_to_session(1, [1, 2])).await;

    store.stores([Write::OpenTicket(ticket_of(1, 20))]).await;

    assert_eq!(store.live().await.tickets, [ticket_of(1, 20)]);
}

#[tokio::test]
async fn opening_a_ticket_again_is_opening_it_once() {
    let store = fresh!();

    store.stores([open(1), open(1)]).await;
    assert_eq!(store.live().await.tickets, [ticket(1)]);

    // The answer to the first one was lost, and since then the ticket has come to its end.
    store
        .stores([close(1, TicketOutcome::Expired), open(1)])
        .await;
    assert_eq!(store.live().await.tickets, []);
}

#[tokio::test]
async fn only_a_waiting_ticket_is_closed_and_closing_it_again_changes_nothing() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([open(3)]).await;

    let matched = store.write(close(1, TicketOutcome::Withdrawn)).await;
    let unknown = store.write(close(4, TicketOutcome::Withdrawn)).await;
    let first = store.write(close(3, TicketOutcome::Withdrawn)).await;
    let repeated = store.write(close(3, TicketOutcome::Withdrawn)).await;
    let otherwise = store.write(close(3, TicketOutcome::Expired)).await;

    assert_eq!(matched, not_waiting([1]));
    assert_eq!(unknown, not_waiting([4]));
    assert_eq!(
        [first, repeated],
        [WriteOutcome::Stored, WriteOutcome::Stored]
    );
    assert_eq!(otherwise, not_waiting([3]));
    let withdrawn = StoredStatus::Closed(TicketOutcome::Withdrawn);
    assert_eq!(store.status(ticket_id(3)).await, Some(withdrawn));
    let still_matched = StoredStatus::Matched(match_id(1));
    assert_eq!(store.status(ticket_id(1)).await, Some(still_matched));
}

#[tokio::test]
async fn no_ticket_is_closed_into_a_session_that_is_not_there() {
    let store = fresh!();
    store.stores([open(1)]).await;

    let refused = store.write(close(1, TicketOutcome::InSession)).await;

    assert_eq!(refused, WriteOutcome::Refused(Refusal::NotOpen));
    assert_eq!(
        store.status(ticket_id(1)).await,
        Some(StoredStatus::Waiting)
    );
}

#[tokio::test]
async fn replacing_closes_the_old_ticket_and_opens_the_new_one() {
    let store = fresh!();
    store.stores([open(1)]).await;

    let new = ticket_of(1, 11);
    store
        .stores([replace(1, new.clone()), replace(1, new.clone())])
        .await;

    let replaced = StoredStatus::Closed(TicketOutcome::Replaced);
    assert_eq!(store.status(ticket_id(1)).await, Some(replaced));
    assert_eq!(store.live().await.tickets, [new]);
}

#[tokio::test]
async fn a_ticket_that_does_not_wait_is_not_replaced() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store
        .stores([open(3), close(3, TicketOutcome::Expired), open(4)])
        .await;

    let matched = store.write(replace(1, ticket_of(1, 11))).await;
    let ended = store.write(replace(3, ticket_of(3, 13))).await;
    let unknown = store.write(replace(5, ticket_of(5, 15))).await;
    let of_another = store.write(replace(4, ticket_of(6, 16))).await;

    assert_eq!(matched, not_waiting([1]));
    assert_eq!(ended, not_waiting([3]));
    assert_eq!(unknown, not_waiting([5]));
    assert_eq!(of_another, not_waiting([4]));
    let live = store.live().await;
    assert_eq!(live.tickets, [ticket(4)]);
    assert_eq!(live.matches.len(), 1);
}

#[tokio::test]
async fn asks_are_counted_while_a_ticket_lives() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store
        .stores([open(3), open(4), close(4, TicketOutcome::Withdrawn)])
        .await;

    store.stores([count(1, 2), count(3, 1), count(3, 1)]).await;
    let ended = store.write(count(4, 1)).await;
    let unknown = store.write(count(5, 1)).await;

    assert_eq!(ended, not_waiting([4]));
    assert_eq!(unknown, not_waiting([5]));
    let live = store.live().await;
    assert_eq!(live.tickets[0].asks, 1);
    assert_eq!(
        live.matches[0].tickets.each_ref().map(|ticket| ticket.asks),
        [2, 0]
    );
}

#[tokio::test]
async fn a_discarded_ticket_does_not_keep_its_user_out() {
    let store = fresh!();
    let discard = |number| Write::DiscardTicket {
        ticket: ticket_id(number),
        at: at_ms(9_000),
    };
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([open(3), open(4)]).await;
    store.stores([close(4, TicketOutcome::Expired)]).await;

    store.stores([discard(1), discard(3), discard(3)]).await;
    let of_an_ended_one = store.write(discard(4)).await;

    assert_eq!(of_an_ended_one, not_waiting([4]));
    for number in [1, 3] {
        let refused = Some(StoredStatus::Closed(TicketOutcome::Refused));
        assert_eq!(store.status(ticket_id(number)).await, refused);
        store
            .stores([Write::OpenTicket(ticket_of(number, number + 10))])
            .await;
    }
}
