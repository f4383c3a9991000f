//! Asking again and withdrawing while in a match.

use super::*;

#[test]
fn who_has_not_answered_and_asks_for_the_same_bucket_keeps_the_ticket_as_it_stands() {
    let mut tested = Tested::new();

    let counting = tested.ask_again(again(1, "ARRAY"), 3, 5_000);
    let stored = tested.written(STORED, 5_001);

    let ticket = Box::new(Ticket {
        asks: 1,
        ..ticket(1)
    });
    let matched = true;
    assert_eq!(counting, [count(1, 1)]);
    assert_eq!(stored, [asked(3, AskAnswer::Ticket { ticket, matched })]);
    assert_eq!(tested.ask_again(again(1, "Array"), 4, 5_002), [count(1, 2)]);
}

#[test]
fn counting_while_the_store_is_away_changes_nothing() {
    let mut tested = Tested::new();
    tested.ask_again(again(2, "Array"), 3, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away, [asked(3, AskAnswer::Unavailable)]);
    assert_eq!(tested.ask_again(again(2, "Array"), 4, 5_002), [count(2, 1)]);
}

#[test]
fn asking_again_before_the_end_does_not_end_the_avoidance_after_it() {
    let mut tested = Tested::new();
    tested.ask_again(again(1, "Array"), 3, 5_000);
    tested.written(STORED, 5_001);
    tested.on_time(WINDOW_ENDS);

    let stored = tested.written(STORED, WINDOW_ENDS);

    let [PutBack(first), PutBack(second), ..] = &stored[..] else {
        panic!("both are put back: {stored:?}");
    };
    assert!(!first.may_meet(second));
    let asked_again = Ticket {
        asks: 2,
        ..first.clone()
    };
    assert!(asked_again.may_meet(second));
}

#[test]
fn who_has_not_answered_and_asks_for_another_bucket_declines_and_gets_a_ticket_there() {
    let mut tested = Tested::confirmed_by_first();

    let replacing = tested.ask_again(again(2, "Graph"), 3, 5_000);
    let stored = tested.written(STORED, 5_001);

    let new = again(2, "Graph");
    let partner = declined_by(2, ticket(1), 5_000);
    let replaced = Fate::Closed(TicketOutcome::Replaced);
    let fates = [Fate::PutBack(partner.clone()), replaced];
    let ending = Ending::Declined(Second);
    assert_eq!(
        replacing,
        [end(THE_FIRST, ending, fates, Some(new.clone()), 5_000)]
    );
    let (ticket, matched) = (Box::new(new.clone()), false);
    let old = self::ticket(2).id;
    assert_eq!(
        stored,
        [
            PutBack(partner),
            Replaced { old, new },
            expired(1, ExpiryReason::PartnerDeclined, true),
            asked(3, AskAnswer::Ticket { ticket, matched }),
            Over
        ]
    );
}

#[test]
fn replacing_while_the_store_is_away_changes_nothing() {
    let mut tested = Tested::new();
    tested.ask_again(again(1, "Graph"), 3, 5_000);

    let away = tested.written(AWAY, 5_001);

    assert_eq!(away, [asked(3, AskAnswer::Unavailable)]);
    assert_eq!(tested.confirm(1, 1, 5_002), [confirmation(First)]);
}

#[test]
fn who_has_confirmed_and_asks_again_is_told_of_the_duplicate() {
    let mut tested = Tested::confirmed_by_first();

    let asking = tested.ask_again(again(1, "Graph"), 3, 5_000);

    let duplicate = AskAnswer::Duplicate {
        ticket: ticket(1).id,
        matched: true,
    };
    assert_eq!(asking, [asked(3, duplicate)]);
}

#[test]
fn a_matched_ticket_cannot_be_withdrawn() {
    let mut tested = Tested::new();

    assert_eq!(
        tested.withdraw(3, 5_000),
        [withdrawn(3, WithdrawAnswer::NotPending)]
    );
}
