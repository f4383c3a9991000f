//! Writes about a session.

use diesel::ExpressionMethods;
use matchmaker::domain::{
    Ending, Fate, Refusal, SessionRecord, Side, TicketOutcome, Write, WriteOutcome,
};
use matchmaker::ports::{OpenSession, StoredMatchState, StoredStatus};
use matchmaker::store::schema::{Id, sessions};

use crate::backends::subject::{
    Subject, at_ms, confirm, connect, event_id, match_id, open_session, session, session_id,
    ticket, ticket_id, up_to_confirmed, up_to_match, up_to_session, user,
};

const STORED: WriteOutcome = WriteOutcome::Stored;
const NOT_OPEN: WriteOutcome = WriteOutcome::Refused(Refusal::NotOpen);

fn leave(number: u64, side: Side, at: i64) -> Write {
    Write::LeaveSession {
        session: session_id(number),
        side,
        at: at_ms(at),
    }
}

/// Somebody else writes a row of session `number`, which says that it is that of match `of`.
async fn plant_session(store: &Subject, number: u64, of: u64) {
    let row = (
        sessions::id.eq(Id::from(session_id(number))),
        sessions::match_id.eq(Id::from(match_id(of))),
        sessions::first_user.eq("user-1"),
        sessions::second_user.eq("user-2"),
        sessions::question_id.eq(1),
        sessions::question_title.eq(""),
        sessions::question_difficulty.eq(""),
        sessions::question_topics.eq("[]"),
        sessions::opened_at_ms.eq(1),
        sessions::ends_at_ms.eq(2),
    );
    let planted = diesel::insert_into(sessions::table).values(row);
    let planted = if module_path!().contains("store_on_postgres") {
        let mut connection = connect(store.database()).await;
        diesel_async::RunQueryDsl::execute(planted, &mut connection).await
    } else {
        diesel::RunQueryDsl::execute(planted, &mut store.sqlite())
    };
    assert_eq!(planted, Ok(1));
}

fn opening(session: SessionRecord) -> Write {
    Write::OpenSession {
        session,
        tickets: [1, 2].map(ticket_id),
        event: event_id(1),
        confirms: None,
    }
}

#[tokio::test]
async fn a_confirmed_match_becomes_a_session_and_is_announced() {
    let store = fresh!();

    store.stores(up_to_session(1, [1, 2])).await;

    let record = session(1, [1, 2]);
    let state = StoredMatchState::InSession(Box::new(record.clone()));
    assert_eq!(store.match_state(1).await, Some(state));
    assert_eq!(
        store.records().session(session_id(1)).await,
        Ok(Some(record.clone()))
    );
    for number in [1, 2] {
        let status = store.status(ticket_id(number)).await;
        assert_eq!(status, Some(StoredStatus::Matched(match_id(1))));
    }
    let live = store.live().await;
    let open = OpenSession {
        record,
        tickets: [1, 2].map(ticket_id),
    };
    assert_eq!(live.sessions, [open]);
    assert_eq!((live.tickets, live.matches), (vec![], vec![]));
    let body = r#"{"event_type":"match.found","version":1,"occurred_at":"2025-11-10T06:40:23Z","session_id":"00000000-0000-0000-0000-0000001e8481","question":{"id":17,"title":"Two \"Sum\"","difficulty":"medium","topics":["Array","Hash Table"]},"users":[{"user_id":"user-1"},{"user_id":"user-2"}]}"#;
    let announced = (session_id(1), "match.found".to_owned(), body.to_owned());
    assert_eq!(store.announced().await, [announced]);
}

#[tokio::test]
async fn a_match_without_both_confirmations_becomes_no_session() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;

    let unconfirmed = store.write(open_session(1, [1, 2])).await;
    store.stores([confirm(1, Side::First)]).await;
    let half = store.write(open_session(1, [1, 2])).await;
    let unknown = store.write(open_session(2, [3, 4])).await;

    assert_eq!([unconfirmed, half, unknown], [NOT_OPEN, NOT_OPEN, NOT_OPEN]);
    assert_eq!(store.announced().await, []);
    assert_eq!(store.match_state(1).await, Some(StoredMatchState::Open));
}

#[tokio::test]
async fn the_second_confirmation_is_stored_with_the_session_and_never_the_first() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    let opening = |confirms| Write::OpenSession {
        session: session(1, [1, 2]),
        tickets: [1, 2].map(ticket_id),
        event: event_id(1),
        confirms: Some(confirms),
    };

    let alone = store.write(opening(Side::Second)).await;
    store.stores([confirm(1, Side::First)]).await;
    let again_the_first = store.write(opening(Side::First)).await;
    let together = store.write(opening(Side::Second)).await;
    let repeated = store.write(opening(Side::Second)).await;

    assert_eq!([alone, again_the_first], [NOT_OPEN, NOT_OPEN]);
    assert_eq!([together, repeated], [STORED, STORED]);
    let state = StoredMatchState::InSession(Box::new(session(1, [1, 2])));
    assert_eq!(store.match_state(1).await, Some(state));
    assert_eq!(store.announced().await.len(), 1);
}

#[tokio::test]
async fn a_match_that_has_ended_is_not_confirmed_with_its_session() {
    let store = fresh!();
    store.stores(up_to_match(1, [1, 2])).await;
    store.stores([confirm(1, Side::First)]).await;
    let end = Write::EndMatch {
        match_id: match_id(1),
        ending: Ending::Declined(Side::First),
        tickets: [1, 2].map(ticket_id),
        confirmed: [true, false],
        fates: Box::new([TicketOutcome::Declined, TicketOutcome::Expired].map(Fate::Closed)),
        opens: None,
        at: at_ms(9_000),
    };
    store.stores([end]).await;
    let opening = Write::OpenSession {
        session: session(1, [1, 2]),
        tickets: [1, 2].map(ticket_id),
        event: event_id(1),
        confirms: Some(Side::Second),
    };

    assert_eq!(store.write(opening).await, NOT_OPEN);
    assert_eq!(store.announced().await, []);
}

#[tokio::test]
async fn a_session_is_that_of_its_match_or_none() {
    let store = fresh!();
    store.stores(up_to_confirmed(1, [1, 2])).await;
    let mut other_id = session(1, [1, 2]);
    other_id.id = session_id(9);
    let mut other_user = session(1, [1, 2]);
    other_user.users[1] = user(9);

    assert_eq!(store.write(opening(other_id)).await, NOT_OPEN);
    assert_eq!(store.write(opening(other_user)).await, NOT_OPEN);
    assert_eq!(store.announced().await, []);
}

#[tokio::test]
async fn a_session_whose_row_is_somebody_elses_is_not_opened() {
    let store = fresh!();
    store.stores(up_to_confirmed(1, [1, 2])).await;
    store.stores(up_to_confirmed(2, [3, 4])).await;
    store.stores(up_to_confirmed(3, [5, 6])).await;

    // Another session of the same match, and the same session of another match.
    plant_session(&store, 9, 1).await;
    plant_session(&store, 2, 3).await;
    let opened = [
        open_session(1, [1, 2]),
        open_session(2, [3, 4]),
        open_session(3, [5, 6]),
    ];

    let outcomes = store.write_together(opened).await;
    assert_eq!(outcomes, [NOT_OPEN, NOT_OPEN, NOT_OPEN]);
    assert_eq!(store.announced().await, []);
    for number in 1..=3 {
        let state = store.match_state(number).await;
        assert_eq!(state, Some(StoredMatchState::Open));
    }
}

#[tokio::test]
async fn a_ticket_that_was_discarded_stays_so_when_its_match_becomes_a_session() {
    let store = fresh!();
    store.stores(up_to_confirmed(1, [1, 2])).await;
    let (ticket, at) = (ticket_id(1), at_ms(4_000));
    store.stores([Write::DiscardTicket { ticket, at }]).await;

    store.stores([open_session(1, [1, 2])]).await;

    let refused = StoredStatus::Closed(TicketOutcome::Refused);
    assert_eq!(store.status(ticket).await, Some(refused));
    let matched = Some(StoredStatus::Matched(match_id(1)));
    assert_eq!(store.status(ticket_id(2)).await, matched);
}

#[tokio::test]
async fn opening_a_session_again_neither_changes_nor_announces_it() {
    let store = fresh!();
    store.stores(up_to_session(1, [1, 2])).await;
    let mut later = session(1, [1, 2]);
    later.opened_at = later.opened_at.plus_ms(5_000);
    later.question.id = 18;
    let again = Write::OpenSession {
        session: later,
        tickets: [1, 2].map(ticket_id),
        event: event_id(2),
        confirms: None,
    };

    store.stores([open_session(1, [1, 2]), again]).await;

    let stored = store.records().session(session_id(1)).await;
    assert_eq!(stored, Ok(Some(session(1, [1, 2]))));
    assert_eq!(store.announced().await.len(), 1);
}

#[tokio::test]
async fn leaving_is_kept_by_side_and_the_first_time_counts() {
    let store = fresh!();
    store.stores(up_to_session(1, [1, 2])).await;

    store
        .stores([leave(1, Side::Second, 7_000), leave(1, Side::Second, 8_000)])
        .await;

    let live = store.live().await;
    assert_eq!(live.sessions[0].record.left, [false, true]);
    assert_eq!(store.left_at_ms(1).await, [None, Some(7_000)]);
    assert_eq!(store.write(leave(2, Side::First, 7_000)).await, NOT_OPEN);
}

#[tokio::test]
async fn a_session_is_live_until_both_have_left_or_its_time_is_over() {
    let store = fresh!();
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores(up_to_session(2, [3, 4])).await;

    store
        .stores(Side::BOTH.map(|side| leave(1, side, 7_000)))
        .await;
    let after_leaving = store.live().await;
    store.clock().put_at(session(2, [3, 4]).ends_at.as_ms() - 1);
    let just_in_time = store.live().await;
    store.clock().put_at(session(2, [3, 4]).ends_at.as_ms());
    let over = store.live().await;

    assert_eq!(after_leaving.sessions.len(), 1);
    assert_eq!(after_leaving.sessions[0].record.id, session_id(2));
    assert_eq!(just_in_time.sessions, after_leaving.sessions);
    assert_eq!(over.sessions, []);
    let stored = store.records().session(session_id(1)).await;
    assert_eq!(
        stored.map(|found| found.map(|found| found.left)),
        Ok(Some([true, true]))
    );
}

#[tokio::test]
async fn members_of_a_session_may_ask_again_while_it_goes_on() {
    let store = fresh!();
    store.stores(up_to_session(1, [1, 2])).await;
    let mut next = ticket(11);
    next.user = user(1);

    store.stores([Write::OpenTicket(next.clone())]).await;

    let live = store.live().await;
    assert_eq!(live.tickets, [next]);
    assert_eq!(live.sessions.len(), 1);
}

#[tokio::test]
async fn what_is_unknown_is_not_found() {
    let store = fresh!();

    assert_eq!(store.records().session(session_id(1)).await, Ok(None));
    assert_eq!(store.records().find_match(match_id(1)).await, Ok(None));
    assert_eq!(store.records().ticket(ticket_id(1)).await, Ok(None));
    assert_eq!(store.records().ping().await, Ok(()));
}
