//! Races between two servers on one database: exactly one write wins.

use matchmaker::domain::{Ending, Fate, Refusal, Side, TicketOutcome, Write, WriteOutcome};
use matchmaker::ports::{StoredMatchState, StoredStatus};

use crate::backends::subject::{
    Subject, at_ms, confirm, event_id, match_id, proposal, session, ticket, ticket_id,
    up_to_confirmed, up_to_match, user,
};

const STORED: WriteOutcome = WriteOutcome::Stored;
const RACERS: u64 = 16;

/// Runs each write in a task of its own, half of them on either server.
async fn race(servers: &[Subject; 2], writes: Vec<Write>) -> Vec<WriteOutcome> {
    let begin = std::sync::Arc::new(tokio::sync::Barrier::new(writes.len()));
    let mut racers = Vec::new();
    for (at, write) in writes.into_iter().enumerate() {
        let server = servers[at % 2].clone();
        let begin = begin.clone();
        racers.push(tokio::spawn(async move {
            begin.wait().await;
            server.write(write).await
        }));
    }
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.expect("no racer panics"));
    }
    outcomes
}

async fn two_servers() -> [Subject; 2] {
    let first = fresh!();
    let second = first.again().await;
    [first, second]
}

fn winner(outcomes: &[WriteOutcome]) -> usize {
    let stored = |outcome: &&WriteOutcome| **outcome == STORED;
    assert_eq!(outcomes.iter().filter(stored).count(), 1, "{outcomes:?}");
    outcomes
        .iter()
        .position(|outcome| *outcome == STORED)
        .expect("one has won")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_equal_claims_one_wins_and_is_named_to_the_others() {
    let servers = two_servers().await;
    let claim = |number: u64| {
        let mut claim = ticket(100 + number);
        claim.user = user(1);
        Write::OpenTicket(claim)
    };

    let mut outcomes = race(&servers, (0..RACERS).map(claim).collect()).await;

    let winner = winner(&outcomes);
    outcomes.remove(winner);
    let named = WriteOutcome::Refused(Refusal::AlreadyLive {
        ticket: ticket_id(100 + winner as u64),
        matched: false,
    });
    assert_eq!(outcomes, vec![named; RACERS as usize - 1]);
    assert_eq!(servers[0].live().await.tickets.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ticket_that_many_want_gets_one_match() {
    let servers = two_servers().await;
    servers[0]
        .stores((1..=RACERS + 1).map(|number| Write::OpenTicket(ticket(number))))
        .await;
    let with_first = |number: u64| Write::ProposeMatch(proposal(number, [1, number]));

    let mut outcomes = race(&servers, (2..RACERS + 2).map(with_first).collect()).await;

    outcomes.remove(winner(&outcomes));
    let gone = WriteOutcome::Refused(Refusal::NotWaiting(vec![ticket_id(1)]));
    assert_eq!(outcomes, vec![gone; RACERS as usize - 1]);
    let live = servers[0].live().await;
    assert_eq!(live.matches.len(), 1);
    assert_eq!(live.tickets.len(), RACERS as usize - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_ticket_is_either_matched_or_withdrawn() {
    let servers = two_servers().await;
    for round in 0..20_u64 {
        let [one, other] = [2 * round + 1, 2 * round + 2];
        let tickets = [one, other].map(|number| Write::OpenTicket(ticket(number)));
        servers[0].stores(tickets).await;
        let withdraw = Write::CloseTicket {
            ticket: ticket_id(one),
            outcome: TicketOutcome::Withdrawn,
            at: at_ms(9_000),
        };
        let propose = Write::ProposeMatch(proposal(round, [one, other]));

        let outcomes = race(&servers, vec![withdraw, propose]).await;

        let stored = servers[1].status(ticket_id(one)).await;
        if winner(&outcomes) == 0 {
            assert_eq!(stored, Some(StoredStatus::Closed(TicketOutcome::Withdrawn)));
            assert_eq!(servers[0].match_state(round).await, None);
        } else {
            assert_eq!(stored, Some(StoredStatus::Matched(match_id(round))));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_match_has_one_outcome() {
    let servers = two_servers().await;
    for round in 0..20_u64 {
        let numbers = [2 * round + 1, 2 * round + 2];
        servers[0].stores(up_to_confirmed(round, numbers)).await;
        let end = |ending| Write::EndMatch {
            match_id: match_id(round),
            ending,
            tickets: numbers.map(ticket_id),
            confirmed: [true, true],
            fates: Box::new([TicketOutcome::Declined, TicketOutcome::Expired].map(Fate::Closed)),
            opens: None,
            at: at_ms(9_000),
        };
        let endings = [
            Ending::Declined(Side::First),
            Ending::Declined(Side::Second),
            Ending::Expired,
        ];
        let open = Write::OpenSession {
            session: session(round, numbers),
            tickets: numbers.map(ticket_id),
            event: event_id(round),
            confirms: None,
        };

        let mut writes: Vec<Write> = endings.into_iter().map(end).collect();
        writes.insert(round as usize % 4, open);
        let outcomes = race(&servers, writes).await;

        let winner = winner(&outcomes);
        let stored = servers[1].match_state(round).await;
        let in_session = matches!(stored, Some(StoredMatchState::InSession(_)));
        assert_eq!(in_session, winner == round as usize % 4);
        assert_eq!(
            servers[1]
                .announced()
                .await
                .iter()
                .any(|(id, ..)| *id == session(round, numbers).id),
            in_session
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_openings_make_one_session_and_one_announcement() {
    let servers = two_servers().await;
    servers[0].stores(up_to_confirmed(1, [1, 2])).await;
    let open = |number| Write::OpenSession {
        session: session(1, [1, 2]),
        tickets: [1, 2].map(ticket_id),
        event: event_id(number),
        confirms: None,
    };

    let outcomes = race(&servers, (0..RACERS).map(open).collect()).await;

    assert_eq!(outcomes, vec![STORED; RACERS as usize]);
    assert_eq!(servers[0].announced().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn both_confirmations_count_however_they_come() {
    let servers = two_servers().await;
    for round in 0..10_u64 {
        let numbers = [2 * round + 1, 2 * round + 2];
        servers[0].stores(up_to_match(round, numbers)).await;

        let sides = Side::BOTH.into_iter().cycle().take(8);
        let confirms = sides.map(|side| confirm(round, side)).collect();
        let outcomes = race(&servers, confirms).await;

        assert_eq!(outcomes, vec![STORED; 8]);
    }
    for open in servers[0].live().await.matches {
        assert_eq!(open.confirmed, [true, true]);
    }
}
