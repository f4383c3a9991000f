//! Declining, before and after the partner answered.

use super::*;

#[test]
fn declining_closes_the_own_ticket_and_puts_the_partner_back_in_place() {
    let mut tested = Tested::new();

    let declining = tested.decline(1, 1, 5_000);
    let stored = tested.written(STORED, 5_001);

    let partner = declined_by(1, ticket(2), 5_000);
    let declined = Fate::Closed(TicketOutcome::Declined);
    let fates = [declined, Fate::PutBack(partner.clone())];
    assert_eq!(
        declining,
        [end(NOBODY, Ending::Declined(First), fates, None, 5_000)]
    );
    assert_eq!(partner.place(), ticket(2).place());
    assert_eq!(partner.waits_until, at_ms(65_000));
    assert_eq!(
        stored,
        [
            closed(1, TicketOutcome::Declined),
            PutBack(partner),
            answer(1, ProposalAnswer::Declined),
            expired(2, ExpiryReason::PartnerDeclined, true),
            Over
        ]
    );
}

#[test]
fn the_younger_side_declines_likewise_also_after_the_partner_confirmed() {
    let mut tested = Tested::confirmed_by_first();

    let declining = tested.decline(2, 2, 5_000);
    let stored = tested.written(STORED, 5_001);

    let partner = declined_by(2, ticket(1), 5_000);
    let declined = Fate::Closed(TicketOutcome::Declined);
    let fates = [Fate::PutBack(partner.clone()), declined];
    assert_eq!(
        declining,
        [end(THE_FIRST, Ending::Declined(Second), fates, None, 5_000)]
    );
    assert_eq!(
        stored,
        [
            PutBack(partner),
            closed(2, TicketOutcome::Declined),
            answer(2, ProposalAnswer::Declined),
            expired(1, ExpiryReason::PartnerDeclined, true),
            Over
        ]
    );
}

#[test]
fn who_has_confirmed_may_still_decline_while_the_partner_has_not_answered() {
    let mut tested = Tested::confirmed_by_first();

    let declining = tested.decline(1, 2, 5_000);

    assert!(matches!(
        declining[..],
        [Store(Write::EndMatch {
            ending: Ending::Declined(First),
            ..
        })]
    ));
}

#[test]
fn after_both_confirmed_nobody_declines() {
    let mut tested = Tested::opening();

    let declining = tested.decline(1, 3, 2_500);

    assert_eq!(declining, [answer(3, ProposalAnswer::AlreadyConfirmed)]);
}

#[test]
fn declining_twice_at_once_gives_the_same_answer_twice() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);

    let second = tested.decline(1, 2, 5_000);
    let stored = tested.written(STORED, 5_001);
    let later = tested.decline(1, 3, 5_002);

    assert_eq!(second, []);
    assert_eq!(stored.last(), Some(&answer(2, ProposalAnswer::Declined)));
    assert_eq!(later, [answer(3, ProposalAnswer::Declined)]);
}

#[test]
fn a_confirmation_that_comes_with_the_partners_decline_is_not_found() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);
    tested.confirm(2, 2, 5_000);
    tested.decline(2, 3, 5_000);

    let stored = tested.written(STORED, 5_001);

    let gone = ProposalAnswer::NotFound;
    assert_eq!(stored[5..], [answer(2, gone.clone()), answer(3, gone)]);
}

#[test]
fn a_decline_that_comes_with_the_partners_confirmation_wins_when_the_store_was_away() {
    let mut tested = Tested::confirmed_by_first();
    tested.confirm(2, 2, 5_000);
    tested.decline(2, 3, 5_000);
    tested.question(None, 5_001);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away[0], answer(2, ProposalAnswer::Unavailable));
    assert!(matches!(
        away[1..],
        [Store(Write::EndMatch {
            ending: Ending::Declined(Second),
            ..
        })]
    ));
}

#[test]
fn a_decline_that_the_store_could_not_take_changes_nothing() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away, [answer(1, ProposalAnswer::Unavailable)]);
    assert_eq!(tested.confirm(1, 2, 5_002), [confirmation(First)]);
}

#[test]
fn a_partner_who_was_silent_before_stays_so_when_put_back_by_a_decline() {
    let silent = Ticket {
        silences: 1,
        ..ticket(2)
    };
    let mut tested = Tested::of([ticket(1), silent.clone()]);
    tested.decline(1, 1, 5_000);

    let stored = tested.written(STORED, 5_001);

    assert_eq!(stored[1], PutBack(declined_by(1, silent, 5_000)));
}

#[test]
fn confirming_ends_the_row_of_silences_also_across_a_restart() {
    let silent = Ticket {
        silences: 1,
        ..ticket(2)
    };
    let mut restarted = Tested::of([ticket(1), silent.clone()]);
    restarted.tested = restarted.tested.with_confirmations([false, true]);
    let mut tested = Tested::of([ticket(1), silent]);
    tested.confirm(2, 2, 1_000);
    tested.written(STORED, 1_000);

    for mut tested in [tested, restarted] {
        tested.decline(1, 1, 5_000);
        let stored = tested.written(STORED, 5_001);

        let back = declined_by(1, ticket(2), 5_000);
        assert!(stored.contains(&PutBack(back)), "{stored:?}");
    }
}

#[test]
fn a_parked_decline_whose_caller_has_been_refused_meanwhile_is_dropped() {
    let mut tested = Tested::new();
    tested.ask_again(again(1, "Array"), 3, 1_000);
    let mut command =
        |command, by, now| tested.tested.command(command, Some(at_ms(by)), at_ms(now));
    command(MatchCommand::Decline(user(1), CallId(4)), 2_000, 1_100);
    command(MatchCommand::Confirm(user(1), CallId(5)), 7_000, 6_100);

    let effects = tested.written(STORED, 6_200);

    assert_eq!(
        effects[1..],
        [
            Answer(CallId(4), ProposalAnswer::Unavailable),
            Store(Write::ConfirmMatch {
                match_id: match_id(1),
                side: First
            }),
        ]
    );
    assert_eq!(tested.tested.write_by(), Some(at_ms(7_000)));
}
