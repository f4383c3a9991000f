//! The server ends itself between two steps of an announcement, and is started again.

use std::collections::BTreeMap;

use super::looks::shared_neighbours;
use super::rabbitmq::{WAITING_ROWS, rows};
use crate::harness::*;
use crate::servers::Collaboration;

#[actix_rt::test]
async fn between_any_two_steps_of_an_announcement_it_is_kept_and_repeated_as_it_was() {
    let neighbours = shared_neighbours();
    let (broker, database) = (neighbours.vhost.url(), neighbours.database.url());
    let server = Options::on(Backends::from(neighbours)).start().await;
    // The exchange is the server's, and it may not be there yet.
    let mut collaboration = eventually("the queue is bound", async || {
        Collaboration::listen(&broker).await.ok()
    })
    .await;
    let mut copies: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let places = ["publish", "mark_sent"]
        .into_iter()
        .flat_map(|step| ["before", "after"].map(|when| (when, step)));
    for (when, step) in places {
        let place = format!("{when}:{step}");
        server.restart_until(&place).await;
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {place}"));
        let pair = scenes::pair(&server, &first, &second, &place).await;
        pair.first.confirm(&pair.match_id, true).await.expect(200);
        // The process may end before this is answered.
        let _ = pair.second.answering(&pair.match_id, true).try_send().await;

        server.crashes().await;
        server.restart_for_good().await;

        let status = server.match_status(&pair.match_id).await;
        let session = text(status.expect(200), "session_id").to_owned();
        let sent_before = matches!((when, step), ("after", "publish") | ("before", "mark_sent"));
        let least = if sent_before { 2 } else { 1 };
        while copies.get(&session).map_or(0, Vec::len) < least {
            let (properties, body) = collaboration.next().await.expect("the connection holds");
            let event: Value = serde_json::from_str(&body).expect("JSON");
            let id = properties.message_id().as_ref().expect("an id").to_string();
            let of = text(&event, "session_id").to_owned();
            copies.entry(of).or_default().push((id, body));
        }
        // Else the next start would have something to announce before it is ready.
        eventually("it is marked", async || {
            (rows(&database, WAITING_ROWS).await == 0).then_some(())
        })
        .await;
    }

    assert_eq!(copies.len(), 4, "no event but those of sessions");
    for copies in copies.values() {
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{copies:?}");
    }
}
