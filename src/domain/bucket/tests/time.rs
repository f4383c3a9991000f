//! Ends that are due, and timers.

use super::*;

#[test]
fn a_ticket_expires_exactly_when_its_wait_is_over() {
    let mut tested = Tested::with_waiting(1);

    let early = tested.on_time(60_000);
    let due = tested.on_time(60_001);
    let stored = tested.ticket_written(1, STORED, 60_005);

    assert_eq!(early, []);
    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_001)]);
    assert_eq!(stored, [closed(1, TicketOutcome::Expired)]);
}

#[test]
fn a_ticket_that_was_put_back_waits_its_whole_time_again() {
    let mut tested = Tested::with_put_back();

    assert_eq!(tested.on_time(60_009), []);
    assert_eq!(
        tested.on_time(60_010),
        [close(1, TicketOutcome::Expired, 60_010)]
    );
}

#[test]
fn an_end_that_the_store_could_not_take_is_tried_again_after_growing_waits() {
    let mut tested = Tested::with_waiting(1);
    tested.on_time(60_001);

    let away = tested.ticket_written(1, AWAY, 60_010);
    let first_wake = tested.bucket.next_wake();
    let early = tested.on_time(60_109);
    let due = tested.on_time(60_110);
    tested.ticket_written(1, AWAY, 60_120);

    assert_eq!((away, early), (vec![], vec![]));
    assert_eq!(first_wake, Some(at_ms(60_110)));
    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_110)]);
    assert_eq!(tested.bucket.next_wake(), Some(at_ms(60_320)));
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 1));
}

#[test]
fn an_end_that_the_database_refuses_is_a_breach() {
    let mut tested = Tested::with_waiting(1);
    tested.on_time(60_001);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 60_002);

    assert_eq!(refused, [breached(), closed(1, TicketOutcome::Refused)]);
}

#[test]
fn the_next_wake_is_the_nearest_of_deadlines_cancellers_and_retries() {
    let mut tested = Tested::with_waiting(5);
    let deadline = tested.bucket.next_wake();
    tested.propose(1, 10);
    let third = tested.bucket.next_wake();
    tested.withdraw(1, 9, 20);
    let canceller = tested.bucket.next_wake();
    tested.propose(2, 30);
    tested.proposal_written(2, AWAY, 40);
    let retry = tested.bucket.next_wake();

    assert_eq!(deadline, Some(at_ms(60_001)));
    assert_eq!(third, Some(at_ms(60_003)));
    assert_eq!(canceller, Some(at_ms(1_020)));
    assert_eq!(retry, Some(at_ms(140)));
}

#[test]
fn being_late_changes_nothing_but_the_time_of_the_end() {
    let mut tested = Tested::with_waiting(2);

    let late = tested.on_time(999_999);

    assert_eq!(
        late,
        [
            close(1, TicketOutcome::Expired, 999_999),
            close(2, TicketOutcome::Expired, 999_999)
        ]
    );
    assert_eq!(tested.bucket.next_pair(), None);
    assert_eq!(tested.bucket.next_wake(), None);
}

#[test]
fn an_answer_that_nobody_waits_for_is_harmless() {
    let mut bucket = Bucket::new(wish("Array").bucket(), Timeouts::default());

    assert_eq!(bucket.on_ticket_written(ticket(1).id, STORED, at_ms(1)), []);
    assert_eq!(
        bucket.on_proposal_written(match_id(1), &STORED, at_ms(1)),
        []
    );
}
