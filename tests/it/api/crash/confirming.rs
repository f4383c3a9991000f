//! The server ends itself between two steps of the confirmation that opens a session, and is started
//! again. Where both confirmations are stored there is one session, and nobody has to ask for it; where
//! the second one is not, nothing is open, and what was shared for it goes with the match. G2, G5.

use std::time::Duration;

use super::announced::Announced;
use crate::away::looks::{document, redis_at};
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// Longer than the second confirmation waits for it.
const QUESTION_TAKES: Duration = Duration::from_millis(200);
const QUESTIONS: &str = r#"[{"id": 7, "title": "Two Sum", "difficulty": "Easy", "topics": ["Array"], "is_active": true}]"#;

#[actix_rt::test]
async fn between_any_two_steps_of_the_second_confirmation_it_is_stored_with_the_session_or_not_at_all()
 {
    let places = places(&["find_question", "share_session", "open_session"]);
    let stored = |place: &str| place == "after:open_session";
    crash_at_each(places, stored, Options::on).await;
}

#[actix_rt::test]
async fn between_any_two_steps_from_both_confirmations_to_the_session_it_is_opened_by_itself() {
    let questions = Stub::new(Conduct::Late(QUESTION_TAKES, QUESTIONS.to_owned())).await;
    let places = places(&["confirm_match:2", "share_session", "open_session"]);
    let stored = |place: &str| place != "before:confirm_match:2";
    let options = |backends| Options::on(backends).with("QUESTION_SERVICE_URL", questions.base());
    crash_at_each(places, stored, options).await;
}

fn places(steps: &[&str]) -> Vec<String> {
    let both = |step| ["before", "after"].map(|when| format!("{when}:{step}"));
    steps.iter().flat_map(both).collect()
}

/// At each of these places, of which `stored` says whether the second confirmation is stored there.
async fn crash_at_each(
    places: Vec<String>,
    stored: impl Fn(&str) -> bool,
    options: impl FnOnce(Backends) -> Options,
) {
    let backends = Backends::under_test();
    let server = options(backends.clone()).start().await;
    let database = Database::of(&server, &backends);
    let mut announced = Announced::listen(&server, &backends).await;
    for place in places {
        server.restart_until(&place).await;
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {place}"));
        let pair = scenes::pair(&server, &first, &second, &place).await;
        pair.first.confirm(&pair.match_id, true).await.expect(200);

        let answer = pair.second.answering(&pair.match_id, true).try_send().await;
        server.crashes().await;
        server.restart_for_good().await;

        assert!(answer.is_err(), "told before it is stored: {answer:?}");
        if !stored(&place) {
            let status = server.match_status(&pair.match_id).await;
            assert_eq!(status.expect(200)["confirm_status"], false, "{place}");
            pair.second.confirm(&pair.match_id, true).await.expect(200);
        }
        let session = opened_by_itself(&server, &pair.match_id).await;
        both_are_in(&server, &pair, &session).await;
        one_question(&server, &backends, &database, &session).await;
    }
    announced.check(&server).await;
}

#[actix_rt::test]
async fn what_was_shared_for_a_confirmation_that_was_not_stored_goes_with_the_match() {
    let backends = Backends::under_test();
    let Backends::Real(neighbours) = &backends else {
        return;
    };
    let mut redis = redis_at(&neighbours.number.url()).await;
    let server = Options::on(backends.clone()).start().await;
    let database = Database::of(&server, &backends);
    server.restart_until("before:open_session").await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let answer = pair.second.answering(&pair.match_id, true).try_send().await;
    server.crashes().await;
    assert!(answer.is_err(), "told before it is stored: {answer:?}");
    let sessions = "SELECT CAST(session_id AS text) AS text FROM matches";
    let session = database.texts(sessions).await.remove(0);
    assert!(document(&mut redis, &session).await.is_some());

    server.restart_for_good().await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);

    eventually("the shared session is removed", async || {
        let left = document(&mut redis, &session).await;
        left.is_none().then_some(())
    })
    .await;
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
