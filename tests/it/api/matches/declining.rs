//! One says no: the partner is told, keeps the place, and does not meet that decliner again.

use crate::harness::*;

#[actix_rt::test]
async fn a_decline_is_answered_and_the_partner_is_told_and_waits_again() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (ada_screen, bob_screen) = pair.connect().await;

    let reply = pair.second.confirm(&pair.match_id, false).await;

    let cancelled = json!({
        "status": "cancelled", "requeued_partner": true, "match_id": pair.match_id,
    });
    assert_eq!(*reply.expect(200), cancelled);
    let told = ada_screen.next_event("match_expired").await;
    assert_eq!(text(&told, "match_id"), pair.match_id);
    assert_eq!(text(&told, "reason"), "partner_declined");
    assert_eq!(told["requeued"], true);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "cancelled");
    let status = server.match_status(&pair.match_id).await;
    status.expect_error(404, "Match not found");

    // The next event that the decliner hears shows that none came before it.
    pair.second.open_ticket("Hard", "Graph").await;
    server.user("cleo").open_ticket("Hard", "Graph").await;
    bob_screen.match_with("cleo").await;
    assert_eq!(
        bob_screen.count("match_expired"),
        0,
        "{:?}",
        bob_screen.events()
    );
}

#[actix_rt::test]
async fn a_match_can_be_declined_after_the_partner_confirmed() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (screen, _other) = pair.connect().await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    let reply = pair.second.confirm(&pair.match_id, false).await;

    assert_eq!(reply.expect(200)["requeued_partner"], true);
    assert_eq!(screen.next_event("match_expired").await["requeued"], true);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    let late = pair.first.confirm(&pair.match_id, true).await;
    late.expect_error(404, "Match not found");
}

#[actix_rt::test]
async fn repeating_an_own_decline_gives_the_same_answer_and_changes_nothing() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (screen, _other) = pair.connect().await;
    let declined = pair.second.confirm(&pair.match_id, false).await;
    declined.expect(200);

    for _ in 0..3 {
        let again = pair.second.confirm(&pair.match_id, false).await;
        assert_eq!(again.expect(200), declined.expect(200));
    }

    let by_partner = pair.first.confirm(&pair.match_id, false).await;
    by_partner.expect_error(404, "Match not found");
    let changed_mind = pair.second.confirm(&pair.match_id, true).await;
    changed_mind.expect_error(404, "Match not found");
    screen.next_event("match_expired").await;
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    assert_eq!(screen.count("match_expired"), 1);
}

#[actix_rt::test]
async fn the_declined_partner_is_offered_the_next_in_line_at_once() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (screen, _other) = pair.connect().await;
    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;

    pair.second.confirm(&pair.match_id, false).await.expect(200);

    let offered = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;
    assert_eq!(cleo.matched(&third).await, offered);
    screen.next_event("match_expired").await;
    assert_eq!(text(&screen.match_with("cleo").await, "match_id"), offered);
}

#[actix_rt::test]
async fn the_declined_partner_keeps_the_place_ahead_of_later_arrivals() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let later = ["cleo", "dan", "eve"].map(|name| server.user(name));
    let mut tickets = Vec::new();
    for user in &later {
        tickets.push(user.open_ticket("Easy", "Array").await);
    }

    pair.second.confirm(&pair.match_id, false).await.expect(200);

    let offered = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;
    assert_eq!(later[0].matched(&tickets[0]).await, offered);
    later[0].confirm(&offered, false).await.expect(200);
    let offered_next = pair.first.matched_again(&pair.first_ticket, &offered).await;
    assert_eq!(later[1].matched(&tickets[1]).await, offered_next);
    assert_eq!(later[2].state(&tickets[2]).await, "pending");
}

#[actix_rt::test]
async fn whoever_declined_is_not_proposed_to_that_partner_again() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);

    let renewed = pair.second.open_ticket("Easy", "Array").await;

    assert_ne!(renewed, pair.second_ticket);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    let offered = cleo.matched(&third).await;
    assert_eq!(pair.first.matched(&pair.first_ticket).await, offered);
    assert_eq!(pair.second.state(&renewed).await, "pending");
    let dan = server.user("dan");
    let fourth = dan.open_ticket("Easy", "Array").await;
    assert_eq!(
        pair.second.matched(&renewed).await,
        dan.matched(&fourth).await
    );
}

#[actix_rt::test]
async fn a_put_back_ticket_can_be_cancelled() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);

    pair.first.cancel(&pair.first_ticket).await.expect(200);

    assert_eq!(pair.first.state(&pair.first_ticket).await, "cancelled");
    let cleo = server.user("cleo");
    let ticket = cleo.open_ticket("Easy", "Array").await;
    assert_eq!(cleo.state(&ticket).await, "pending");
}

#[actix_rt::test]
async fn a_put_back_ticket_waits_its_whole_time_again() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "1.2")
        .start()
        .await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let screen = ada.connect().await;
    let ticket = ada.open_ticket("Easy", "Array").await;
    // Most of the first wait goes by before a partner comes.
    let_pass(std::time::Duration::from_millis(800)).await;
    bob.open_ticket("Easy", "Array").await;
    let match_id = ada.matched(&ticket).await;

    let put_back = std::time::Instant::now();
    bob.confirm(&match_id, false).await.expect(200);
    screen.next_event("request_timeout").await;

    let waited = put_back.elapsed().as_secs_f64();
    assert!(waited > 1.1, "only {waited} s after it was put back");
    assert_eq!(ada.state(&ticket).await, "timeout");
}

#[actix_rt::test]
async fn a_chain_of_declines_never_makes_the_first_in_line_wait_behind_others() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    let mut former = String::new();

    for round in 0..12 {
        let decliner = server.user(&format!("decliner-{round}"));
        let other = decliner.open_ticket("Easy", "Array").await;
        let offered = ada.matched_again(&ticket, &former).await;
        assert_eq!(decliner.matched(&other).await, offered);
        decliner.confirm(&offered, false).await.expect(200);
        former = offered;
    }

    ada.reaches(&ticket, "pending").await;
    let cleo = server.user("cleo");
    let last = cleo.open_ticket("Easy", "Array").await;
    assert_eq!(cleo.matched(&last).await, ada.matched(&ticket).await);
}
