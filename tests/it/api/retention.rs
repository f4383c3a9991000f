//! What ended long ago goes from the database, and from the answers.

use crate::harness::*;

/// Makes what has ended older by an hour, sessions included.
const AGE: &str = "
    UPDATE tickets SET ended_at_ms = ended_at_ms - 3600000 WHERE ended_at_ms IS NOT NULL;
    UPDATE matches SET ended_at_ms = ended_at_ms - 3600000 WHERE ended_at_ms IS NOT NULL;
    UPDATE sessions SET ends_at_ms = ends_at_ms - 3600000";

async fn ids(database: &Database, table: &str) -> Vec<String> {
    let id = database.id("id");
    let query = format!("SELECT {id} AS text FROM {table} ORDER BY id");
    database.texts(&query).await
}

/// Awaits that exactly these are stored.
async fn come_down_to(database: &Database, table: &str, expected: &[&str]) {
    eventually("what is old is removed", async || {
        (ids(database, table).await == expected).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn what_ended_long_ago_is_not_known_any_more_and_what_is_live_goes_on() {
    let backends = Backends::under_test();
    let server = Options::on(backends.clone())
        .with("SESSION_TTL_SECONDS", 600)
        .with("RETENTION_SECONDS", 600)
        .with("OUTBOX_RETENTION_SECONDS", 1)
        .start()
        .await;
    let database = Database::of(&server, &backends);
    let (ada, dan) = (server.user("ada"), server.user("dan"));
    let withdrawn = ada.open_ticket("Easy", "Graph").await;
    ada.cancel(&withdrawn).await.expect(200);
    let declined = scenes::pair(&server, "eve", "finn", "Array").await;
    declined
        .second
        .confirm(&declined.match_id, false)
        .await
        .expect(200);
    let put_back = &declined.first_ticket;
    declined.first.cancel(put_back).await.expect(200);
    let members = scenes::pair(&server, "gil", "hana", "Graph").await;
    let session = members.open_session().await;
    // Nobody is in it any more: no actor knows of it after the restart.
    for user in [&members.first, &members.second] {
        user.leave(&session).await.expect(200);
    }
    let waiting = dan.open_ticket("Hard", "Tree").await;
    database.run("DELETE FROM outbox").await;

    database.run(AGE).await;
    server.is_tampered_with();
    server.restart().await;
    come_down_to(&database, "tickets", &[&waiting]).await;
    come_down_to(&database, "matches", &[]).await;
    come_down_to(&database, "sessions", &[]).await;

    assert_eq!(dan.state(&waiting).await, "pending");
    ada.status(&withdrawn)
        .await
        .expect_error(404, "Request not found");
    members
        .first
        .status(&members.first_ticket)
        .await
        .expect(404);
    for id in [&declined.match_id, &members.match_id] {
        server.match_status(id).await.expect(404);
        members.first.confirm(id, true).await.expect(404);
    }
    server.session(&session).await.expect(404);
    members.first.leave(&session).await.expect(200);
    for (table, rows) in [("tickets", 5.0), ("matches", 2.0), ("sessions", 1.0)] {
        let sample = format!("matchmaker_rows_removed_total{{table=\"{table}\"}}");
        assert_eq!(server.metric(&sample).await, rows, "{table}");
    }
    let next = scenes::pair(&server, "eve", "finn", "Array").await;
    next.open_session().await;
}

#[actix_rt::test]
async fn nothing_goes_where_everything_is_kept_for_ever() {
    let backends = Backends::under_test();
    let server = Options::on(backends.clone())
        .with("RETENTION_SECONDS", 0)
        .with("OUTBOX_RETENTION_SECONDS", 1)
        .start()
        .await;
    let database = Database::of(&server, &backends);
    let ada = server.user("ada");
    let withdrawn = ada.open_ticket("Easy", "Graph").await;
    ada.cancel(&withdrawn).await.expect(200);
    let members = scenes::pair(&server, "gil", "hana", "Graph").await;
    members.open_session().await;
    // As if a queue had taken it.
    let sent = "UPDATE outbox SET sent_at_ms = created_at_ms";
    database.run(sent).await;
    database.run(AGE).await;
    server.is_tampered_with();
    server.restart().await;

    // Announcements go on going, and nothing else.
    eventually("what was sent is removed", async || {
        let removed = "matchmaker_rows_removed_total{table=\"outbox\"}";
        (server.metric(removed).await == 1.0).then_some(())
    })
    .await;

    assert_eq!(ids(&database, "tickets").await.len(), 3);
    assert_eq!(ids(&database, "matches").await.len(), 1);
    assert_eq!(ids(&database, "sessions").await.len(), 1);
    assert_eq!(ada.state(&withdrawn).await, "cancelled");
}
