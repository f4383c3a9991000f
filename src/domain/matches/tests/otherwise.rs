//! Ends that the database refuses because another server has added something to the match.

use super::*;

/// The match is open, with these confirmations and this end of its window.
fn stored_otherwise(confirmed: [bool; 2], expires_at: i64) -> WriteOutcome {
    WriteOutcome::Refused(Refusal::OpenOtherwise {
        confirmed,
        expires_at: at_ms(expires_at),
    })
}

const THE_SECOND: [bool; 2] = [false, true];
const BOTH: [bool; 2] = [true, true];

#[test]
fn who_confirmed_at_another_server_is_not_silent_when_the_window_ends() {
    let silent = Ticket {
        silences: 1,
        ..ticket(2)
    };
    let mut tested = Tested::of([ticket(1), silent]);
    tested.on_time(WINDOW_ENDS);

    let again = tested.written(stored_otherwise(THE_SECOND, WINDOW_ENDS), WINDOW_ENDS + 1);
    let stored = tested.written(STORED, WINDOW_ENDS + 2);

    let first = ran_out(ticket(1), 2, [true, false], WINDOW_ENDS + 1);
    let second = ran_out(ticket(2), 1, [false, true], WINDOW_ENDS + 1);
    let fates = [Fate::PutBack(first.clone()), Fate::PutBack(second.clone())];
    let write = end(THE_SECOND, Ending::Expired, fates, None, WINDOW_ENDS + 1);
    assert_eq!(again, [write]);
    assert_eq!(stored[..3], [Unshare, PutBack(first), PutBack(second)]);
}

#[test]
fn what_both_confirmed_at_two_servers_becomes_a_session() {
    let mut tested = Tested::confirmed_by_first();
    tested.on_time(WINDOW_ENDS);

    let learned = tested.written(stored_otherwise(BOTH, WINDOW_ENDS), WINDOW_ENDS + 1);
    tested.question(Some(question(7)), WINDOW_ENDS + 2);
    let shared = tested.shared(Some(question(7)), WINDOW_ENDS + 3);

    assert_eq!(learned, [FindQuestion]);
    let session = record(question(7), WINDOW_ENDS + 3);
    assert_eq!(shared, [open_session(session)]);
}

#[test]
fn whoever_declines_is_heard_again_before_all_others() {
    let mut tested = Tested::new();
    tested.decline(2, 1, 5_000);
    tested.confirm(2, 2, 5_000);

    let again = tested.written(stored_otherwise(THE_FIRST, WINDOW_ENDS), 5_001);
    let stored = tested.written(STORED, 5_002);

    let back = declined_by(2, ticket(1), 5_001);
    let declined = Fate::Closed(TicketOutcome::Declined);
    let fates = [Fate::PutBack(back), declined];
    let write = end(THE_FIRST, Ending::Declined(Second), fates, None, 5_001);
    assert_eq!(again, [write]);
    assert!(stored.contains(&answer(1, ProposalAnswer::Declined)));
    assert_eq!(stored.last(), Some(&answer(2, ProposalAnswer::NotFound)));
}

#[test]
fn declining_is_too_late_where_both_confirmed_meanwhile() {
    let mut tested = Tested::new();
    tested.decline(1, 1, 5_000);
    // By another server.
    let match_id = match_id(1);
    let confirmed = Side::BOTH.map(|side| Write::ConfirmMatch { match_id, side });
    tested.stored.extend(confirmed);

    let learned = tested.written(stored_otherwise(BOTH, WINDOW_ENDS), 5_001);

    let late = answer(1, ProposalAnswer::AlreadyConfirmed);
    assert_eq!(learned, [FindQuestion, late]);
}

#[test]
fn whoever_asks_elsewhere_is_looked_at_again() {
    let mut tested = Tested::new();
    tested.ask_again(again(1, "Graph"), 1, 5_000);

    let learned = tested.written(stored_otherwise(THE_FIRST, WINDOW_ENDS), 5_001);
    let asking = tested.ask_again(again(1, "Graph"), 1, 5_002);

    assert_eq!(learned, [Reconsider(CallId(1))]);
    let (ticket, matched) = (ticket(1).id, true);
    let duplicate = AskAnswer::Duplicate { ticket, matched };
    assert_eq!(asking, [asked(1, duplicate)]);
}

#[test]
fn a_window_that_another_server_extended_is_kept_to_its_later_end() {
    let later = WINDOW_ENDS + 10_000;
    let mut tested = Tested::new();
    tested.on_time(WINDOW_ENDS);
    // A store that was away: the next try would have been due at once.
    tested.written(AWAY, WINDOW_ENDS);
    tested.on_time(WINDOW_ENDS + 1_000);

    let learned = tested.written(stored_otherwise(NOBODY, later), WINDOW_ENDS + 1_001);

    assert_eq!(learned, []);
    assert_eq!(tested.tested.next_wake(), Some(at_ms(later)));
    assert_eq!(tested.on_time(later - 1), []);
    assert_eq!(tested.on_time(later).len(), 1);
}

#[test]
fn a_refusal_that_tells_nothing_new_or_forgets_a_confirmation_is_a_breach() {
    let mut nothing_new = Tested::new();
    nothing_new.on_time(WINDOW_ENDS);
    let mut forgotten = Tested::confirmed_by_first();
    forgotten.on_time(WINDOW_ENDS);

    for (mut tested, confirmed) in [(nothing_new, NOBODY), (forgotten, THE_SECOND)] {
        let refused = tested.written(stored_otherwise(confirmed, WINDOW_ENDS), WINDOW_ENDS);

        assert_eq!(refused[0], breached());
        assert_eq!(refused.last(), Some(&Over));
    }
}
