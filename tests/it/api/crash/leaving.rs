//! The server ends itself between the row of a leave and what Redis is told of it.

use crate::away::looks::{document, redis_at};
use crate::harness::*;

/// Who has left, as Redis says it where there is one.
async fn is_told(backends: &Backends, session: &str, expected: &[&User]) {
    let Backends::Real(neighbours) = backends else {
        return;
    };
    let mut redis = redis_at(&neighbours.number.url()).await;
    let ids: Vec<&str> = expected.iter().map(|user| user.id.as_str()).collect();
    let what = format!("Redis says of {session} that {ids:?} have left");
    eventually(&what, async || {
        let found = document(&mut redis, session).await?;
        (found["left_users"] == json!(ids)).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn between_a_leave_and_what_redis_is_told_of_it_redis_is_told_by_the_next_start() {
    let backends = Backends::under_test();
    let options = Options::on(backends.clone()).with("CRASH_AT", "before:share_left");
    let server = options.start().await;
    for (when, next_place) in [("before", "after:share_left"), ("after", "")] {
        let place = format!("{when}:share_left");
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {when}"));
        let pair = scenes::pair(&server, &first, &second, &place).await;
        let session = pair.open_session().await;

        // They may be answered or not: it is stored.
        let _ = pair.first.leaving(&session).try_send().await;
        server.crashes().await;
        server.restart_until(&place).await;
        is_told(&backends, &session, &[&pair.first]).await;
        pair.first.active_session().await.expect(404);
        let active = pair.second.active_session().await;
        assert_eq!(text(active.expect(200), "session_id"), session);

        let _ = pair.second.leaving(&session).try_send().await;
        server.crashes().await;
        server.restart_until(next_place).await;
        is_told(&backends, &session, &[&pair.first, &pair.second]).await;
        pair.second.active_session().await.expect(404);
    }
}
