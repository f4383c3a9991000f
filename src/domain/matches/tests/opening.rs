//! From the second confirmation to the session, or to giving up.

use super::*;

#[test]
fn the_second_confirmation_is_answered_with_the_session_once_its_rows_are_stored() {
    let mut tested = Tested::opening();

    let found = tested.question(Some(question(7)), 2_500);
    let shared = tested.shared(Some(question(7)), 3_000);
    let stored = tested.written(STORED, 3_001);

    let session = record(question(7), 3_000);
    assert_eq!(found, [Share(record(question(7), 2_500))]);
    assert_eq!(shared, [open_session(session.clone())]);
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
    assert_eq!(tested.tested.next_wake(), None);
}

#[test]
fn a_question_that_was_shared_already_is_the_one_used() {
    let mut tested = Tested::opening();
    tested.question(Some(question(7)), 2_500);

    let shared = tested.shared(Some(question(8)), 3_000);

    assert_eq!(shared, [open_session(record(question(8), 3_000))]);
}

#[test]
fn whoever_waits_is_told_that_no_question_can_be_had_and_it_is_tried_again_by_itself() {
    let mut tested = Tested::opening();

    let failed = tested.question(None, 2_000);
    let wake = tested.tested.next_wake();
    let early = tested.on_time(2_099);
    let retried = tested.on_time(2_100);
    let failed_again = tested.question(None, 2_100);

    assert_eq!(failed, [answer(2, ProposalAnswer::QuestionUnavailable)]);
    assert_eq!(wake, Some(at_ms(2_100)));
    assert_eq!(early, []);
    assert_eq!(retried, [FindQuestion]);
    assert_eq!(failed_again, []);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(2_300)));
}

#[test]
fn a_session_that_cannot_be_shared_or_stored_is_like_a_question_that_cannot_be_had() {
    let mut unshared = Tested::opening();
    unshared.question(Some(question(7)), 2_000);
    let mut unstored = Tested::storing_session();

    let shared = unshared.shared(None, 2_000);
    let stored = unstored.written(AWAY, 3_000);

    let unavailable = answer(2, ProposalAnswer::QuestionUnavailable);
    assert_eq!(shared, std::slice::from_ref(&unavailable));
    assert_eq!(stored, [unavailable]);
    assert_eq!(unshared.on_time(2_100), [FindQuestion]);
    assert_eq!(unstored.on_time(3_100), [FindQuestion]);
}

#[test]
fn repeating_a_confirmation_starts_a_try_at_once() {
    let mut tested = Tested::opening_failed();

    let repeated = tested.confirm(1, 3, 2_050);
    let meanwhile = tested.confirm(2, 4, 2_060);
    let failed = tested.question(None, 2_070);

    assert_eq!(repeated, [FindQuestion]);
    assert_eq!(meanwhile, []);
    let unavailable = ProposalAnswer::QuestionUnavailable;
    assert_eq!(
        failed,
        [answer(3, unavailable.clone()), answer(4, unavailable)]
    );
    assert_eq!(tested.tested.next_wake(), Some(at_ms(2_270)));
}

#[test]
fn whoever_confirms_while_the_rows_are_written_gets_the_session_too() {
    let mut tested = Tested::storing_session();
    tested.confirm(1, 3, 3_000);
    tested.decline(1, 4, 3_000);
    tested.ask_again(again(1, "Array"), 5, 3_000);
    tested.withdraw(6, 3_000);

    let stored = tested.written(STORED, 3_001);

    let session = Box::new(record(question(7), 3_000));
    assert_eq!(
        stored[4..],
        [
            answer(3, ProposalAnswer::Session(session)),
            answer(4, ProposalAnswer::AlreadyConfirmed),
            Reconsider(CallId(5)),
            withdrawn(6, WithdrawAnswer::NotPending)
        ]
    );
}

#[test]
fn whoever_confirms_while_the_rows_fail_starts_the_next_try() {
    let mut tested = Tested::storing_session();
    tested.confirm(1, 3, 3_000);

    let away = tested.written(AWAY, 3_001);

    assert_eq!(
        away,
        [answer(2, ProposalAnswer::QuestionUnavailable), FindQuestion]
    );
}

#[test]
fn thirty_seconds_after_the_window_the_opening_is_given_up_and_both_are_put_back() {
    let mut tested = Tested::opening();
    tested.question(None, GIVES_UP - 10);

    let wake = tested.tested.next_wake();
    let early = tested.on_time(GIVES_UP - 1);
    let due = tested.on_time(GIVES_UP);
    let stored = tested.written(STORED, GIVES_UP + 1);

    let (first, second) = (gave_up(1, GIVES_UP), gave_up(2, GIVES_UP));
    let fates = [Fate::PutBack(first.clone()), Fate::PutBack(second.clone())];
    assert_eq!(wake, Some(at_ms(GIVES_UP)));
    assert_eq!(early, []);
    assert_eq!(
        due,
        [end(
            [true, true],
            Ending::QuestionUnavailable,
            fates,
            None,
            GIVES_UP
        )]
    );
    assert!(first.may_meet(&second));
    assert_eq!(
        stored,
        [
            Unshare,
            PutBack(first),
            PutBack(second),
            expired(1, ExpiryReason::QuestionUnavailable, true),
            expired(2, ExpiryReason::QuestionUnavailable, true),
            Over
        ]
    );
}

#[test]
fn a_question_that_comes_after_giving_up_is_not_used() {
    let mut unasked = Tested::opening();
    let mut unshared = Tested::opening();
    unshared.question(Some(question(7)), GIVES_UP - 1);

    let question_found = unasked.question(Some(question(7)), GIVES_UP);
    let shared = unshared.shared(Some(question(7)), GIVES_UP);

    for effects in [question_found, shared] {
        assert_eq!(effects[0], answer(2, ProposalAnswer::QuestionUnavailable));
        assert!(matches!(
            effects[1..],
            [Store(Write::EndMatch {
                ending: Ending::QuestionUnavailable,
                ..
            })]
        ));
    }
}

#[test]
fn rows_under_way_when_it_would_be_given_up_still_win() {
    let mut tested = Tested::opening();
    tested.question(Some(question(7)), GIVES_UP - 1);
    tested.shared(Some(question(7)), GIVES_UP - 1);

    let meanwhile = tested.on_time(GIVES_UP);
    let stored = tested.written(STORED, GIVES_UP + 1);

    assert_eq!(meanwhile, []);
    assert!(matches!(stored[0], Opened(_)));
}

#[test]
fn giving_up_while_the_store_is_away_is_tried_again_after_growing_waits() {
    let mut tested = Tested::opening_failed();
    tested.on_time(GIVES_UP);

    let away = tested.written(AWAY, GIVES_UP);
    let wake = tested.tested.next_wake();
    let early = tested.on_time(GIVES_UP + 199);
    let due = tested.on_time(GIVES_UP + 200);
    tested.written(AWAY, GIVES_UP + 200);

    assert_eq!((away, early), (vec![], vec![]));
    assert_eq!(wake, Some(at_ms(GIVES_UP + 200)));
    assert_eq!(due.len(), 1);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(GIVES_UP + 600)));
}

#[test]
fn a_confirmed_match_read_at_start_begins_with_a_question() {
    let restarted = Tested::new().tested.with_confirmations([true, true]);
    let mut tested = Tested::new();
    tested.tested = restarted;

    assert!(tested.tested.is_opening());
    assert_eq!(tested.on_time(5_000), [FindQuestion]);
}
