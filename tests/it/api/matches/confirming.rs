//! Both say yes: one session, and the same answer however often it is asked for.

use crate::harness::*;

#[actix_rt::test]
async fn the_first_to_confirm_waits_and_the_second_opens_the_session() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (ada_screen, bob_screen) = pair.connect().await;

    let first = pair.first.confirm(&pair.match_id, true).await;
    let waiting = json!({"status": "waiting_for_partner", "match_id": pair.match_id});
    assert_eq!(*first.expect(200), waiting);
    let unconfirmed = json!({"confirm_status": false, "session_id": null});
    assert_eq!(
        *server.match_status(&pair.match_id).await.expect(200),
        unconfirmed
    );

    let second = pair.second.confirm(&pair.match_id, true).await;
    let opened = second.expect(200);
    assert_eq!(text(opened, "match_id"), pair.match_id);
    assert_eq!(text(opened, "partner_id"), "ada");
    let session = text(opened, "session_id");
    assert!(!text(opened, "question_id").is_empty());

    server.session(session).await.expect(200);
    let confirmed = json!({"confirm_status": true, "session_id": session});
    assert_eq!(
        *server.match_status(&pair.match_id).await.expect(200),
        confirmed
    );
    let to_ada = ada_screen.next_event("match_ready").await;
    let to_bob = bob_screen.next_event("match_ready").await;
    for field in ["match_id", "session_id", "question_id"] {
        assert_eq!(to_ada[field], opened[field], "{field}");
        assert_eq!(to_bob[field], opened[field], "{field}");
    }
    assert_eq!(
        (text(&to_ada, "partner_id"), text(&to_bob, "partner_id")),
        ("bob", "ada")
    );
}

#[actix_rt::test]
async fn rest_alone_carries_the_whole_flow() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let ticket = ada.open_ticket("Medium", "Tree").await;
    bob.open_ticket("Medium", "Tree").await;

    let match_id = ada.matched(&ticket).await;
    ada.confirm(&match_id, true).await.expect(200);
    bob.confirm(&match_id, true).await.expect(200);
    let session = eventually("the match status names the session", async || {
        let status = server.match_status(&match_id).await;
        status.expect(200)["session_id"].as_str().map(str::to_owned)
    })
    .await;

    server.session(&session).await.expect(200);
    for user in [&ada, &bob] {
        assert_eq!(
            user.active_session().await.expect(200)["session_id"],
            session.as_str()
        );
        assert_eq!(
            *user.leave(&session).await.expect(200),
            json!({"status": "left"})
        );
        user.active_session()
            .await
            .expect_error(404, "No active session");
    }
}

#[actix_rt::test]
async fn repeating_a_confirmation_gives_the_same_answer() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (screen, _other) = pair.connect().await;
    let waiting = json!({"status": "waiting_for_partner", "match_id": pair.match_id});
    for _ in 0..3 {
        let reply = pair.first.confirm(&pair.match_id, true).await;
        assert_eq!(*reply.expect(200), waiting);
    }

    let opened = pair.second.confirm(&pair.match_id, true).await;

    for _ in 0..3 {
        let again = pair.second.confirm(&pair.match_id, true).await;
        assert_eq!(again.expect(200), opened.expect(200));
        let other = pair.first.confirm(&pair.match_id, true).await;
        assert_eq!(text(other.expect(200), "partner_id"), "bob");
        for field in ["match_id", "session_id", "question_id"] {
            assert_eq!(other.json[field], opened.json[field], "{field}");
        }
    }
    screen.next_event("match_ready").await;
    let session = text(&opened.json, "session_id");
    pair.second.leave(session).await.expect(200);
    screen.next_event("partner_left").await;
    assert_eq!(screen.count("match_ready"), 1);
}

#[actix_rt::test]
async fn simultaneous_confirmations_make_one_session() {
    let server = Server::start().await;

    join_all((0..25).map(|round| confirm_all_at_once(&server, round))).await;
}

async fn confirm_all_at_once(server: &Server, round: usize) {
    let names = (format!("a{round}"), format!("b{round}"));
    let pair = scenes::pair(server, &names.0, &names.1, &format!("topic {round}")).await;
    let (ada_screen, bob_screen) = pair.connect().await;

    let both = [&pair.first, &pair.second, &pair.first, &pair.second];
    let replies = join_all(both.map(|user| user.confirm(&pair.match_id, true))).await;

    let ready = ada_screen.next_event("match_ready").await;
    assert_eq!(
        bob_screen.next_event("match_ready").await["session_id"],
        ready["session_id"]
    );
    let (mut told, waiting) = (0, json!("waiting_for_partner"));
    for reply in &replies {
        match reply.expect(200) {
            answer if answer["status"] == waiting => {}
            answer => {
                assert_eq!(answer["session_id"], ready["session_id"]);
                told += 1;
            }
        }
    }
    assert!(
        told >= 1,
        "whoever came last is told the session: {replies:#?}"
    );
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["session_id"], ready["session_id"]);
    assert_eq!(
        (
            ada_screen.count("match_ready"),
            bob_screen.count("match_ready")
        ),
        (1, 1)
    );
}

#[actix_rt::test]
async fn declining_after_both_confirmed_is_refused() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;

    for user in [&pair.first, &pair.second] {
        user.confirm(&pair.match_id, false).await.expect(400);
    }

    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["session_id"], session.as_str());
    pair.first.active_session().await.expect(200);
}

#[actix_rt::test]
async fn a_confirmation_may_be_taken_back_while_the_partner_has_not_answered() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    let reply = pair.first.confirm(&pair.match_id, false).await;

    let cancelled = json!({
        "status": "cancelled", "requeued_partner": true, "match_id": pair.match_id,
    });
    assert_eq!(*reply.expect(200), cancelled);
    let late = pair.second.confirm(&pair.match_id, true).await;
    late.expect_error(404, "Match not found");
    assert_eq!(pair.first.state(&pair.first_ticket).await, "cancelled");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
}

#[actix_rt::test]
async fn strangers_can_neither_confirm_nor_decline_a_match() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let eve = server.user("eve");
    let unknown = uuid::Uuid::new_v4().to_string();

    for confirmed in [true, false] {
        let foreign = eve.confirm(&pair.match_id, confirmed).await;
        foreign.expect_error(404, "Match not found");
        assert_eq!(foreign.json, eve.confirm(&unknown, confirmed).await.json);
    }

    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["confirm_status"], false);
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let waiting = pair.first.confirm(&pair.match_id, true).await;
    assert_eq!(
        waiting.expect(200)["status"],
        "waiting_for_partner",
        "eve's yes did not count"
    );
    pair.second.confirm(&pair.match_id, true).await.expect(200);
    eve.confirm(&pair.match_id, true)
        .await
        .expect_error(404, "Match not found");
}

#[actix_rt::test]
async fn a_user_in_a_session_can_ask_be_matched_and_hold_two_sessions() {
    let server = Server::start().await;
    let earlier = scenes::pair(&server, "ada", "bob", "Array").await;
    let first_session = earlier.open_session().await;

    let later = scenes::pair_up(earlier.first.clone(), server.user("cleo"), "Array").await;
    let second_session = later.open_session().await;

    assert_ne!(first_session, second_session);
    let status = server.match_status(&earlier.match_id).await;
    assert_eq!(status.expect(200)["session_id"], first_session.as_str());
    let status = server.match_status(&later.match_id).await;
    assert_eq!(status.expect(200)["session_id"], second_session.as_str());
}
