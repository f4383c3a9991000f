//! The second confirmation, stored together with the session or by itself.

use super::*;
use crate::limits::{TOGETHER_MARGIN_MS, TOGETHER_MS};

#[test]
fn the_second_confirmation_is_stored_with_the_session_where_all_is_at_hand() {
    let mut tested = Tested::confirming_together();

    let found = tested.question(Some(question(7)), 1_901);
    let shared = tested.shared(Some(question(7)), 1_902);
    let stored = tested.written(STORED, 1_903);

    let session = record(question(7), 1_902);
    assert_eq!(found, [Share(record(question(7), 1_901))]);
    assert_eq!(shared, [open_session_with(Some(Second), session.clone())]);
    let tickets = [ticket(1).id, ticket(2).id];
    let opened = Session::new(session.clone(), tickets);
    assert_eq!(
        stored,
        [
            Opened(Box::new(opened)),
            ready(1, 7),
            ready(2, 7),
            answer(2, ProposalAnswer::Session(Box::new(session)))
        ]
    );
}

#[test]
fn what_takes_long_is_not_waited_for_and_used_when_it_comes() {
    let mut tested = Tested::confirming_together();
    let until = 1_900 + TOGETHER_MS as i64;

    let wake = tested.tested.next_wake();
    let early = tested.on_time(until - 1);
    let alone = tested.on_time(until);
    let stored = tested.written(STORED, until + 5);
    let wakes_for_nothing = tested.tested.next_wake();
    let found = tested.question(Some(question(7)), until + 9);
    let shared = tested.shared(Some(question(7)), until + 10);

    assert_eq!(wake, Some(at_ms(until)));
    assert_eq!(early, []);
    assert_eq!(alone, [confirmation(Second)]);
    assert_eq!(stored, []);
    assert_eq!(wakes_for_nothing, None);
    assert_eq!(found, [Share(record(question(7), until + 9))]);
    assert_eq!(shared, [open_session(record(question(7), until + 10))]);
}

#[test]
fn where_there_is_no_question_or_no_shared_session_the_confirmation_is_stored_by_itself() {
    let mut unknown = Tested::confirming_together();
    let mut unshared = Tested::confirming_together();
    unshared.question(Some(question(7)), 1_901);

    for effects in [unknown.question(None, 1_902), unshared.shared(None, 1_902)] {
        assert_eq!(effects, [confirmation(Second)]);
    }
    for mut tested in [unknown, unshared] {
        assert_eq!(tested.written(STORED, 1_903), [FindQuestion]);
        let failed = tested.question(None, 1_904);
        assert_eq!(failed, [answer(2, ProposalAnswer::QuestionUnavailable)]);
    }
}

#[test]
fn what_comes_while_the_confirmation_is_stored_by_itself_is_looked_for_again() {
    let mut tested = Tested::confirming_together();
    tested.on_time(2_000);

    let found = tested.question(Some(question(7)), 2_001);
    let stored = tested.written(STORED, 2_002);

    assert_eq!(found, []);
    assert_eq!(stored, [FindQuestion]);
}

#[test]
fn the_shared_session_is_waited_for_however_long_it_takes() {
    let mut tested = Tested::confirming_together();
    tested.question(Some(question(7)), 1_901);

    assert_eq!(tested.tested.next_wake(), None);
    assert_eq!(tested.on_time(9_000), []);
    assert_eq!(tested.shared(None, 9_000), [confirmation(Second)]);
}

#[test]
fn everything_else_waits_for_the_second_confirmation() {
    let mut tested = Tested::confirming_together();

    let declined = tested.decline(1, 3, 1_901);
    let withdrawn_early = tested.withdraw(4, 1_901);
    tested.question(Some(question(7)), 1_902);
    tested.shared(Some(question(7)), 1_902);
    let stored = tested.written(STORED, 1_903);

    assert_eq!((declined, withdrawn_early), (vec![], vec![]));
    assert_eq!(
        stored[4..],
        [
            answer(3, ProposalAnswer::AlreadyConfirmed),
            withdrawn(4, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn where_the_store_takes_neither_the_match_is_as_before_and_its_end_removes_what_was_shared() {
    let mut tested = Tested::confirming_together();
    tested.question(Some(question(7)), 1_901);
    tested.shared(Some(question(7)), 1_901);

    let away = tested.written(AWAY, 1_902);
    let again = tested.confirm(2, 3, 1_903);
    tested.question(None, 1_904);
    tested.written(AWAY, 1_905);
    tested.decline(2, 4, 1_906);
    let declined = tested.written(STORED, 1_907);

    assert_eq!(away, [answer(2, ProposalAnswer::Unavailable)]);
    assert_eq!(again, [FindQuestion]);
    assert_eq!(declined[0], Unshare);
    assert!(declined.contains(&answer(4, ProposalAnswer::Declined)));
}

#[test]
fn while_an_earlier_question_is_awaited_a_confirmation_is_stored_by_itself() {
    let mut tested = Tested::confirming_together();
    tested.on_time(2_000);
    tested.written(AWAY, 2_001);

    let again = tested.confirm(2, 3, 2_002);

    assert_eq!(again, [confirmation(Second)]);
}

#[test]
fn shortly_before_the_end_of_the_window_nothing_is_waited_for() {
    let mut tested = Tested::confirmed_by_first();

    let late = tested.confirm(2, 2, WINDOW_ENDS - TOGETHER_MARGIN_MS as i64);

    assert_eq!(late, [confirmation(Second)]);
}

#[test]
fn time_wins_where_the_server_itself_was_so_late_that_the_window_is_over() {
    let mut by_timer = Tested::confirming_together();
    let mut by_question = Tested::confirming_together();
    by_question.decline(1, 3, 1_901);

    let late = by_timer.on_time(WINDOW_ENDS);
    let found = by_question.question(Some(question(7)), WINDOW_ENDS);

    for effects in [late, found] {
        assert!(
            matches!(
                effects[..],
                [Store(Write::EndMatch {
                    ending: Ending::Expired,
                    confirmed: THE_FIRST,
                    ..
                })]
            ),
            "{effects:?}"
        );
    }
    let ended = by_question.written(STORED, WINDOW_ENDS);
    let gone = |call| answer(call, ProposalAnswer::NotFound);
    assert_eq!(ended[ended.len() - 2..], [gone(2), gone(3)]);
}

#[test]
fn a_match_that_was_half_confirmed_at_the_start_removes_what_may_have_been_shared() {
    let mut tested = Tested::new();
    tested.tested = tested.tested.clone().with_confirmations(THE_FIRST);

    tested.decline(2, 1, 1_000);
    let declined = tested.written(STORED, 1_001);

    assert_eq!(declined[0], Unshare);
}

#[test]
fn where_both_together_are_refused_the_confirmation_by_itself_tells_why() {
    let mut tested = Tested::confirming_together();
    tested.question(Some(question(7)), 1_901);
    tested.shared(Some(question(7)), 1_901);

    let refused = tested.written(REFUSED, 1_902);
    let mut not_open = tested.clone();
    let refused_again = not_open.written(REFUSED, 1_903);
    let stored = tested.written(STORED, 1_903);

    assert_eq!(refused, [confirmation(Second)]);
    assert_eq!(refused_again[0], breached());
    assert!(refused_again.contains(&answer(2, ProposalAnswer::NotFound)));
    assert_eq!(refused_again.last(), Some(&Over));
    assert_eq!(stored, [FindQuestion]);
}
