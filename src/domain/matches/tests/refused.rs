//! Writes that the database refuses, and what comes after the end.

use super::*;

#[test]
fn a_confirmation_that_the_database_refuses_ends_the_match_here() {
    let mut tested = Tested::new();
    tested.confirm(1, 1, 1_000);
    tested.confirm(2, 2, 1_000);
    tested.ask_again(again(2, "Array"), 3, 1_000);

    let refused = tested.written(REFUSED, 1_001);

    let gone = ProposalAnswer::NotFound;
    assert_eq!(
        refused,
        [
            breached(),
            closed(1, TicketOutcome::Refused),
            closed(2, TicketOutcome::Refused),
            answer(1, gone.clone()),
            Over,
            answer(2, gone),
            Reconsider(CallId(3))
        ]
    );
    assert_eq!(tested.tested.next_wake(), None);
}

#[test]
fn whatever_the_database_refuses_is_a_breach_and_answers_everybody() {
    let mut declining = Tested::new();
    declining.decline(1, 1, 1_000);
    let mut counting = Tested::new();
    counting.ask_again(again(1, "Array"), 1, 1_000);
    let mut replacing = Tested::new();
    replacing.ask_again(again(1, "Graph"), 1, 1_000);
    let mut expiring = Tested::new();
    expiring.on_time(WINDOW_ENDS);
    let mut opening = Tested::storing_session();

    let gone = |call| answer(call, ProposalAnswer::NotFound);
    let cases = [
        (&mut declining, Some(gone(1))),
        (&mut counting, Some(Reconsider(CallId(1)))),
        (&mut replacing, Some(Reconsider(CallId(1)))),
        (&mut expiring, None),
        (&mut opening, Some(gone(2))),
    ];

    for (tested, expected) in cases {
        let refused = tested.written(REFUSED, WINDOW_ENDS + 1);

        let end = TicketOutcome::Refused;
        assert!(matches!(refused[0], Breached(_)), "{refused:?}");
        assert_eq!(refused[1..3], [closed(1, end), closed(2, end)]);
        let answers = &refused[3..refused.len() - 1];
        assert_eq!(answers, expected.as_slice());
        assert_eq!(refused.last(), Some(&Over));
    }
}

#[test]
fn a_match_that_is_over_answers_as_one_that_is_not_known() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 1_000);
    tested.written(STORED, 1_001);

    assert_eq!(
        tested.confirm(2, 2, 1_002),
        [answer(2, ProposalAnswer::NotFound)]
    );
    assert_eq!(
        tested.ask_again(again(1, "Array"), 3, 1_002),
        [Reconsider(CallId(3))]
    );
    assert_eq!(tested.withdraw(4, 1_002), [Reconsider(CallId(4))]);
    assert_eq!(tested.on_time(GIVES_UP), []);
    assert_eq!(tested.tested.next_wake(), None);
}

#[test]
fn both_are_told_of_the_proposal_each_with_the_others_id_and_the_own_spelling() {
    let mut other = ticket(2);
    other.wish = wish("ARRAY");
    let tested = Tested::of([ticket(1), other]);

    let told = Side::BOTH.map(|side| tested.tested.found(side));

    let found = |partner, topic| Notice::MatchFound {
        match_id: match_id(1),
        partner: user(partner),
        wish: wish(topic),
        expires_at: at_ms(WINDOW_ENDS),
    };
    assert_eq!(told, [found(2, "Array"), found(1, "ARRAY")]);
}
