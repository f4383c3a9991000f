//! Writes whose outcome nobody knows when the server ends: PostgreSQL took them and said nothing.

use futures_util::future::join;

use crate::harness::*;
use crate::servers::{Own, Postgres};

use super::{goes_on, nothing_broken};

/// The ticket that an ask answers, whether it was opened now or before.
fn ticket_of(reply: &Reply) -> String {
    let ticket = match reply.status {
        200 => text(&reply.json, "id"),
        _ => text(reply.expect(400), "request_id"),
    };
    ticket.to_owned()
}

/// The commit that opens the next ticket takes so many seconds.
async fn commits_late(database: &Database, seconds: f64) {
    let trigger = format!(
        "CREATE SEQUENCE opened;
        CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('opened') = 1 THEN PERFORM pg_sleep({seconds}); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON tickets DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION late()"
    );
    database.run(&trigger).await;
}

#[actix_rt::test]
async fn what_is_in_doubt_when_the_server_is_killed_is_stored_or_not_and_everybody_goes_on() {
    let postgres: Own<Postgres> = Postgres::own();
    let backends = Backends::on_postgres(&postgres);
    let server = Options::on(backends.clone()).start().await;
    let (newcomer, waiting) = (server.user("newcomer"), server.user("waiting"));
    let waits = ticket_of(&goes_on(|| waiting.asking("Hard", "Array")).await);
    let half = scenes::pair(&server, "ada", "bob", "Heap").await;
    half.first.confirm(&half.match_id, true).await.expect(200);
    let unwanted = scenes::pair(&server, "cleo", "dan", "Tree").await;
    let changed = scenes::pair(&server, "eve", "finn", "Trie").await;
    let together = scenes::pair(&server, "gus", "hana", "Sets").await;
    let session = together.open_session().await;

    let database = Database::of(&server, &backends);
    commits_late(&database, 2.5).await;
    let others = [
        waiting.cancelling(&waits),
        half.second.answering(&half.match_id, true),
        unwanted.first.answering(&unwanted.match_id, false),
        changed.first.asking("Hard", "Graph"),
        together.first.leaving(&session),
    ];
    let killing = async {
        eventually("the ask is about to be committed", async || {
            let sleeps = "SELECT wait_event AS text FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event = 'PgSleep'";
            (!database.texts(sleeps).await.is_empty()).then_some(())
        })
        .await;
        postgres.pause();
        for reply in join_all(others.map(Request::send)).await {
            reply.expect(503);
        }
        server.kill();
        postgres.resume();
        server.restart().await;
    };
    let asking = newcomer.asking("Hard", "Stack").try_send();
    let (unheard, ()) = join(asking, killing).await;
    assert!(unheard.map_or(true, |reply| reply.status == 503));

    let asked = goes_on(|| newcomer.asking("Hard", "Stack")).await;
    let withdrawn = goes_on(|| waiting.cancelling(&waits)).await;
    let asked_elsewhere = goes_on(|| changed.first.asking("Hard", "Graph")).await;
    let declined = goes_on(|| unwanted.first.answering(&unwanted.match_id, false)).await;
    let stored = [&withdrawn, &asked_elsewhere, &declined].map(|it| it.status != 200);
    println!("also stored: cancel, ask elsewhere, decline: {stored:?}");

    // Stored without anybody knowing, and known to the server that was started meanwhile.
    asked.expect_error(400, "You already have a pending request.");
    newcomer.cancel(&ticket_of(&asked)).await.expect(200);
    assert!(matches!(withdrawn.status, 200 | 400), "{}", withdrawn.text);
    assert_eq!(waiting.state(&waits).await, "cancelled");
    waiting.open_ticket("Hard", "Array").await;
    assert!(matches!(declined.status, 200 | 404), "{}", declined.text);
    changed
        .first
        .cancel(&ticket_of(&asked_elsewhere))
        .await
        .expect(200);
    for ended in [&unwanted, &changed] {
        assert_eq!(ended.first.state(&ended.first_ticket).await, "cancelled");
        ended.second.reaches(&ended.second_ticket, "pending").await;
        ended.first.open_ticket("Hard", &ended.first.id).await;
    }
    let opened = half.second.confirm(&half.match_id, true).await;
    let opened = text(opened.expect(200), "session_id").to_owned();
    let repeated = half.first.confirm(&half.match_id, true).await;
    assert_eq!(text(repeated.expect(200), "session_id"), opened);
    server.session(&opened).await.expect(200);
    together.first.leave(&session).await.expect(200);
    together.first.active_session().await.expect(404);
    together.second.active_session().await.expect(200);
    nothing_broken(&server).await;
}

/// An ask that was answered 503 is stored late and withdrawn again, and the process ends at `place`.
async fn unheard_ask(place: &str) {
    let backends = Backends::real();
    let options = Options::on(backends.clone()).with("CRASH_AT", place);
    let server = options.start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    // With a connection that stands the write is sent at once.
    goes_on(|| bob.asking("Hard", "Graph")).await.expect(200);
    commits_late(&Database::of(&server, &backends), 1.2).await;

    ada.ask("Easy", "Array").await.expect(503);
    server.crashes().await;
    server.restart_for_good().await;

    let again = goes_on(|| ada.asking("Easy", "Array")).await;
    let stands = again.status == 400;
    assert_eq!(
        stands,
        place.starts_with("before"),
        "{place}: {}",
        again.text
    );
    let ticket = ticket_of(&again);
    assert_eq!(ada.state(&ticket).await, "pending");
    if stands {
        ada.cancel(&ticket).await.expect(200);
    } else {
        let cleo = server.user("cleo");
        let partners = cleo.open_ticket("Easy", "Array").await;
        assert_eq!(ada.matched(&ticket).await, cleo.matched(&partners).await);
    }
    nothing_broken(&server).await;
}

#[actix_rt::test]
async fn between_the_steps_of_withdrawing_an_unheard_ask_its_user_is_not_kept_out() {
    join_all(["before:close_ticket", "after:close_ticket"].map(unheard_ask)).await;
}
