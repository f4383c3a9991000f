//! Proposals and what becomes of them.

use super::*;

#[test]
fn the_two_oldest_are_set_aside_until_their_match_is_stored() {
    let mut tested = Tested::with_waiting(3);

    let proposed = tested.propose(1, 10);

    let proposal = Proposal {
        id: match_id(1),
        session: session_id(1),
        bucket: wish("array").bucket(),
        tickets: [ticket(1).id, ticket(2).id],
        users: [user(1), user(2)],
        proposed_at: at_ms(10),
        expires_at: at_ms(120_010),
    };
    assert_eq!(proposed, [Store(Write::ProposeMatch(proposal))]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (1, 2));
    assert_eq!(tested.propose(2, 10), []);
}

#[test]
fn a_granted_proposal_becomes_a_match_and_leaves_the_bucket() {
    let mut tested = Tested::with_proposal();

    let granted = tested.proposal_written(1, STORED, 15);

    let tickets = [ticket(1), ticket(2)];
    let new = Match::new(ids(1), tickets, at_ms(120_010), Timeouts::default());
    assert_eq!(granted, [Matched(Box::new(new))]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
    assert_eq!(tested.bucket.next_wake(), None);
}

#[test]
fn several_proposals_are_under_way_at_once_and_answered_in_any_order() {
    let mut tested = Tested::with_waiting(4);
    tested.propose(1, 10);
    tested.propose(2, 10);

    let second = tested.proposal_written(2, STORED, 11);
    let first = tested.proposal_written(1, STORED, 12);

    assert!(matches!(&second[..], [Matched(new)] if new.ids() == ids(2)));
    assert!(matches!(&first[..], [Matched(new)] if new.ids() == ids(1)));
}

#[test]
fn a_refused_proposal_drops_the_one_it_names_and_keeps_the_place_of_the_other() {
    let mut tested = Tested::with_waiting(3);
    tested.propose(1, 10);

    let refused = tested.proposal_written(1, not_waiting(&[1]), 15);

    assert_eq!(refused, [breached(), closed(1, TicketOutcome::Refused)]);
    assert_eq!(tested.bucket.next_pair(), pair(2, 3));
}

#[test]
fn a_refused_proposal_that_names_both_drops_both() {
    let mut tested = Tested::with_proposal();

    let refused = tested.proposal_written(1, not_waiting(&[1, 2]), 15);

    let end = TicketOutcome::Refused;
    assert_eq!(
        refused,
        [breached(), closed(1, end), breached(), closed(2, end)]
    );
    assert_eq!(tested.bucket.waiting(), 0);
}

#[test]
fn a_proposal_that_the_store_could_not_take_is_tried_again_after_growing_waits() {
    let mut tested = Tested::with_proposal();

    let away = tested.proposal_written(1, AWAY, 1_000);
    let held_back = (tested.bucket.next_pair(), tested.bucket.next_wake());
    tested.on_time(1_099);
    let early = tested.bucket.next_pair();
    tested.on_time(1_100);
    let due = tested.bucket.next_pair();
    tested.propose(2, 1_100);
    tested.proposal_written(2, AWAY, 2_000);

    assert_eq!(away, []);
    assert_eq!(held_back, (None, Some(at_ms(1_100))));
    assert_eq!((early, due), (None, pair(1, 2)));
    assert_eq!(tested.bucket.next_wake(), Some(at_ms(2_200)));
}

#[test]
fn a_success_lets_the_waits_begin_anew() {
    let mut tested = Tested::with_proposal();
    tested.proposal_written(1, AWAY, 1_000);
    tested.join(3, 1_010);
    tested.ticket_written(3, STORED, 1_011);
    tested.on_time(1_100);
    tested.propose(2, 1_100);

    tested.proposal_written(2, AWAY, 2_000);

    assert_eq!(tested.bucket.next_wake(), Some(at_ms(2_100)));
}

#[test]
fn a_ticket_whose_wait_ended_during_a_failed_proposal_ends_then() {
    let mut tested = Tested::with_proposal();

    let meanwhile = tested.on_time(60_001);
    let away = tested.proposal_written(1, AWAY, 60_001);

    assert_eq!(meanwhile, []);
    assert_eq!(away, [close(1, TicketOutcome::Expired, 60_001)]);
}

#[test]
fn a_ticket_that_was_put_back_stands_ahead_of_those_that_came_later() {
    let mut tested = Tested::new();
    for number in [2, 3] {
        tested.join(number, number as i64);
        tested.ticket_written(number, STORED, number as i64);
    }

    let admitted = tested.admit(put_back(1), 10);

    assert_eq!(admitted, [Opened(put_back(1))]);
    assert_eq!(tested.bucket.next_pair(), pair(1, 2));
}
