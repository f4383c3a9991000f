//! The server ends itself while it gives up a match for which no question can be had.

use std::time::Duration;

use deadpool_redis::redis;

use super::looks::{holds, redis_at, shared_neighbours};
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// Half a minute after the window, and what a busy machine adds.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(45);
/// After a restart a window that ran out meanwhile gets ten seconds more, and then this half minute.
const PUT_BACK_WITHIN: Duration = Duration::from_secs(60);

async fn gives_up_after_a_crash(place: &str) {
    let stub = Stub::new(Conduct::Answer(500, "{}".into())).await;
    let neighbours = shared_neighbours();
    let database = Database::Postgres(neighbours.database.url());
    let mut redis = redis_at(&neighbours.number.url()).await;
    let server = Options::on(Backends::from(neighbours))
        .with("QUESTION_SERVICE_URL", stub.base())
        .with("CONFIRM_MATCH_TIMEOUT_SECONDS", 1)
        .start()
        .await;
    server.restart_until(place).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    pair.second.confirm(&pair.match_id, true).await.expect(503);
    let session = "SELECT session_id::text AS text FROM matches";
    let session = database.texts(session).await.remove(0);
    // As a try leaves it whose answer from Redis was lost.
    let set = redis::cmd("SET").arg(&session).arg("{}").to_owned();
    let () = set.query_async(&mut redis).await.expect("Redis answers");

    server.crashes_within(GIVEN_UP_WITHIN).await;
    server.restart_for_good().await;

    // Their next window is short as well: it may be over before anybody looks.
    within(PUT_BACK_WITHIN, "both are back and met again", async || {
        let matches = "SELECT id::text AS text FROM matches";
        (database.texts(matches).await.len() > 1).then_some(())
    })
    .await;
    for (user, ticket) in [
        (&pair.first, &pair.first_ticket),
        (&pair.second, &pair.second_ticket),
    ] {
        let state = user.state(ticket).await;
        assert!(["matched", "pending"].contains(&state.as_str()), "{state}");
    }
    server.match_status(&pair.match_id).await.expect(404);
    pair.first.active_session().await.expect(404);
    eventually("the key of the session is gone", async || {
        (!holds(&mut redis, &session).await).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn between_any_two_steps_of_giving_a_match_up_both_are_put_back_and_nothing_is_left() {
    // All at the same time, since each waits for half a minute.
    let places = [
        "before:give_match_up",
        "after:give_match_up",
        "before:unshare_session",
        "after:unshare_session",
    ];
    join_all(places.map(gives_up_after_a_crash)).await;
}
