//! The server ends itself between two steps of an announcement, and is started again.

use std::collections::BTreeMap;

use super::looks::{listening, shared_neighbours};
use super::rabbitmq::{WAITING_ROWS, rows};
use crate::harness::scenes::Pair;
use crate::harness::*;
use crate::servers::Collaboration;

#[actix_rt::test]
async fn between_any_two_steps_of_an_announcement_it_is_kept_and_repeated_as_it_was() {
    let neighbours = shared_neighbours();
    let (broker, database) = (neighbours.vhost.url(), neighbours.database.url());
    let server = Options::on(Backends::from(neighbours)).start().await;
    let mut collaboration = listening(&broker).await;
    let mut copies: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let places = ["publish", "mark_sent"]
        .into_iter()
        .flat_map(|step| ["before", "after"].map(|when| (when, step)));
    for (when, step) in places {
        let place = format!("{when}:{step}");
        server.restart_until(&place).await;
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {place}"));
        let pair = scenes::pair(&server, &first, &second, &place).await;
        let session = crashes_after_confirmation(&server, &pair).await;
        let sent_before = matches!((when, step), ("after", "publish") | ("before", "mark_sent"));
        let least = if sent_before { 2 } else { 1 };
        while copies.get(&session).map_or(0, Vec::len) < least {
            let (of, copy) = next_event(&mut collaboration).await;
            copies.entry(of).or_default().push(copy);
        }
        // Else the next start would have something to announce before it is ready.
        everything_is_marked(&database).await;
    }

    assert_eq!(copies.len(), 4, "no event but those of sessions");
    for copies in copies.values() {
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{copies:?}");
    }
}

/// Both confirm, and the process may end before the second is answered. Gives their session.
async fn crashes_after_confirmation(server: &Server, pair: &Pair) -> String {
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let _ = pair.second.answering(&pair.match_id, true).try_send().await;
    server.crashes().await;
    server.restart_for_good().await;
    let status = server.match_status(&pair.match_id).await;
    text(status.expect(200), "session_id").to_owned()
}

/// The session of the next message, with the message's id and body.
async fn next_event(collaboration: &mut Collaboration) -> (String, (String, String)) {
    let (properties, body) = collaboration.next().await.expect("the connection holds");
    let event: Value = serde_json::from_str(&body).expect("JSON");
    let id = properties.message_id().as_ref().expect("an id").to_string();
    (text(&event, "session_id").to_owned(), (id, body))
}

async fn everything_is_marked(database: &str) {
    eventually("it is marked", async || {
        (rows(database, WAITING_ROWS).await == 0).then_some(())
    })
    .await;
}

async fn is_put_off_and_sent_later(place: &str) {
    let neighbours = shared_neighbours();
    let (broker, database) = (neighbours.vhost.url(), neighbours.database.url());
    let rows_of = Database::Postgres(database.clone());
    let options = Options::on(Backends::from(neighbours));
    let server = options.with("CRASH_AT", place).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;

    // No queue takes it, so it is put off.
    let session = crashes_after_confirmation(&server, &pair).await;
    assert_eq!(rows(&database, WAITING_ROWS).await, 1, "{place}");
    let events = rows_of
        .texts("SELECT event_id::text AS text FROM outbox")
        .await;
    let mut collaboration = listening(&broker).await;
    let (of, (id, _)) = next_event(&mut collaboration).await;

    assert_eq!(
        (of, [id].as_slice()),
        (session, events.as_slice()),
        "{place}"
    );
    everything_is_marked(&database).await;
}

#[actix_rt::test]
async fn between_the_steps_of_putting_an_announcement_off_it_is_kept_and_sent_once_a_queue_takes_it()
 {
    join_all(["before:put_off", "after:put_off"].map(is_put_off_and_sent_later)).await;
}

#[actix_rt::test]
async fn between_the_steps_of_removing_what_was_sent_it_goes_and_is_not_sent_again() {
    let neighbours = shared_neighbours();
    let (broker, database) = (neighbours.vhost.url(), neighbours.database.url());
    let server = Options::on(Backends::from(neighbours)).start().await;
    let mut collaboration = listening(&broker).await;
    let open_one = async |topic: &str| {
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {topic}"));
        let pair = scenes::pair(&server, &first, &second, topic).await;
        pair.open_session().await
    };
    let session = open_one("Array").await;
    assert_eq!(next_event(&mut collaboration).await.0, session);
    everything_is_marked(&database).await;
    server.kill();
    let long_ago = "UPDATE outbox SET sent_at_ms = 0";
    Database::Postgres(database.clone()).run(long_ago).await;

    let all = "SELECT count(*) AS rows FROM outbox";
    for (place, left) in [("before:remove_sent", 1), ("after:remove_sent", 0)] {
        server.start_until(place);
        server.crashes().await;
        assert_eq!(rows(&database, all).await, left, "{place}");
    }
    server.restart_for_good().await;

    server.session(&session).await.expect(200);
    let next = open_one("Graph").await;
    assert_eq!(next_event(&mut collaboration).await.0, next);
}
