use serde_json::json;
use uuid::Uuid;

use crate::events::{EventBook, Sessions};

const SESSION: Uuid = Uuid::from_u128(1);

fn event(session: Uuid, members: [&str; 2]) -> Vec<u8> {
    let users = members.map(|user_id| json!({"user_id": user_id}));
    json!({
        "event_type": "match.found", "version": 1, "occurred_at": "2025-11-10T06:40:23Z",
        "session_id": session, "question": {"id": 17}, "users": users,
    })
    .to_string()
    .into_bytes()
}

fn sessions() -> Sessions {
    let members = ["anna", "bert"].map(str::to_owned);
    Sessions::from([(SESSION, members)])
}

fn violations(book: &EventBook) -> Vec<String> {
    book.compare(&sessions()).shown
}

#[test]
fn an_event_for_each_session_fits_and_may_come_again() {
    let mut book = EventBook::default();
    assert!(!book.has_all(&sessions()));

    book.take(Some("one"), &event(SESSION, ["bert", "anna"]));
    book.take(Some("one"), &event(SESSION, ["bert", "anna"]));

    assert!(book.has_all(&sessions()));
    assert_eq!((book.messages(), book.repeated()), (2, 1));
    assert_eq!(violations(&book), [""; 0]);
}

#[test]
fn a_session_without_its_event_is_a_violation() {
    let book = EventBook::default();

    let expected = format!("session {SESSION} was never announced");
    assert_eq!(violations(&book), [expected]);
}

#[test]
fn an_event_of_a_session_that_nobody_knows_is_a_violation() {
    let mut book = EventBook::default();
    let other = Uuid::from_u128(2);

    book.take(Some("one"), &event(SESSION, ["anna", "bert"]));
    book.take(Some("two"), &event(other, ["anna", "bert"]));

    let expected = format!("session {other} was announced, but nobody was told of it");
    assert_eq!(violations(&book), [expected]);
}

#[test]
fn two_different_events_of_one_session_are_a_violation() {
    let mut book = EventBook::default();

    book.take(Some("one"), &event(SESSION, ["anna", "bert"]));
    book.take(Some("two"), &event(SESSION, ["anna", "bert"]));

    let expected = format!("session {SESSION} has 2 different events");
    assert_eq!(violations(&book), [expected]);
}

#[test]
fn the_members_are_those_who_were_told() {
    let mut book = EventBook::default();

    book.take(Some("one"), &event(SESSION, ["anna", "carl"]));

    let found = violations(&book);
    assert!(found[0].contains("was announced with"), "{found:?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn an_event_that_is_no_event_or_has_no_id_is_a_violation() {
    let mut book = EventBook::default();

    book.take(Some("one"), b"{}");
    book.take(None, &event(SESSION, ["anna", "bert"]));
    book.take(Some("two"), &event(SESSION, ["anna", "bert"]));

    let found = violations(&book);
    assert!(found[0].contains("does not keep the contract"), "{found:?}");
    assert!(found[1].contains("no message id"), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_over_is_forgotten_once_it_was_announced_and_a_repeated_delivery_is_still_known() {
    let mut book = EventBook::default();

    let waiting = book.settle(sessions());
    assert_eq!(waiting, sessions());
    book.take(Some("one"), &event(SESSION, ["anna", "bert"]));
    let waiting = book.settle(waiting);
    book.take(Some("one"), &event(SESSION, ["anna", "bert"]));
    book.settle(Sessions::new());
    book.take(Some("one"), &event(SESSION, ["anna", "bert"]));

    assert_eq!(waiting, Sessions::new());
    assert_eq!(
        (book.sessions(), book.messages(), book.repeated()),
        (1, 3, 2)
    );
    assert_eq!(book.compare(&Sessions::new()).shown, [""; 0]);
}

#[test]
fn what_does_not_fit_is_found_before_it_is_forgotten_and_after() {
    let mut book = EventBook::default();
    let other = Uuid::from_u128(2);
    book.take(Some("one"), &event(SESSION, ["anna", "carl"]));
    book.take(Some("two"), &event(other, ["dora", "emil"]));
    let mut over = sessions();
    over.insert(other, ["dora", "emil"].map(str::to_owned));

    book.settle(over);
    book.take(Some("three"), &event(other, ["dora", "emil"]));

    let found = book.compare(&Sessions::new()).shown;
    assert!(found[0].contains("was announced with"), "{found:?}");
    assert!(found[1].contains("has another event"), "{found:?}");
    assert_eq!(found.len(), 2);
}
