//! A session's life as its two members and the open pages see it: contract §3 and §5.

use crate::harness::*;

#[actix_rt::test]
async fn both_members_find_their_active_session_with_its_question() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    for user in [&pair.first, &pair.second] {
        user.active_session()
            .await
            .expect_error(404, "No active session");
    }

    let session = pair.open_session().await;

    for (user, partner) in [(&pair.first, "bob"), (&pair.second, "ada")] {
        let reply = user.active_session().await;
        let active = reply.expect(200);
        assert_eq!(text(active, "match_id"), pair.match_id);
        assert_eq!(text(active, "session_id"), session);
        assert_eq!(text(active, "partner_id"), partner);
        assert_question(&active["question"], "easy", Some("array"));
    }
    server
        .user("eve")
        .active_session()
        .await
        .expect_error(404, "No active session");
}

/// Asserts the fields that a question has, its difficulty and one topic.
#[track_caller]
fn assert_question(question: &Value, difficulty: &str, topic: Option<&str>) {
    assert!(!question["id"].is_null(), "{question}");
    assert!(!text(question, "title").is_empty(), "{question}");
    assert_eq!(
        text(question, "difficulty").to_lowercase(),
        difficulty,
        "{question}"
    );
    let topics = question["topics"].as_array().expect("topics are a list");
    if let Some(topic) = topic {
        let names = topics.iter().map(|name| name.as_str().unwrap_or_default());
        assert!(
            names.map(str::to_lowercase).any(|name| name == topic),
            "{question}"
        );
    }
}

#[actix_rt::test]
async fn the_session_read_shows_question_users_and_an_empty_editor() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let opened = pair.second.confirm(&pair.match_id, true).await;
    let session = text(opened.expect(200), "session_id");

    let reply = server.session(session).await;

    let read = reply.expect(200);
    assert_eq!((text(read, "code"), text(read, "language")), ("", "python"));
    let mut users: Vec<&str> = read["users"]
        .as_array()
        .expect("users are a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    users.sort_unstable();
    assert_eq!(users, ["ada", "bob"]);
    assert_question(&read["question"], "easy", Some("array"));
    assert_eq!(text(&read["question"], "difficulty"), "easy");
    let id = read["question"]["id"]
        .as_i64()
        .expect("built-in questions have integer ids");
    assert_eq!(text(&opened.json, "question_id"), id.to_string());
}

#[actix_rt::test]
async fn the_session_read_is_open_and_ignores_any_token() {
    let server = Server::start().await;
    let session = scenes::pair(&server, "ada", "bob", "Array")
        .await
        .open_session()
        .await;
    let plain = server.session(&session).await;
    plain.expect(200);

    for authorization in ["Bearer undefined", "Bearer", "", "Basic eDp5"] {
        let path = format!("{PREFIX}/session/{session}");
        let request = server
            .request(Method::GET, &path)
            .header("authorization", authorization);
        assert_eq!(
            request.send().await.expect(200),
            &plain.json,
            "{authorization}"
        );
    }
}

#[actix_rt::test]
async fn only_ids_of_real_sessions_are_looked_up() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let unknown = uuid::Uuid::new_v4().to_string();

    for id in [
        unknown.as_str(),
        &pair.match_id,
        &pair.first_ticket,
        &format!("{session}0"),
        "matching_queue:easy:array",
        "*",
        "%00",
        "..%2f..%2fetc%2fpasswd",
    ] {
        server.session(id).await.expect(404);
    }
    server
        .session(&unknown)
        .await
        .expect_error(404, "Session not found");
}

#[actix_rt::test]
async fn a_session_cannot_be_read_before_both_confirmed() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    pair.first
        .active_session()
        .await
        .expect_error(404, "No active session");
    server
        .session(&pair.match_id)
        .await
        .expect_error(404, "Session not found");
}

#[actix_rt::test]
async fn the_question_belongs_to_the_difficulty_and_the_topic() {
    let server = Server::start().await;

    for (index, (difficulty, topic)) in [
        ("Easy", "Array"),
        ("Medium", "Tree"),
        ("Hard", "  dynamic   PROGRAMMING"),
    ]
    .into_iter()
    .enumerate()
    {
        let question = question_of(&server, index, difficulty, topic).await;
        let topic = topic
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase();
        assert_question(&question, &difficulty.to_lowercase(), Some(&topic));
    }
}

#[actix_rt::test]
async fn a_topic_without_a_question_falls_back_to_the_difficulty() {
    let server = Server::start().await;

    for (index, difficulty) in ["Easy", "Medium", "Hard"].into_iter().enumerate() {
        let question = question_of(&server, index, difficulty, "Basket weaving").await;
        assert_question(&question, &difficulty.to_lowercase(), None);
    }
}

/// Opens a session in this bucket and gives its question.
async fn question_of(server: &Server, index: usize, difficulty: &str, topic: &str) -> Value {
    let (ada, bob) = (
        server.user(&format!("a{index}")),
        server.user(&format!("b{index}")),
    );
    let ticket = ada.open_ticket(difficulty, topic).await;
    bob.open_ticket(difficulty, topic).await;
    let match_id = ada.matched(&ticket).await;
    ada.confirm(&match_id, true).await.expect(200);
    bob.confirm(&match_id, true).await.expect(200);
    ada.active_session().await.expect(200)["question"].clone()
}

#[actix_rt::test]
async fn leaving_is_answered_alike_when_repeated_and_tells_the_partner_once() {
    let server = Server::start().await;
    let (pair, ada_screen, bob_screen) =
        scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;
    let second_tab = pair.first.connect().await;
    let session = pair.open_session().await;

    for _ in 0..3 {
        let reply = pair.first.leave(&session).await;
        assert_eq!(*reply.expect(200), json!({"status": "left"}));
    }

    let told = bob_screen.next_event("partner_left").await;
    assert_eq!(
        (text(&told, "session_id"), text(&told, "user_id")),
        (session.as_str(), "ada")
    );
    pair.second.leave(&session).await.expect(200);

    // A later event on each socket shows that nothing else came before it.
    scenes::pair_up(pair.first.clone(), pair.second.clone(), "Array").await;
    ada_screen.match_with("bob").await;
    ada_screen.match_with("bob").await;
    second_tab.match_with("bob").await;
    bob_screen.match_with("ada").await;
    bob_screen.match_with("ada").await;
    assert_eq!(bob_screen.count("partner_left"), 1);
    assert_eq!(
        ada_screen.count("partner_left"),
        0,
        "{:?}",
        ada_screen.events()
    );
    assert_eq!(second_tab.count("partner_left"), 0);
}

#[actix_rt::test]
async fn after_one_left_the_other_still_has_the_session() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;

    pair.first.leave(&session).await.expect(200);

    pair.first
        .active_session()
        .await
        .expect_error(404, "No active session");
    let reply = pair.second.active_session().await;
    assert_eq!(text(reply.expect(200), "session_id"), session);
    assert_eq!(text(&reply.json, "partner_id"), "ada");
    let read = server.session(&session).await;
    assert_eq!(read.expect(200)["users"].as_array().map(Vec::len), Some(2));
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["session_id"], session.as_str());
}

#[actix_rt::test]
async fn a_session_ends_when_both_have_left() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;

    pair.first.leave(&session).await.expect(200);
    pair.second.leave(&session).await.expect(200);

    for user in [&pair.first, &pair.second] {
        user.active_session()
            .await
            .expect_error(404, "No active session");
        let again = user.leave(&session).await;
        assert!(["left", "ok"].contains(&text(again.expect(200), "status")));
    }
}

#[actix_rt::test]
async fn a_stranger_cannot_leave_for_others_and_an_unknown_session_is_ok() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let eve = server.user("eve");

    eve.leave(&session).await.expect(404);
    let unknown = eve.leave(&uuid::Uuid::new_v4().to_string()).await;
    let of_a_match = pair.first.leave(&pair.match_id).await;

    assert_eq!(*unknown.expect(200), json!({"status": "ok"}));
    assert_eq!(*of_a_match.expect(200), json!({"status": "ok"}));
    for user in [&pair.first, &pair.second] {
        assert_eq!(
            user.active_session().await.expect(200)["session_id"],
            session.as_str()
        );
    }
}

#[actix_rt::test]
async fn simultaneous_leaves_of_both_are_all_answered_and_end_the_session() {
    let server = Server::start().await;

    for round in 0..10 {
        let names = (format!("a{round}"), format!("b{round}"));
        let pair = scenes::pair(&server, &names.0, &names.1, "Array").await;
        let session = pair.open_session().await;
        let (ada_screen, bob_screen) = pair.connect().await;

        let both = [&pair.first, &pair.second, &pair.first, &pair.second];
        for reply in join_all(both.map(|user| user.leave(&session))).await {
            assert_eq!(*reply.expect(200), json!({"status": "left"}));
        }

        for user in [&pair.first, &pair.second] {
            user.active_session()
                .await
                .expect_error(404, "No active session");
        }
        let told = ada_screen.count("partner_left") + bob_screen.count("partner_left");
        assert!(
            told <= 1,
            "whoever left second was told, nobody else: {told}"
        );
    }
}

#[actix_rt::test]
async fn the_active_session_is_the_newest_that_was_not_left() {
    let server = Server::start().await;
    let earlier = scenes::pair(&server, "ada", "bob", "Array").await;
    let first_session = earlier.open_session().await;
    let ada = earlier.first;
    let later = scenes::pair_up(ada.clone(), server.user("cleo"), "Array").await;
    let second_session = later.open_session().await;

    assert_eq!(
        ada.active_session().await.expect(200)["session_id"],
        second_session.as_str()
    );
    ada.leave(&second_session).await.expect(200);

    let reply = ada.active_session().await;
    assert_eq!(text(reply.expect(200), "session_id"), first_session);
    assert_eq!(text(&reply.json, "partner_id"), "bob");
    ada.leave(&first_session).await.expect(200);
    ada.active_session()
        .await
        .expect_error(404, "No active session");
}

#[actix_rt::test]
async fn a_session_ends_when_its_time_is_over() {
    let server = Server::with("SESSION_TTL_SECONDS", "1").start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    server.session(&session).await.expect(200);

    eventually("the session ends", async || {
        (server.session(&session).await.status == 404).then_some(())
    })
    .await;

    server
        .session(&session)
        .await
        .expect_error(404, "Session not found");
    for user in [&pair.first, &pair.second] {
        user.active_session()
            .await
            .expect_error(404, "No active session");
        let late = user.leave(&session).await;
        assert!(["left", "ok"].contains(&text(late.expect(200), "status")));
    }
}
