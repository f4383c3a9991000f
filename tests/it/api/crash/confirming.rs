//! The server ends itself between two steps of the confirmation that opens a session, and is started
//! again: both have confirmed, so there is one session, and nobody has to ask for it. G5.

use super::announced::Announced;
use crate::away::looks::{document, redis_at};
use crate::harness::*;

const STEPS: [&str; 4] = [
    "confirm_match:2",
    "find_question",
    "share_session",
    "open_session",
];

#[actix_rt::test]
async fn between_any_two_steps_from_both_confirmations_to_the_session_it_is_opened_by_itself() {
    let backends = Backends::under_test();
    let server = Options::on(backends.clone()).start().await;
    let database = Database::of(&server, &backends);
    let mut announced = Announced::listen(&server, &backends).await;
    let places = STEPS
        .iter()
        .flat_map(|step| ["before", "after"].map(|when| (when, step)));
    for (when, step) in places {
        let place = format!("{when}:{step}");
        server.restart_until(&place).await;
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {place}"));
        let pair = scenes::pair(&server, &first, &second, &place).await;
        pair.first.confirm(&pair.match_id, true).await.expect(200);

        let answer = pair.second.answering(&pair.match_id, true).try_send().await;
        server.crashes().await;
        server.restart_for_good().await;

        assert!(answer.is_err(), "told before it is stored: {answer:?}");
        if place == "before:confirm_match:2" {
            let status = server.match_status(&pair.match_id).await;
            assert_eq!(status.expect(200)["confirm_status"], false);
            pair.second.confirm(&pair.match_id, true).await.expect(200);
        }
        let session = opened_by_itself(&server, &pair.match_id).await;
        both_are_in(&server, &pair, &session).await;
        one_question(&server, &backends, &database, &session).await;
    }
    announced.check(&server).await;
}

async fn opened_by_itself(server: &Server, match_id: &str) -> String {
    eventually("the session is opened", async || {
        let status = server.match_status(match_id).await;
        let is_open = status.expect(200)["confirm_status"] == true;
        is_open.then(|| text(&status.json, "session_id").to_owned())
    })
    .await
}

async fn both_are_in(server: &Server, pair: &scenes::Pair, session: &str) {
    let read = server.session(session).await;
    let question = &read.expect(200)["question"]["id"];
    for user in [&pair.first, &pair.second] {
        let repeated = user.confirm(&pair.match_id, true).await;
        assert_eq!(text(repeated.expect(200), "session_id"), session);
        assert_eq!(text(&repeated.json, "question_id"), question.to_string());
        let active = user.active_session().await;
        assert_eq!(text(active.expect(200), "session_id"), session);
    }
}

/// The question of the row is the one that Redis holds, whatever an earlier try had found.
async fn one_question(server: &Server, backends: &Backends, database: &Database, session: &str) {
    let id = database.id("id");
    let query = format!(
        "SELECT question_id || ' ' || question_title AS text FROM sessions WHERE {id} = '{session}'"
    );
    let question = match backends {
        Backends::Embedded => server.session(session).await.json["question"].clone(),
        Backends::Real(neighbours) => {
            let mut redis = redis_at(&neighbours.number.url()).await;
            let document = document(&mut redis, session).await;
            document.expect("the key is there")["question"].clone()
        }
    };
    let question = format!("{} {}", question["id"], text(&question, "title"));
    assert_eq!(database.texts(&query).await, [question]);
}
