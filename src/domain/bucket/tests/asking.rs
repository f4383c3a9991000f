//! Asking for a partner, for the first time and again.

use super::*;

#[test]
fn a_ticket_can_be_paired_only_after_it_is_stored() {
    let mut tested = Tested::with_waiting(1);

    let joined = tested.join(2, 2);

    assert_eq!(joined, [open(2)]);
    assert_eq!(tested.bucket.next_pair(), None);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (1, 1));
}

#[test]
fn a_stored_ticket_is_announced_answered_and_paired() {
    let mut tested = Tested::with_waiting(1);
    tested.join(2, 2);

    let stored = tested.ticket_written(2, STORED, 3);

    assert_eq!(stored, [Opened(ticket(2)), asked(2, holds(ticket(2)))]);
    assert_eq!(tested.bucket.next_pair(), pair(1, 2));
    assert_eq!(tested.bucket.oldest(), Some(at_ms(1)));
}

#[test]
fn an_ask_that_the_database_refuses_names_the_ticket_that_is_live() {
    let mut tested = Tested::new();
    tested.join(1, 1);
    let live = Refusal::AlreadyLive {
        ticket: ticket(9).id,
        matched: true,
    };

    let refused = tested.ticket_written(1, WriteOutcome::Refused(live), 2);

    let answer = AskAnswer::Duplicate {
        ticket: ticket(9).id,
        matched: true,
    };
    assert_eq!(
        refused,
        [closed(1, TicketOutcome::Refused), asked(1, answer)]
    );
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
}

#[test]
fn an_ask_that_the_store_could_not_take_leaves_nothing_behind() {
    let mut tested = Tested::new();
    tested.join(1, 1);

    let away = tested.ticket_written(1, AWAY, 2);

    let answer = AskAnswer::Unavailable;
    assert_eq!(away, [closed(1, TicketOutcome::Refused), asked(1, answer)]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
    assert_eq!(tested.bucket.next_wake(), None);
}

#[test]
fn a_second_ask_during_the_first_is_looked_at_again_once_the_first_is_stored() {
    let mut tested = Tested::new();
    tested.join(1, 1);

    let parked = tested.ask_again(again("Graph"), 7, 7);
    let stored = tested.ticket_written(1, STORED, 8);

    assert_eq!(parked, []);
    assert_eq!(
        stored,
        [
            Opened(ticket(1)),
            asked(1, holds(ticket(1))),
            Reconsider(CallId(7))
        ]
    );
}

#[test]
fn a_second_ask_during_one_that_fails_is_looked_at_again() {
    let mut tested = Tested::new();
    tested.join(1, 1);
    tested.ask_again(again("Array"), 7, 7);

    let away = tested.ticket_written(1, AWAY, 8);

    assert_eq!(
        away,
        [
            closed(1, TicketOutcome::Refused),
            asked(1, AskAnswer::Unavailable),
            Reconsider(CallId(7))
        ]
    );
}

#[test]
fn who_waits_for_the_first_time_and_asks_again_is_told_of_the_duplicate() {
    let mut tested = Tested::with_waiting(1);

    let same = tested.ask_again(again("Array"), 7, 7);
    let other = tested.ask_again(again("Graph"), 8, 8);

    assert_eq!(same, [asked(7, duplicate(1))]);
    assert_eq!(other, [asked(8, duplicate(1))]);
}

#[test]
fn who_was_put_back_and_asks_for_the_same_bucket_keeps_the_ticket_and_is_counted() {
    let mut tested = Tested::with_put_back();

    let counted = tested.ask_again(again(" ARRAY "), 7, 20);
    let stored = tested.ticket_written(1, STORED, 21);

    let ticket = Ticket {
        asks: 1,
        ..put_back(1)
    };
    assert_eq!(counted, [count(1, 1)]);
    assert_eq!(stored, [asked(7, holds(ticket))]);
    assert_eq!(tested.bucket.waiting(), 1);
    assert_eq!(tested.ask_again(again("Array"), 8, 22), [count(1, 2)]);
}

#[test]
fn counting_while_the_store_is_away_changes_nothing() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Array"), 7, 20);

    let away = tested.ticket_written(1, AWAY, 21);

    assert_eq!(away, [asked(7, AskAnswer::Unavailable)]);
    assert_eq!(tested.ask_again(again("Array"), 8, 22), [count(1, 1)]);
}

#[test]
fn counting_that_the_database_refuses_ends_the_ticket_here_and_looks_again() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Array"), 7, 20);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 21);

    let end = closed(1, TicketOutcome::Refused);
    assert_eq!(refused, [breached(), end, Reconsider(CallId(7))]);
}

#[test]
fn who_was_put_back_and_asks_for_another_bucket_gets_a_ticket_there() {
    let mut tested = Tested::with_put_back();

    let replacing = tested.ask_again(again("Graph"), 7, 20);
    let stored = tested.ticket_written(1, STORED, 21);

    let new = again("Graph");
    assert_eq!(replacing, [replace(1, new.clone())]);
    let replaced = Replaced {
        old: ticket(1).id,
        new: new.clone(),
    };
    assert_eq!(stored, [replaced, asked(7, holds(new))]);
    assert_eq!((tested.bucket.waiting(), tested.bucket.set_aside()), (0, 0));
}

#[test]
fn replacing_while_the_store_is_away_keeps_the_old_ticket() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Graph"), 7, 20);

    let away = tested.ticket_written(1, AWAY, 21);

    assert_eq!(away, [asked(7, AskAnswer::Unavailable)]);
    assert_eq!(tested.bucket.waiting(), 1);
}

#[test]
fn replacing_that_the_database_refuses_ends_the_ticket_here_and_looks_again() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Graph"), 7, 20);

    let refused = tested.ticket_written(1, not_waiting(&[1]), 21);

    let end = closed(1, TicketOutcome::Refused);
    assert_eq!(refused, [breached(), end, Reconsider(CallId(7))]);
}

#[test]
fn who_withdraws_a_ticket_while_it_is_replaced_is_told_that_it_is_over() {
    let mut tested = Tested::with_put_back();
    tested.ask_again(again("Graph"), 7, 20);
    tested.withdraw(1, 9, 20);

    let stored = tested.ticket_written(1, STORED, 21);

    let last = stored.last();
    assert_eq!(last, Some(&withdrawn(9, WithdrawAnswer::NotPending)));
}

#[test]
fn an_ask_for_a_ticket_that_is_set_aside_waits_for_the_outcome() {
    let mut matched = Tested::with_proposal();
    let mut put_back = Tested::with_proposal();
    matched.ask_again(again("Array"), 7, 20);
    put_back.ask_again(again("Array"), 7, 20);

    let granted = matched.proposal_written(1, STORED, 21);
    let away = put_back.proposal_written(1, AWAY, 21);

    assert_eq!(granted[1..], [Reconsider(CallId(7))]);
    assert_eq!(away, [Reconsider(CallId(7))]);
}

#[test]
fn an_ask_that_meets_a_ticket_whose_end_is_due_waits_for_that_end() {
    let mut tested = Tested::with_waiting(1);

    let due = tested.ask_again(again("Array"), 7, 60_001);
    let stored = tested.ticket_written(1, STORED, 60_002);

    assert_eq!(due, [close(1, TicketOutcome::Expired, 60_001)]);
    assert_eq!(
        stored,
        [closed(1, TicketOutcome::Expired), Reconsider(CallId(7))]
    );
}

#[test]
fn an_ask_for_a_ticket_that_has_moved_on_is_looked_at_again() {
    let mut tested = Tested::new();

    assert_eq!(
        tested.ask_again(again("Array"), 7, 7),
        [Reconsider(CallId(7))]
    );
}
