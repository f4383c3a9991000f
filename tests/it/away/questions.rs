//! The question service away: a known question, or a clear 503 and a session as soon as there is one.

use std::time::{Duration, Instant};

use super::looks::within_time;
use crate::harness::scenes::Pair;
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// Contract §3: whoever completes a match hears within this time.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// Nobody else waits because the service hangs. Debug builds on busy machines are slow.
const AT_ONCE: Duration = Duration::from_secs(1);

fn answer(questions: &Value) -> Conduct {
    Conduct::Answer(200, questions.to_string())
}

fn good() -> Conduct {
    answer(&json!([
        {"id": 17, "title": "Two Sum", "difficulty": "Easy", "topics": ["Array"], "is_active": true},
        {"id": 18, "title": "Old", "difficulty": "Easy", "topics": ["Array"], "is_active": false},
    ]))
}

async fn server_with(stub: &Stub) -> Server {
    options_with(stub).start().await
}

fn options_with(stub: &Stub) -> Options {
    Options::on(Backends::real())
        .with("QUESTION_SERVICE_URL", stub.base())
        .with("ASK_BURST", 1_000)
}

/// The second of the two confirms and is told, after the time that this gives, that there is no
/// question; both stay confirmed.
async fn complete_in_vain(server: &Server, pair: &Pair) -> Duration {
    let first = pair.first.confirm(&pair.match_id, true).await;
    assert_eq!(first.expect(200)["status"], "waiting_for_partner");
    let begun = Instant::now();
    let second = pair.second.confirm(&pair.match_id, true).await;
    let took = begun.elapsed();
    assert!(text(second.expect(503), "detail").contains("both confirmations are kept"));
    assert!(is_in_time(took, CONFIRM_WITHIN), "{took:?}");
    assert_both_confirmed_without_session(server, pair).await;
    took
}

async fn assert_both_confirmed_without_session(server: &Server, pair: &Pair) {
    let status = server.match_status(&pair.match_id).await;
    let expected = json!({"confirm_status": false, "session_id": null});
    assert_eq!(*status.expect(200), expected);
    for (user, ticket) in [
        (&pair.first, &pair.first_ticket),
        (&pair.second, &pair.second_ticket),
    ] {
        assert_eq!(user.state(ticket).await, "matched");
        user.ask("Hard", "Elsewhere").await.expect(400);
    }
}

#[actix_rt::test]
async fn whatever_the_service_does_the_session_is_made_once_it_recovers() {
    let stub = Stub::new(good()).await;
    let elsewhere = Stub::new(good()).await;
    let ten_megabytes = 10 * 1024 * 1024;
    let inactive = json!([{"id": 1, "title": "Old", "is_active": false}]);
    let faults = [
        ("Hanging", Conduct::Hang),
        ("Hanging-in-the-middle", Conduct::HangInBody),
        ("Failing", Conduct::Answer(500, "{}".into())),
        ("Garbage", Conduct::Answer(200, "<html>".into())),
        ("Not-HTTP", Conduct::Garbage),
        ("Closing", Conduct::Close),
        ("Empty", answer(&json!([]))),
        ("Inactive", answer(&inactive)),
        ("Endless", Conduct::Endless(ten_megabytes)),
        ("Redirect", Conduct::Redirect(elsewhere.base())),
    ];
    for (topic, fault) in &faults {
        stub.now_with(&format!("topics={topic} "), fault.clone());
    }
    let server = server_with(&stub).await;

    let away = faults.iter().map(async |(topic, _)| {
        let names = [format!("first {topic}"), format!("second {topic}")];
        let names = [names[0].as_str(), names[1].as_str()];
        let (pair, first, second) = scenes::pair_at_screens(&server, names, topic).await;
        let took = complete_in_vain(&server, &pair).await;
        println!("{topic}: answered after {took:?}");
        stub.now_with(&format!("topics={topic} "), good());
        let ready = first.next_event("match_ready").await;
        assert_eq!(ready["question_id"], "17", "{topic}");
        let session = text(&ready, "session_id");
        let told = second.next_event("match_ready").await;
        assert_eq!(told["session_id"], session);
        let status = server.match_status(&pair.match_id).await;
        let expected = json!({"confirm_status": true, "session_id": session});
        assert_eq!(*status.expect(200), expected);
        server.session(session).await.expect(200);
        assert_eq!(
            (first.count("match_ready"), second.count("match_ready")),
            (1, 1)
        );
    });
    join_all(away).await;

    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[actix_rt::test]
async fn two_slow_neighbours_together_leave_nobody_waiting_longer_than_is_promised() {
    let questions = Stub::new(Conduct::Hang).await;
    let admits = r#"{"id": "somebody"}"#;
    let users = Stub::new(Conduct::Answer(200, admits.into())).await;
    let options = options_with(&questions)
        .with("AUTH_VERIFY_WITH_USER_SERVICE", true)
        .with("USER_SERVICE_URL", users.base());
    let server = options.start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    // Just what the user service may take; a token that it has not seen is asked about.
    users.now(Conduct::Late(Duration::from_millis(600), admits.into()));
    let claims = tokens::claims_with("bob", "exp", json!(tokens::in_seconds(1_800)));
    let again = server.user_with_claims("bob", &claims);
    let asked = users.requests().len();

    let begun = Instant::now();
    again.confirm(&pair.match_id, true).await.expect(503);
    let took = begun.elapsed();

    assert_eq!(users.requests().len(), asked + 1);
    assert!(is_in_time(took, CONFIRM_WITHIN), "{took:?}");
    assert_both_confirmed_without_session(&server, &pair).await;
}

#[actix_rt::test]
async fn a_service_that_hangs_blocks_nobody_else() {
    let stub = Stub::new(Conduct::Hang).await;
    stub.now_with("topics=Array ", good());
    let server = server_with(&stub).await;
    let stuck: Vec<Pair> = join_all((0..20).map(async |number| {
        let names = [format!("first {number}"), format!("second {number}")];
        let topic = format!("stuck {number}");
        let pair = scenes::pair(&server, &names[0], &names[1], &topic).await;
        pair.first.confirm(&pair.match_id, true).await.expect(200);
        pair
    }))
    .await;

    let completing = join_all(stuck.iter().map(async |pair| {
        let reply = pair.second.confirm(&pair.match_id, true).await;
        reply.expect(503);
    }));
    let others = async {
        eventually("the service is asked", async || {
            (stub.requests().len() >= 20).then_some(())
        })
        .await;
        for number in 0..10 {
            let names = [format!("ada {number}"), format!("bob {number}")];
            let opened = async {
                let pair = scenes::pair(&server, &names[0], &names[1], "Array").await;
                pair.open_session().await
            };
            within_time(AT_ONCE * 2, "a lifecycle", opened).await;
            for pair in &stuck[..3] {
                let polled = pair.first.state(&pair.first_ticket);
                within_time(AT_ONCE, "a poll of a ticket", polled).await;
                let polled = server.match_status(&pair.match_id);
                let polled = within_time(AT_ONCE, "a poll of a match", polled).await;
                assert_eq!(polled.expect(200)["confirm_status"], false);
            }
            let same = server.user("cleo").ask("Easy", "stuck 0").await;
            assert!([200, 400].contains(&same.status), "{}", same.text);
        }
    };
    futures_util::future::join(completing, others).await;
}

#[actix_rt::test]
async fn repeating_a_confirmation_starts_a_try_at_once() {
    // One call for each try: this answer is not asked for again.
    let stub = Stub::new(Conduct::Answer(404, "[]".into())).await;
    let server = server_with(&stub).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    complete_in_vain(&server, &pair).await;
    // From the sixth try on the next one comes 2 s later.
    let tries = eventually("some tries failed", async || {
        let tries = stub.requests().len();
        (tries >= 6).then_some(tries)
    })
    .await;

    let begun = Instant::now();
    pair.first.confirm(&pair.match_id, true).await.expect(503);
    assert_eq!(stub.requests().len(), tries + 1);
    stub.now(good());
    let opened = pair.second.confirm(&pair.match_id, true).await;

    assert_eq!(opened.expect(200)["question_id"], "17");
    assert!(
        is_in_time(begun.elapsed(), AT_ONCE),
        "{:?}",
        begun.elapsed()
    );
}

#[actix_rt::test]
async fn the_request_is_the_contract_s_and_a_known_question_of_the_bucket_is_used_later() {
    let stub = Stub::new(good()).await;
    let server = server_with(&stub).await;
    let pair = scenes::pair(&server, "ada", "bob", "Hash Table & Co").await;
    pair.open_session().await;
    let requests = stub.requests();
    assert_eq!(requests.len(), 1);
    let path =
        "GET /api/v1/questions/filter/topics-difficulty?difficulty=easy&topics=Hash+Table+%26+Co ";
    assert!(requests[0].starts_with(path), "{}", requests[0]);
    let bearer = format!("authorization: Bearer {}\r\n", pair.second.token);
    assert!(requests[0].contains(&bearer), "{}", requests[0]);

    stub.now(Conduct::Hang);
    let known = scenes::pair(&server, "cleo", "dan", "hash  table & co").await;
    known.first.confirm(&known.match_id, true).await.expect(200);
    let begun = Instant::now();
    let opened = known.second.confirm(&known.match_id, true).await;
    assert_eq!(opened.expect(200)["question_id"], "17");
    assert!(
        is_in_time(begun.elapsed(), CONFIRM_WITHIN),
        "{:?}",
        begun.elapsed()
    );
    // Now that it is known to be away, nobody waits for it.
    let again = scenes::pair(&server, "eve", "fay", "Hash Table & Co").await;
    within_time(
        AT_ONCE,
        "a session with a known question",
        again.open_session(),
    )
    .await;
    let unknown = scenes::pair(&server, "gus", "hal", "Another").await;
    complete_in_vain(&server, &unknown).await;
    assert_eq!(
        server.metric("matchmaker_questions_remembered_total").await,
        2.0
    );
}

/// Slow: the give-up time is 30 s after the confirmation window.
#[actix_rt::test]
async fn after_half_a_minute_both_are_told_and_put_back_in_their_place() {
    let stub = Stub::new(Conduct::Answer(500, "{}".into())).await;
    let options = options_with(&stub).with("CONFIRM_MATCH_TIMEOUT_SECONDS", 2);
    let server = options.start().await;
    let names = ["ada", "bob"];
    let (pair, first, second) = scenes::pair_at_screens(&server, names, "Array").await;
    let cleo = server.user("cleo");
    complete_in_vain(&server, &pair).await;
    let begun = Instant::now();
    let found = first.next_event("match_found").await;
    let late = unix_now() - unix_seconds(text(&found, "expires_at"));

    let patience = Duration::from_secs(40);
    let expired = first.next_event_within("match_expired", patience).await;
    let waited = begun.elapsed().as_secs_f64() + late;
    let expected = json!({
        "type": "match_expired",
        "match_id": pair.match_id,
        "reason": "question_unavailable",
        "requeued": true,
    });
    assert_eq!(expired, expected);
    assert_eq!(second.next_event("match_expired").await, expected);
    assert!((29.0..33.0).contains(&waited), "after {waited} s");
    let over = server.match_status(&pair.match_id).await;
    over.expect_error(404, "Match not found");

    // Both are first in their queue, so whoever asks later does not come between them.
    cleo.open_ticket("Easy", "Array").await;
    let former = &pair.match_id;
    let again = pair.first.matched_again(&pair.first_ticket, former).await;
    assert_eq!(pair.second.matched(&pair.second_ticket).await, again);
    stub.now(good());
    pair.first.confirm(&again, true).await.expect(200);
    let opened = pair.second.confirm(&again, true).await;
    assert_eq!(opened.expect(200)["partner_id"], "ada");
}

/// A service that lets in nobody but this user.
fn only(stub: &Stub, user: &User) {
    stub.now(Conduct::Answer(401, "{}".into()));
    stub.now_with(&user.token, good());
}

async fn becomes_a_session(server: &Server, pair: &Pair) {
    eventually("the session is made", async || {
        let status = server.match_status(&pair.match_id).await;
        (status.expect(200)["confirm_status"] == true).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn any_call_of_either_member_lends_its_token_while_a_question_is_looked_for() {
    let stub = Stub::new(good()).await;
    let server = server_with(&stub).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    only(&stub, &pair.first);

    complete_in_vain(&server, &pair).await;
    // Each has asked again meanwhile, so both tokens are lent already.
    becomes_a_session(&server, &pair).await;
}

#[actix_rt::test]
async fn after_a_restart_a_poll_or_a_socket_of_either_member_lends_its_token() {
    let stub = Stub::new(Conduct::Answer(500, "{}".into())).await;
    let server = server_with(&stub).await;
    let polling = scenes::pair(&server, "ada", "bob", "Array").await;
    let watching = scenes::pair(&server, "cleo", "dan", "Graph").await;
    for pair in [&polling, &watching] {
        complete_in_vain(&server, pair).await;
    }
    only(&stub, &polling.first);
    stub.now_with(&watching.second.token, good());

    server.restart().await;
    let asked = stub.requests().len();
    eventually("it goes on without any token", async || {
        let requests = stub.requests();
        let mut since = requests[asked..].iter();
        let is_nameless = |head: &&String| !head.to_lowercase().contains("\r\nauthorization:");
        (since.by_ref().filter(is_nameless).count() >= 4).then_some(())
    })
    .await;
    for pair in [&polling, &watching] {
        let status = server.match_status(&pair.match_id).await;
        assert_eq!(status.expect(200)["confirm_status"], false);
    }

    polling
        .first
        .status(&polling.first_ticket)
        .await
        .expect(200);
    let screen = watching.second.connect().await;

    becomes_a_session(&server, &polling).await;
    screen.next_event("match_ready").await;
}

#[actix_rt::test]
async fn a_strangers_token_is_never_used_for_somebody_elses_match() {
    let stub = Stub::new(Conduct::Answer(500, "{}".into())).await;
    let server = server_with(&stub).await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    complete_in_vain(&server, &pair).await;
    let eve = server.user("eve");

    let refused = eve.confirm(&pair.match_id, true).await;
    refused.expect_error(404, "Match not found");
    let asked = stub.requests().len();
    eventually("it is tried again", async || {
        (stub.requests().len() >= asked + 4).then_some(())
    })
    .await;

    let requests = stub.requests();
    assert!(requests.iter().all(|head| !head.contains(&eve.token)));
    stub.now(good());
    becomes_a_session(&server, &pair).await;
}
