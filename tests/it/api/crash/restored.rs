//! One situation at a time is killed and found again.

use std::time::{Duration, Instant};

use crate::harness::*;

#[actix_rt::test]
async fn waiting_tickets_are_back_in_their_places() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let blocking = scenes::pair(&server, "x", "y", "Graph").await;
    let users = ["ada", "bob", "cleo", "dan", "eve", "finn"].map(|name| server.user(name));
    let mut tickets = Vec::new();
    for user in &users {
        tickets.push(user.open_ticket("Easy", "Array").await);
    }
    users[1].cancel(&tickets[1]).await.expect(200);

    server.restart().await;

    for (index, (user, ticket)) in users.iter().zip(&tickets).enumerate() {
        let expected = if index == 1 { "cancelled" } else { "pending" };
        assert_eq!(user.state(ticket).await, expected, "{}", user.id);
    }
    let duplicate = users[0].ask("Easy", "Array").await;
    duplicate.expect_error(400, "You already have a pending request.");
    assert_eq!(text(&duplicate.json, "request_id"), tickets[0]);

    blocking.open_session().await;
    for (first, second) in [(0, 2), (3, 4)] {
        let match_id = users[first].matched(&tickets[first]).await;
        assert_eq!(users[second].matched(&tickets[second]).await, match_id);
        assert_eq!(users[5].state(&tickets[5]).await, "pending");
        for member in [first, second] {
            users[member].confirm(&match_id, true).await.expect(200);
        }
    }
}

#[actix_rt::test]
async fn people_who_came_after_the_restart_stand_behind_those_who_waited() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let blocking = scenes::pair(&server, "x", "y", "Graph").await;
    let (ada, bob, cleo) = (server.user("ada"), server.user("bob"), server.user("cleo"));
    let first = ada.open_ticket("Easy", "Array").await;

    server.restart().await;
    let second = bob.open_ticket("Easy", "Array").await;
    let third = cleo.open_ticket("Easy", "Array").await;
    blocking.open_session().await;

    assert_eq!(ada.matched(&first).await, bob.matched(&second).await);
    assert_eq!(cleo.state(&third).await, "pending");
}

#[actix_rt::test]
async fn an_unconfirmed_match_is_back_with_its_deadline() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "4")
        .start()
        .await;
    let (pair, screen, _other) = scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;
    let found = screen.next_event("match_found").await;

    server.restart().await;

    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["confirm_status"], false);
    let screen = pair.first.connect().await;
    assert_eq!(screen.next_event("match_found").await, found);
    let expired = screen.next_event("match_expired").await;
    assert_eq!(text(&expired, "reason"), "confirmation_timeout");
    let overdue = unix_now() - unix_seconds(text(&found, "expires_at"));
    assert!(
        overdue > -1.0 && overdue < 3.0,
        "expired {overdue} s after its deadline"
    );
    assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
}

#[actix_rt::test]
async fn half_of_a_confirmation_is_kept() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    server.restart().await;

    let duplicate = pair.first.ask("Hard", "Graph").await;
    duplicate.expect_error(400, "You already have a pending request.");
    let repeated = pair.first.confirm(&pair.match_id, true).await;
    assert_eq!(repeated.expect(200)["status"], "waiting_for_partner");
    let opened = pair.second.confirm(&pair.match_id, true).await;
    server
        .session(text(opened.expect(200), "session_id"))
        .await
        .expect(200);
}

#[actix_rt::test]
async fn an_open_session_is_kept_with_who_has_left() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let before = server.session(&session).await;
    let active = pair.second.active_session().await;
    pair.first.leave(&session).await.expect(200);

    server.restart().await;

    let after = server.session(&session).await;
    for field in ["question", "code", "language", "users"] {
        assert_eq!(
            after.expect(200)[field],
            before.expect(200)[field],
            "{field}"
        );
    }
    pair.first
        .active_session()
        .await
        .expect_error(404, "No active session");
    assert_eq!(pair.second.active_session().await.expect(200), &active.json);
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(
        *status.expect(200),
        json!({"confirm_status": true, "session_id": session})
    );
    let repeated = pair.second.confirm(&pair.match_id, true).await;
    assert_eq!(repeated.expect(200)["session_id"], session.as_str());

    let mut screen = pair.second.connect().await;
    let again = pair.first.leave(&session).await;
    assert_eq!(*again.expect(200), json!({"status": "left"}));
    pair.second.leave(&session).await.expect(200);
    server.restart().await;
    pair.second
        .active_session()
        .await
        .expect_error(404, "No active session");
    assert_eq!(
        screen.count("partner_left"),
        0,
        "told before the first kill, if at all"
    );
    screen.expect_close(1006).await;
    screen = pair.second.connect().await;
    assert_eq!(screen.events().len(), 0);
}

#[actix_rt::test]
async fn a_decline_is_kept_with_who_must_not_meet_again() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);

    server.restart().await;

    server
        .match_status(&pair.match_id)
        .await
        .expect_error(404, "Match not found");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "cancelled");
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    let repeated = pair.second.confirm(&pair.match_id, false).await;
    assert!([200, 404].contains(&repeated.status), "{}", repeated.text);
    let same = pair.first.ask("Easy", "Array").await;
    assert_eq!(
        text(same.expect(200), "id"),
        pair.first_ticket,
        "it is still put back"
    );

    let renewed = pair.second.open_ticket("Easy", "Array").await;
    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    assert_eq!(
        pair.first.matched(&pair.first_ticket).await,
        cleo.matched(&third).await
    );
    assert_eq!(pair.second.state(&renewed).await, "pending");
}

#[actix_rt::test]
async fn a_replaced_ticket_stays_replaced() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let elsewhere = pair.first.open_ticket("Hard", "Graph").await;

    server.restart().await;

    assert_eq!(pair.first.state(&pair.first_ticket).await, "cancelled");
    assert_eq!(pair.first.state(&elsewhere).await, "pending");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
}

#[actix_rt::test]
async fn a_ticket_whose_wait_ran_out_while_the_server_was_down_has_timed_out() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "1").start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let ticket = ada.open_ticket("Easy", "Array").await;
    server.kill();
    let_pass(Duration::from_millis(1_200)).await;

    server.restart().await;

    let other = bob.open_ticket("Easy", "Array").await;
    ada.reaches(&ticket, "timeout").await;
    bob.reaches(&other, "timeout").await;
    ada.open_ticket("Easy", "Array").await;
}

#[actix_rt::test]
async fn the_first_of_two_silences_is_remembered() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1")
        .start()
        .await;
    let pair = scenes::pair(&server, "bob", "ada", "Array").await;
    pair.second.confirm(&pair.match_id, true).await.expect(200);
    pair.first.reaches(&pair.first_ticket, "pending").await;

    server.restart().await;
    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    let second_match = cleo.matched(&third).await;
    assert_eq!(pair.first.matched(&pair.first_ticket).await, second_match);

    pair.first.reaches(&pair.first_ticket, "timeout").await;
}

#[actix_rt::test]
async fn a_window_that_ran_out_while_the_server_was_down_gets_ten_seconds_more() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1")
        .start()
        .await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    server.kill();
    let_pass(Duration::from_millis(1_500)).await;

    server.restart().await;

    let found = pair.second.connect().await.next_event("match_found").await;
    let more = unix_seconds(text(&found, "expires_at")) - unix_now();
    assert!(more > 7.0 && more < 11.0, "{more} s more");
    server.restart().await;
    let again = pair.second.connect().await.next_event("match_found").await;
    assert_eq!(again, found, "the new deadline is stored");
    let opened = pair.second.confirm(&pair.match_id, true).await;
    assert!(opened.expect(200)["session_id"].is_string());
}

/// Slow: waits for those ten seconds twice, once while the server is down.
#[actix_rt::test]
async fn the_ten_seconds_more_are_given_once_and_then_the_match_expires() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1")
        .start()
        .await;
    let lasting = scenes::pair(&server, "ada", "bob", "Array").await;
    server.kill();
    let_pass(Duration::from_millis(1_500)).await;
    server.restart().await;
    let screen = lasting.first.connect().await;
    let found = screen.next_event("match_found").await;
    let left = unix_seconds(text(&found, "expires_at")) - unix_now();

    server.kill();
    let_pass(Duration::from_secs_f64(left.max(0.0) + 1.5)).await;
    let begun = Instant::now();
    server.restart().await;

    lasting
        .first
        .reaches(&lasting.first_ticket, "pending")
        .await;
    lasting
        .second
        .reaches(&lasting.second_ticket, "pending")
        .await;
    assert!(
        is_in_time(begun.elapsed(), Duration::from_secs(7)),
        "expired after {:?}",
        begun.elapsed()
    );
    let status = server.match_status(&lasting.match_id).await;
    status.expect_error(404, "Match not found");
}

#[actix_rt::test]
async fn everything_survives_an_orderly_restart_too() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let opened = scenes::pair(&server, "cleo", "dan", "Graph").await;
    let session = opened.open_session().await;
    let eve = server.user("eve");
    let ticket = eve.open_ticket("Hard", "Tree").await;

    let (status, _) = server.terminate().await;
    assert!(status.success(), "{status}");
    server.restart().await;

    assert_eq!(eve.state(&ticket).await, "pending");
    let unconfirmed = server.match_status(&pair.match_id).await;
    assert_eq!(unconfirmed.expect(200)["confirm_status"], false);
    assert_eq!(
        opened.first.active_session().await.expect(200)["session_id"],
        session.as_str()
    );
    pair.open_session().await;
}
