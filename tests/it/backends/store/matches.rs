//! Writes about a match that has no session yet.

use matchmaker::domain::{
    Avoided, Ending, Fate, Refusal, Side, Ticket, TicketOutcome, Write, WriteOutcome,
};
use matchmaker::ports::{OpenMatch, StoredMatch, StoredMatchState, StoredStatus};

use crate::backends::subject::{
    at_ms, confirm, match_id, proposal, session_id, ticket, ticket_id, up_to_confirmed,
    up_to_match, up_to_session, user,
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

/// The end of match 1 of tickets 1 and 2.
fn end(ending: Ending, fates: [Fate; 2], opens: Option<Ticket>) -> Write {
    Write::EndMatch {
        match_id: match_id(1),
        ending,
        tickets: [1, 2].map(ticket_id),
        fates: Box::new(fates),
        opens: opens.map(Box::new),
        at: at_ms(9_000),
    }
}

/// Ticket `number` as it waits again.
fn put_back(number: u64) -> Ticket {
    let mut back = ticket(number);
    back.waits_until = at_ms(69_000);
    back.put_back = true;
    back.silences = 1;
    back.asks = 2;
    back.avoided = vec![Avoided::Decliner(user(9))];
    back
}

fn both_back() -> [Fate; 2] {
    [1, 2].map(|number| Fate::PutBack(put_back(number)))
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
        expires_at: at_ms(125_000),
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
        .stores([end(Ending::Expired, both_back(), None), propose(1, [1, 2])])
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
        .stores([end(Ending::Expired, both_back(), None)])
        .await;
    store.stores(up_to_session(2, [3, 4])).await;

    for number in [1, 2, 3] {
        assert_eq!(store.write(confirm(number, Side::First)).await, NOT_OPEN);
    }
}

#[tokio::test]
async fn an_ended_match_gives_each_ticket_its_fate() {
    for (ending, sides) in [
        (Ending::Declined(Side::First), [false, true]),
        (Ending::Declined(Side::Second), [true, false]),
        (Ending::Expired, [true, true]),
        (Ending::QuestionUnavailable, [true, true]),
    ] {
        let store = fresh!();
        store.stores(up_to_confirmed(1, [1, 2])).await;
        let fate = |number: u64| match sides[number as usize - 1] {
            true => Fate::PutBack(put_back(number)),
            false => Fate::Closed(TicketOutcome::Declined),
        };

        store.stores([end(ending, [1, 2].map(fate), None)]).await;

        assert_eq!(
            store.match_state(1).await,
            Some(StoredMatchState::Ended(ending))
        );
        let live = store.live().await;
        let back = [1, 2]
            .into_iter()
            .filter(|number| sides[*number as usize - 1]);
        assert_eq!(live.tickets, back.map(put_back).collect::<Vec<_>>());
        assert_eq!(live.matches, []);
        for number in [1, 2]
            .into_iter()
            .filter(|number| !sides[*number as usize - 1])
        {
            let declined = StoredStatus::Closed(TicketOutcome::Declined);
            assert_eq!(store.status(ticket_id(number)).await, Some(declined));
        }
    }
}

#[tokio::test]
async fn a_match_ends_once() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    let mut of_other_tickets = end(Ending::Expired, both_back(), None);
    if let Write::EndMatch { tickets, .. } = &mut of_other_tickets {
        tickets.reverse();
    }

    let others = store.write(of_other_tickets).await;
    let expired = end(Ending::Expired, both_back(), None);
    store.stores([expired.clone(), expired]).await;
    let declined = end(Ending::Declined(Side::First), both_back(), None);
    let otherwise = store.write(declined).await;

    assert_eq!([others, otherwise], [NOT_OPEN, NOT_OPEN]);
    let expired = StoredMatchState::Ended(Ending::Expired);
    assert_eq!(store.match_state(1).await, Some(expired));
}

#[tokio::test]
async fn a_match_that_became_a_session_or_is_unknown_does_not_end() {
    let store = fresh!();
    let expired = end(Ending::Expired, both_back(), None);

    let unknown = store.write(expired.clone()).await;
    store.stores(up_to_session(1, [1, 2])).await;
    let in_session = store.write(expired).await;

    assert_eq!([unknown, in_session], [NOT_OPEN, NOT_OPEN]);
    assert_eq!(store.live().await.tickets, []);
}

#[tokio::test]
async fn declining_for_another_bucket_opens_the_new_ticket_in_the_same_breath() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    let mut new = ticket(11);
    new.user = user(1);
    let fates = [
        Fate::Closed(TicketOutcome::Replaced),
        Fate::PutBack(put_back(2)),
    ];
    let write = end(Ending::Declined(Side::First), fates, Some(new.clone()));

    store.stores([write.clone(), write]).await;

    assert_eq!(store.live().await.tickets, [put_back(2), new]);
    let replaced = StoredStatus::Closed(TicketOutcome::Replaced);
    assert_eq!(store.status(ticket_id(1)).await, Some(replaced));
}

#[tokio::test]
async fn where_the_new_ticket_is_refused_the_match_goes_on() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([Write::OpenTicket(ticket(3))]).await;
    let mut rival = ticket(11);
    rival.user = user(3);
    let fates = [
        Fate::Closed(TicketOutcome::Replaced),
        Fate::PutBack(put_back(2)),
    ];

    let together = [
        Write::OpenTicket(ticket(4)),
        end(Ending::Declined(Side::First), fates, Some(rival)),
        Write::OpenTicket(ticket(5)),
    ];
    let outcomes = store.write_together(together).await;

    let refused = WriteOutcome::Refused(Refusal::AlreadyLive {
        ticket: ticket_id(3),
        matched: false,
    });
    let expected = [WriteOutcome::Stored, refused, WriteOutcome::Stored];
    assert_eq!(outcomes, expected);
    let live = store.live().await;
    assert_eq!(live.matches[0].tickets, [ticket(1), ticket(2)]);
    assert_eq!(live.tickets, [ticket(3), ticket(4), ticket(5)]);
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
