//! The end of the confirmation window.

use super::*;

#[test]
fn two_silent_ones_are_put_back_and_avoid_each_other() {
    let mut tested = Tested::new();

    let early = tested.on_time(WINDOW_ENDS - 1);
    let due = tested.on_time(WINDOW_ENDS);
    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    let first = ran_out(ticket(1), 2, SILENT, WINDOW_ENDS);
    let second = ran_out(ticket(2), 1, SILENT, WINDOW_ENDS);
    let fates = [Fate::PutBack(first.clone()), Fate::PutBack(second.clone())];
    assert_eq!(early, []);
    assert_eq!(
        due,
        [end(NOBODY, Ending::Expired, fates, None, WINDOW_ENDS)]
    );
    assert_eq!((first.silences, second.silences), (1, 1));
    assert!(!first.may_meet(&second));
    assert_eq!(
        stored,
        [
            PutBack(first),
            PutBack(second),
            expired(1, ExpiryReason::ConfirmationTimeout, true),
            expired(2, ExpiryReason::ConfirmationTimeout, true),
            Over
        ]
    );
}

#[test]
fn who_confirmed_is_put_back_without_a_silence() {
    let mut tested = Tested::confirmed_by_first();

    let due = tested.on_time(WINDOW_ENDS);

    let faithful = ran_out(ticket(1), 2, [false, true], WINDOW_ENDS);
    let silent = ran_out(ticket(2), 1, [true, false], WINDOW_ENDS);
    assert_eq!((faithful.silences, silent.silences), (0, 1));
    let fates = [Fate::PutBack(faithful), Fate::PutBack(silent)];
    assert_eq!(
        due,
        [end(THE_FIRST, Ending::Expired, fates, None, WINDOW_ENDS)]
    );
}

#[test]
fn a_second_silence_in_a_row_ends_the_ticket() {
    let silent = Ticket {
        silences: 1,
        ..ticket(1)
    };
    let mut tested = Tested::of([silent, ticket(2)]);

    let due = tested.on_time(WINDOW_ENDS);
    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    let over = Fate::Closed(TicketOutcome::Expired);
    let second = ran_out(ticket(2), 1, SILENT, WINDOW_ENDS);
    let fates = [over, Fate::PutBack(second.clone())];
    assert_eq!(
        due,
        [end(NOBODY, Ending::Expired, fates, None, WINDOW_ENDS)]
    );
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Expired),
            PutBack(second),
            expired(1, ExpiryReason::ConfirmationTimeout, false),
            expired(2, ExpiryReason::ConfirmationTimeout, true),
            Over
        ]
    );
}

#[test]
fn a_confirmation_takes_earlier_silences_away() {
    let silent = Ticket {
        silences: 1,
        ..ticket(1)
    };
    let mut tested = Tested::of([silent, ticket(2)]);
    tested.confirm(1, 1, 1_000);
    tested.written(STORED, 1_000);

    let due = tested.on_time(WINDOW_ENDS);

    let faithful = ran_out(ticket(1), 2, [false, true], WINDOW_ENDS);
    let silent = ran_out(ticket(2), 1, [true, false], WINDOW_ENDS);
    let fates = [Fate::PutBack(faithful), Fate::PutBack(silent)];
    assert_eq!(
        due,
        [end(THE_FIRST, Ending::Expired, fates, None, WINDOW_ENDS)]
    );
}

#[test]
fn a_late_timer_changes_nothing_for_who_confirms_after_the_window() {
    let mut tested = Tested::confirmed_by_first();

    let late = tested.confirm(2, 2, WINDOW_ENDS);
    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    assert!(matches!(
        late[..],
        [Store(Write::EndMatch {
            ending: Ending::Expired,
            ..
        })]
    ));
    assert_eq!(stored.last(), Some(&answer(2, ProposalAnswer::NotFound)));
}

#[test]
fn an_end_that_the_store_could_not_take_is_tried_again_after_growing_waits() {
    let mut tested = Tested::new();
    tested.on_time(WINDOW_ENDS);

    let away = tested.written(AWAY, WINDOW_ENDS);
    let wake = tested.tested.next_wake();
    let early = tested.on_time(WINDOW_ENDS + 99);
    let due = tested.on_time(WINDOW_ENDS + 100);
    tested.written(AWAY, WINDOW_ENDS + 100);

    assert_eq!((away, early), (vec![], vec![]));
    assert_eq!(wake, Some(at_ms(WINDOW_ENDS + 100)));
    assert!(matches!(
        due[..],
        [Store(Write::EndMatch {
            ending: Ending::Expired,
            ..
        })]
    ));
    assert_eq!(tested.tested.next_wake(), Some(at_ms(WINDOW_ENDS + 300)));
}

#[test]
fn while_the_end_of_the_window_cannot_be_stored_nothing_else_wins() {
    let mut tested = Tested::confirmed_by_first();
    tested.on_time(WINDOW_ENDS);
    tested.confirm(2, 2, WINDOW_ENDS);
    tested.ask_again(again(2, "Graph"), 3, WINDOW_ENDS);

    let away = tested.written(AWAY, WINDOW_ENDS + 1);
    let decline = tested.decline(2, 4, WINDOW_ENDS + 2);
    let ask = tested.ask_again(again(2, "Graph"), 5, WINDOW_ENDS + 2);
    let withdraw = tested.withdraw(6, WINDOW_ENDS + 2);

    let unavailable = ProposalAnswer::Unavailable;
    assert_eq!(
        away,
        [answer(2, unavailable.clone()), Reconsider(CallId(3))]
    );
    assert_eq!(decline, [answer(4, unavailable)]);
    assert_eq!(ask, [asked(5, AskAnswer::Unavailable)]);
    assert_eq!(withdraw, [withdrawn(6, WithdrawAnswer::Unavailable)]);
}

#[test]
fn a_confirmation_whose_failed_write_outlasts_the_window_leaves_the_end_to_time() {
    let mut tested = Tested::confirmed_by_first();
    tested.confirm(2, 2, WINDOW_ENDS - 1);

    let meanwhile = tested.on_time(WINDOW_ENDS);
    let away = tested.written(AWAY, WINDOW_ENDS + 1);
    let retried = tested.on_time(WINDOW_ENDS + 101);

    assert_eq!(meanwhile, []);
    assert_eq!(away, [answer(2, ProposalAnswer::Unavailable)]);
    assert_eq!(retried.len(), 1);
}

#[test]
fn a_second_confirmation_under_way_when_the_window_ends_wins() {
    let mut tested = Tested::confirmed_by_first();
    tested.confirm(2, 2, WINDOW_ENDS - 1);

    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    assert_eq!(stored, [FindQuestion]);
}

#[test]
fn who_asks_or_withdraws_while_the_match_ends_is_looked_at_again() {
    let mut tested = Tested::new();
    tested.on_time(WINDOW_ENDS);
    tested.ask_again(again(1, "Graph"), 3, WINDOW_ENDS);
    tested.withdraw(4, WINDOW_ENDS);

    let stored = tested.written(STORED, WINDOW_ENDS + 1);

    assert_eq!(
        stored[4..],
        [Over, Reconsider(CallId(3)), Reconsider(CallId(4))]
    );
}
