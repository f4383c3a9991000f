//! Cancelling, by the user and by the server.

use super::*;

#[test]
fn a_waiting_ticket_is_out_of_reach_at_once_and_withdrawn_once_that_is_stored() {
    let mut tested = Tested::with_waiting(2);

    let asked_for = tested.withdraw(1, 9, 20);
    let meanwhile = tested.bucket.next_pair();
    let stored = tested.ticket_written(1, STORED, 21);

    assert_eq!(asked_for, [close(1, TicketOutcome::Withdrawn, 20)]);
    assert_eq!(meanwhile, None);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Withdrawn),
            withdrawn(9, WithdrawAnswer::Withdrawn)
        ]
    );
}

#[test]
fn a_withdrawal_that_the_store_could_not_take_puts_the_ticket_back_in_its_place() {
    let mut tested = Tested::with_waiting(3);
    tested.withdraw(1, 9, 20);

    let away = tested.ticket_written(1, AWAY, 21);

    assert_eq!(away, [withdrawn(9, WithdrawAnswer::Unavailable)]);
    assert_eq!(tested.bucket.next_pair(), pair(1, 2));
}

#[test]
fn a_withdrawal_that_the_database_refuses_is_answered_and_counted_as_a_breach() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 20);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 21);

    assert_eq!(
        refused,
        [
            withdrawn(9, WithdrawAnswer::NotPending),
            breached(),
            closed(1, TicketOutcome::Refused)
        ]
    );
    assert_eq!(tested.bucket.waiting(), 0);
}

#[test]
fn a_ticket_that_is_not_here_is_looked_for_elsewhere() {
    let mut tested = Tested::new();

    assert_eq!(tested.withdraw(5, 9, 20), [Reconsider(CallId(9))]);
}

#[test]
fn a_canceller_waits_one_second_for_a_proposal_and_no_longer() {
    let mut tested = Tested::with_proposal();

    let parked = tested.withdraw(1, 9, 20);
    let wake = tested.bucket.next_wake();
    let early = tested.on_time(1_019);
    let due = tested.on_time(1_020);
    let granted = tested.proposal_written(1, STORED, 1_021);

    assert_eq!(parked, []);
    assert_eq!(wake, Some(at_ms(1_020)));
    assert_eq!(early, []);
    assert_eq!(due, [withdrawn(9, WithdrawAnswer::Busy)]);
    assert!(matches!(granted[..], [Matched(_)]), "{granted:?}");
}

#[test]
fn a_canceller_of_a_ticket_that_gets_matched_is_told_so() {
    let mut tested = Tested::with_proposal();
    tested.withdraw(2, 9, 20);

    let granted = tested.proposal_written(1, STORED, 30);

    assert!(matches!(granted[0], Matched(_)));
    assert_eq!(granted[1..], [withdrawn(9, WithdrawAnswer::NotPending)]);
    assert_eq!(tested.on_time(5_000), []);
}

#[test]
fn a_canceller_of_a_ticket_that_does_not_get_matched_goes_on() {
    let mut tested = Tested::with_proposal();
    tested.withdraw(2, 9, 20);

    let away = tested.proposal_written(1, AWAY, 30);
    let stored = tested.ticket_written(2, STORED, 31);

    assert_eq!(away, [close(2, TicketOutcome::Withdrawn, 30)]);
    assert_eq!(
        stored,
        [
            closed(2, TicketOutcome::Withdrawn),
            withdrawn(9, WithdrawAnswer::Withdrawn)
        ]
    );
}

#[test]
fn withdrawing_a_ticket_that_is_being_stored_waits_for_that() {
    let mut tested = Tested::new();
    tested.join(1, 1);

    let parked = tested.withdraw(1, 9, 2);
    let stored = tested.ticket_written(1, STORED, 3);

    assert_eq!(parked, []);
    assert_eq!(
        stored,
        [
            Opened(ticket(1)),
            asked(1, holds(ticket(1))),
            close(1, TicketOutcome::Withdrawn, 3)
        ]
    );
}

#[test]
fn withdrawals_that_have_given_up_leave_room_for_others() {
    let mut tested = Tested::with_waiting(2);
    tested.propose(1, 20);
    for call in 0..PARKED_MAX as u64 {
        tested.withdraw(1, call, 20);
    }
    let full = tested.withdraw(1, 98, 21);

    let given_up = tested.on_time(20 + CANCEL_WAIT_MS as i64);
    let another = tested.withdraw(1, 99, 2_000);

    assert_eq!(full, [withdrawn(98, WithdrawAnswer::Busy)]);
    assert_eq!(given_up.len(), PARKED_MAX);
    assert_eq!(another, []);
}

#[test]
fn withdrawing_twice_at_once_answers_both_and_stores_once() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 8, 20);

    let second = tested.withdraw(1, 9, 20);
    let stored = tested.ticket_written(1, STORED, 21);

    assert_eq!(second, []);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Withdrawn),
            withdrawn(8, WithdrawAnswer::Withdrawn),
            withdrawn(9, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn a_withdrawal_under_way_wins_against_the_end_of_the_wait() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 60_000);

    let due = tested.on_time(60_001);
    let stored = tested.ticket_written(1, STORED, 60_002);

    assert_eq!(due, []);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Withdrawn),
            withdrawn(9, WithdrawAnswer::Withdrawn)
        ]
    );
}

#[test]
fn the_end_of_the_wait_wins_against_a_withdrawal_that_comes_with_it() {
    let mut tested = Tested::with_waiting(1);

    let due = tested.withdraw(1, 9, 60_001);
    let stored = tested.ticket_written(1, STORED, 60_002);

    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_001)]);
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Expired),
            withdrawn(9, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn a_withdrawal_that_failed_while_the_wait_ended_is_followed_by_that_end() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 60_000);

    let away = tested.ticket_written(1, AWAY, 60_002);

    assert_eq!(
        away,
        [
            withdrawn(9, WithdrawAnswer::Unavailable),
            close(1, TicketOutcome::Expired, 60_002)
        ]
    );
}

#[test]
fn one_ticket_keeps_a_bounded_number_of_callers_waiting() {
    let mut tested = Tested::with_proposal();
    for call in 0..PARKED_MAX as u64 {
        assert_eq!(tested.withdraw(1, 100 + call, 20), []);
    }

    let withdrawal = tested.withdraw(1, 200, 20);
    let ask = tested.ask_again(again("Array"), 201, 20);
    let other_ticket = tested.withdraw(2, 202, 20);

    assert_eq!(withdrawal, [withdrawn(200, WithdrawAnswer::Busy)]);
    assert_eq!(ask, [asked(201, AskAnswer::Busy)]);
    assert_eq!(other_ticket, []);
}

#[test]
fn an_abandoned_ticket_is_withdrawn_however_long_the_store_is_away() {
    let mut tested = Tested::with_waiting(1);

    let abandoned = tested.abandon(1, 20);
    let away = tested.ticket_written(1, AWAY, 30);
    let retried = tested.on_time(130);
    let stored = tested.ticket_written(1, STORED, 131);

    assert_eq!(abandoned, [close(1, TicketOutcome::Withdrawn, 20)]);
    assert_eq!(away, []);
    assert_eq!(retried, [close(1, TicketOutcome::Withdrawn, 130)]);
    assert_eq!(stored, [closed(1, TicketOutcome::Withdrawn)]);
}

#[test]
fn a_ticket_that_is_abandoned_while_being_stored_ends_before_anybody_meets_it() {
    let mut tested = Tested::with_waiting(2);
    tested.join(3, 3);
    tested.propose(1, 10);

    let abandoned = tested.abandon(3, 20);
    let stored = tested.ticket_written(3, STORED, 21);

    assert_eq!(abandoned, []);
    assert_eq!(
        stored,
        [
            Opened(ticket(3)),
            asked(3, holds(ticket(3))),
            close(3, TicketOutcome::Withdrawn, 21)
        ]
    );
}

#[test]
fn an_ask_behind_an_abandoned_one_waits_for_its_end() {
    let mut tested = Tested::new();
    tested.join(1, 1);
    tested.ask_again(again("Array"), 7, 7);
    tested.abandon(1, 8);

    let stored = tested.ticket_written(1, STORED, 21);
    let reconsidered = tested.ask_again(again("Array"), 7, 21);
    let ended = tested.ticket_written(1, STORED, 22);

    let close = close(1, TicketOutcome::Withdrawn, 21);
    assert_eq!(stored[2..], [close, Reconsider(CallId(7))]);
    assert_eq!(reconsidered, []);
    assert_eq!(
        ended,
        [closed(1, TicketOutcome::Withdrawn), Reconsider(CallId(7))]
    );
}

#[test]
fn an_abandoned_ticket_whose_withdrawal_fails_does_not_wait_again() {
    let mut tested = Tested::with_waiting(1);
    tested.withdraw(1, 9, 20);
    tested.abandon(1, 21);

    let away = tested.ticket_written(1, AWAY, 22);

    assert_eq!(
        away,
        [
            withdrawn(9, WithdrawAnswer::Unavailable),
            close(1, TicketOutcome::Withdrawn, 22)
        ]
    );
}
