//! Confirming, by one and by both.

use super::*;

#[test]
fn a_confirmation_is_answered_once_it_is_stored() {
    let mut tested = Tested::new();

    let confirming = tested.confirm(1, 1, 1_000);
    let stored = tested.written(STORED, 1_001);

    assert_eq!(confirming, [confirmation(First)]);
    assert_eq!(stored, [answer(1, ProposalAnswer::WaitingForPartner)]);
}

#[test]
fn repeating_a_confirmation_gives_the_same_answer_without_a_write() {
    let mut tested = Tested::confirmed_by_first();

    let repeated = tested.confirm(1, 3, 1_500);

    assert_eq!(repeated, [answer(3, ProposalAnswer::WaitingForPartner)]);
}

#[test]
fn a_confirmation_sent_twice_at_once_is_stored_once() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);

    let second = tested.confirm(1, 2, 1_000);
    let stored = tested.written(STORED, 1_001);

    let waits = ProposalAnswer::WaitingForPartner;
    assert_eq!(second, []);
    assert_eq!(stored, [answer(1, waits.clone()), answer(2, waits)]);
}

#[test]
fn both_confirming_at_once_are_stored_one_after_the_other() {
    let mut tested = Tested::new();
    tested.confirm(2, 2, 1_000);

    let parked = tested.confirm(1, 1, 1_000);
    let first_stored = tested.written(STORED, 1_001);
    tested.question(None, 1_001);
    let both_stored = tested.written(STORED, 1_002);

    let waits = answer(2, ProposalAnswer::WaitingForPartner);
    assert_eq!(parked, []);
    assert_eq!(first_stored, [waits, FindQuestion]);
    assert_eq!(both_stored, [FindQuestion]);
    assert!(tested.tested.is_opening());
}

#[test]
fn a_confirmation_that_the_store_could_not_take_changes_nothing() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);

    let away = tested.written(AWAY, 1_001);

    assert_eq!(away, [answer(1, ProposalAnswer::Unavailable)]);
    assert_eq!(tested.confirm(1, 2, 1_002), [confirmation(First)]);
    assert_eq!(tested.written(STORED, 1_003).len(), 1);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(WINDOW_ENDS)));
}

#[test]
fn a_stranger_moves_nothing_and_waits_for_nothing() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);

    let confirming = tested.tested.command(
        MatchCommand::Confirm(user(3), CallId(8)),
        None,
        at_ms(1_000),
    );
    let declining = tested.tested.command(
        MatchCommand::Decline(user(3), CallId(9)),
        None,
        at_ms(1_000),
    );

    assert_eq!(confirming, [answer(8, ProposalAnswer::NotFound)]);
    assert_eq!(declining, [answer(9, ProposalAnswer::NotFound)]);
}

#[test]
fn what_waits_for_a_write_is_bounded() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);
    for call in 0..PARKED_MAX as u64 {
        assert_eq!(tested.confirm(2, 100 + call, 1_000), []);
    }

    let (confirm, decline) = (tested.confirm(2, 200, 1_000), tested.decline(2, 201, 1_000));
    let (ask, withdraw) = (
        tested.ask_again(again(2, "Array"), 202, 1_000),
        tested.withdraw(203, 1_000),
    );

    assert_eq!(confirm, [answer(200, ProposalAnswer::Busy)]);
    assert_eq!(decline, [answer(201, ProposalAnswer::Busy)]);
    assert_eq!(ask, [asked(202, AskAnswer::Busy)]);
    assert_eq!(withdraw, [withdrawn(203, WithdrawAnswer::Busy)]);
}

#[test]
fn who_waits_for_the_session_is_bounded() {
    let mut tested = Tested::opening();
    for call in 1..PARKED_MAX as u64 {
        assert_eq!(tested.confirm(1, 100 + call, 2_000), []);
    }

    assert_eq!(
        tested.confirm(1, 200, 2_000),
        [answer(200, ProposalAnswer::Busy)]
    );
}

#[test]
fn an_end_names_the_confirmations_that_are_stored() {
    let mut unstored = Tested::confirmed_by_first();
    unstored.confirm(2, 2, 5_000);
    unstored.question(None, 5_001);
    unstored.written(AWAY, 5_001);
    let mut restarted = Tested::new();
    restarted.tested = restarted.tested.with_confirmations(THE_FIRST);

    for mut tested in [unstored, restarted] {
        let due = tested.on_time(WINDOW_ENDS);

        assert!(
            matches!(
                due[..],
                [Store(Write::EndMatch {
                    confirmed: THE_FIRST,
                    ..
                })]
            ),
            "{due:?}"
        );
    }
}
