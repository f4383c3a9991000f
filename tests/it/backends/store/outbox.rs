//! Announcements, from their session to their removal.

use matchmaker::domain::Timestamp;
use matchmaker::ports::{Outbox, OutboxBacklog};

use crate::backends::subject::{Subject, at_ms, event_id, session, up_to_session};

async fn with_sessions(store: &Subject, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let tickets = [2 * number, 2 * number + 1];
        store.stores(up_to_session(number, tickets)).await;
    }
}

fn opened_at() -> Timestamp {
    session(1, [2, 3]).opened_at
}

async fn due(store: &Subject, now: Timestamp, limit: usize) -> Vec<matchmaker::domain::EventId> {
    let due = store.outbox().due(now, limit).await;
    let due = due.expect("the store answers");
    due.into_iter()
        .map(|announcement| announcement.id)
        .collect()
}

#[tokio::test]
async fn what_is_announced_is_due_at_once_in_the_order_of_storing() {
    let store = fresh!();
    with_sessions(&store, [3, 1, 2]).await;

    let all = store.outbox().due(opened_at(), 10).await;
    let all = all.expect("the store answers");

    let ids: Vec<_> = all.iter().map(|announcement| announcement.id).collect();
    assert_eq!(ids, [3, 1, 2].map(event_id));
    let record = session(3, [6, 7]);
    assert_eq!(all[0].session, record.id);
    assert_eq!(all[0].created_at, record.opened_at);
    assert_eq!(all[0].session_ends_at, record.ends_at);
    assert_eq!(
        (all[0].attempts, all[0].routing_key.as_str()),
        (0, "match.found")
    );
    assert!(all[0].body.contains("\"match.found\""));
    assert_eq!(due(&store, opened_at(), 2).await, [3, 1].map(event_id));
    assert_eq!(due(&store, at_ms(opened_at().as_ms() - 1), 9).await, []);
}

#[tokio::test]
async fn what_was_put_off_is_due_again_at_its_time() {
    let store = fresh!();
    with_sessions(&store, [1, 2, 3]).await;
    let later = |ms| opened_at().plus_ms(ms);

    let put_off = [(event_id(1), later(500)), (event_id(3), later(200))];
    store
        .outbox()
        .put_off(&put_off)
        .await
        .expect("the store answers");

    assert_eq!(due(&store, opened_at(), 9).await, [event_id(2)]);
    assert_eq!(due(&store, later(200), 9).await, [2, 3].map(event_id));
    let all = store
        .outbox()
        .due(later(500), 9)
        .await
        .expect("the store answers");
    let attempts: Vec<u32> = all
        .iter()
        .map(|announcement| announcement.attempts)
        .collect();
    assert_eq!(attempts, [1, 0, 1]);
}

#[tokio::test]
async fn what_was_sent_is_due_no_more_and_is_removed_in_steps() {
    let store = fresh!();
    with_sessions(&store, [1, 2, 3, 4]).await;
    let outbox = store.outbox();
    let backlog = outbox.backlog().await.expect("the store answers");
    assert_eq!((backlog.rows, backlog.oldest), (4, Some(opened_at())));

    outbox
        .mark_sent(&[1, 2].map(event_id), at_ms(10))
        .await
        .expect("the store answers");
    outbox
        .mark_sent(&[event_id(3)], at_ms(20))
        .await
        .expect("the store answers");
    // Marked again, it keeps its time; put off, it stays sent.
    outbox
        .mark_sent(&[event_id(1)], at_ms(99))
        .await
        .expect("the store answers");
    outbox
        .put_off(&[(event_id(1), at_ms(0))])
        .await
        .expect("the store answers");

    assert_eq!(due(&store, opened_at(), 9).await, [event_id(4)]);
    assert_eq!(outbox.remove_sent(at_ms(20), 1).await, Ok(1));
    assert_eq!(outbox.remove_sent(at_ms(20), 9).await, Ok(1));
    assert_eq!(outbox.remove_sent(at_ms(20), 9).await, Ok(0));
    assert_eq!(outbox.remove_sent(at_ms(21), 9).await, Ok(1));
    outbox
        .mark_sent(&[event_id(4)], at_ms(30))
        .await
        .expect("the store answers");
    assert_eq!(outbox.backlog().await, Ok(OutboxBacklog::default()));
    assert_eq!(outbox.mark_sent(&[], at_ms(1)).await, Ok(()));
}
