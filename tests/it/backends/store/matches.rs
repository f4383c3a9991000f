//! Writes about a match that has no session yet.

use matchmaker::domain::{Ending, Refusal, Side, Write, WriteOutcome};
use matchmaker::ports::{OpenMatch, StoredMatch, StoredMatchState, StoredStatus};

use super::ends::{NOBODY, both_back, end};
use crate::backends::subject::{
    at_ms, confirm, match_id, proposal, session_id, ticket, ticket_id, up_to_match, up_to_session,
    user,
};

const NOT_OPEN: WriteOutcome = WriteOutcome::Refused(Refusal::NotOpen);

fn propose(number: u64, tickets: [u64; 2]) -> Write {
    Write::ProposeMatch(proposal(number, tickets))
}

fn not_waiting<const N: usize>(numbers: [u64; N]) -> WriteOutcome {
    WriteOutcome::Refused(Refusal::NotWaiting(numbers.map(ticket_id).into()))
}

fn extend(number: u64, expires_at_ms: i64) -> Write {
    Write::ExtendMatch {
        match_id: match_id(number),
        expires_at: at_ms(expires_at_ms),
    }
}

#[tokio::test]
async fn a_proposal_takes_both_waiting_tickets() {
    let store = fresh!();

    store.stores(up_to_match(1, [1, 2])).await;

    for number in [1, 2] {
        let status = store.status(ticket_id(number)).await;
        assert_eq!(status, Some(StoredStatus::Matched(match_id(1))));
    }
    let stored = store.records().find_match(match_id(1)).await;
    let expected = StoredMatch {
        users: [user(1), user(2)],
        state: StoredMatchState::Open,
    };
    assert_eq!(stored, Ok(Some(expected)));
    let live = store.live().await;
    let open = OpenMatch {
        id: match_id(1),
        session: session_id(1),
        tickets: [ticket(1), ticket(2)],
        confirmed: [false, false],
        expires_at: at_ms(8_000),
        extended: false,
    };
    assert_eq!(live.matches, [open]);
    assert_eq!(live.tickets, []);
}

#[tokio::test]
async fn a_refused_proposal_names_exactly_the_tickets_that_do_not_wait() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([Write::OpenTicket(ticket(3))]).await;

    assert_eq!(store.write(propose(2, [1, 3])).await, not_waiting([1]));
    assert_eq!(store.write(propose(3, [3, 4])).await, not_waiting([4]));
    assert_eq!(store.write(propose(4, [2, 4])).await, not_waiting([2, 4]));

    assert_eq!(
        store.status(ticket_id(3)).await,
        Some(StoredStatus::Waiting)
    );
    for number in 2..=4 {
        assert_eq!(store.match_state(number).await, None);
    }
}

#[tokio::test]
async fn a_ticket_is_proposed_for_its_own_user_only() {
    let store = fresh!();
    store
        .stores([1, 2].map(|number| Write::OpenTicket(ticket(number))))
        .await;
    let mut of_another = proposal(1, [1, 2]);
    of_another.users[1] = user(3);

    let outcome = store.write(Write::ProposeMatch(of_another)).await;

    assert_eq!(outcome, not_waiting([2]));
    assert_eq!(store.live().await.tickets, [ticket(1), ticket(2)]);
}

#[tokio::test]
async fn nobody_is_matched_with_themselves() {
    let store = fresh!();
    store
        .stores([1, 2].map(|number| Write::OpenTicket(ticket(number))))
        .await;
    let mut one_user = proposal(1, [1, 2]);
    one_user.users[1] = user(1);
    let mut one_ticket = proposal(1, [1, 2]);
    one_ticket.tickets[1] = ticket_id(1);

    assert_eq!(store.write(Write::ProposeMatch(one_user)).await, NOT_OPEN);
    assert_eq!(store.write(Write::ProposeMatch(one_ticket)).await, NOT_OPEN);

    assert_eq!(store.live().await.tickets, [ticket(1), ticket(2)]);
}

#[tokio::test]
async fn proposing_again_is_proposing_once() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;

    store.stores([propose(1, [1, 2])]).await;
    assert_eq!(store.live().await.matches.len(), 1);

    // The answer to the first one was lost, and since then the match has come to its end.
    store
        .stores([
            end(Ending::Expired, NOBODY, both_back()),
            propose(1, [1, 2]),
        ])
        .await;
    assert_eq!(store.live().await.matches, []);
    assert_eq!(
        store.status(ticket_id(1)).await,
        Some(StoredStatus::Waiting)
    );
}

#[tokio::test]
async fn confirmations_are_kept_by_side_while_the_match_is_open() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores(up_to_match(2, [3, 4])).await;

    let twice = [confirm(1, Side::Second), confirm(1, Side::Second)];
    store.stores(twice).await;
    store.stores(Side::BOTH.map(|side| confirm(2, side))).await;

    let live = store.live().await;
    assert_eq!(live.matches[0].confirmed, [false, true]);
    assert_eq!(live.matches[1].confirmed, [true, true]);
}

#[tokio::test]
async fn a_match_that_is_over_or_unknown_cannot_be_confirmed() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store
        .stores([end(Ending::Expired, NOBODY, both_back())])
        .await;
    store.stores(up_to_session(2, [3, 4])).await;

    for number in [1, 2, 3] {
        assert_eq!(store.write(confirm(number, Side::First)).await, NOT_OPEN);
    }
}

#[tokio::test]
async fn the_window_of_an_open_match_is_extended_once() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores(up_to_session(2, [3, 4])).await;

    store.stores([extend(1, 200_000), extend(1, 200_000)]).await;

    assert_eq!(store.write(extend(1, 300_000)).await, NOT_OPEN);
    assert_eq!(store.write(extend(2, 200_000)).await, NOT_OPEN);
    assert_eq!(store.write(extend(3, 200_000)).await, NOT_OPEN);
    let live = store.live().await;
    assert_eq!(live.matches[0].expires_at, at_ms(200_000));
    assert!(live.matches[0].extended);
}
