//! The confirmation window ends without both answers.

use crate::harness::*;

/// A server whose confirmation window is short, but long enough for an answer on a busy machine.
async fn impatient_server() -> Server {
    Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1")
        .start()
        .await
}

/// Awaits that both sockets hear that the match ended by time, both put back.
async fn both_put_back(pair: &scenes::Pair, screens: [&mut Socket; 2]) {
    for screen in screens {
        let told = screen.next_event("match_expired").await;
        assert_eq!(text(&told, "match_id"), pair.match_id);
        assert_eq!(text(&told, "reason"), "confirmation_timeout");
        assert_eq!(told["requeued"], true);
    }
}

#[actix_rt::test]
async fn when_nobody_answers_both_are_told_and_both_wait_again_but_not_for_each_other() {
    let server = impatient_server().await;
    let (pair, mut ada_screen, mut bob_screen) =
        scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;

    both_put_back(&pair, [&mut ada_screen, &mut bob_screen]).await;

    let status = server.match_status(&pair.match_id).await;
    status.expect_error(404, "Match not found");
    for confirmed in [true, false] {
        let late = pair.first.confirm(&pair.match_id, confirmed).await;
        late.expect_error(404, "Match not found");
    }
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    let offered = cleo.matched(&third).await;
    assert_eq!(
        pair.first.matched(&pair.first_ticket).await,
        offered,
        "ada is the oldest"
    );
    assert_eq!(ada_screen.count("match_expired"), 1);
}

#[actix_rt::test]
async fn a_match_has_its_whole_confirmation_window() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1")
        .start()
        .await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let screen = ada.connect().await;
    ada.open_ticket("Easy", "Array").await;
    let begun = std::time::Instant::now();
    bob.open_ticket("Easy", "Array").await;

    let found = screen.next_event("match_found").await;
    screen.next_event("match_expired").await;

    assert!(
        begun.elapsed().as_secs_f64() >= 1.0,
        "{:?}",
        begun.elapsed()
    );
    let overdue = unix_now() - unix_seconds(text(&found, "expires_at"));
    assert!(overdue > -1.0, "told {overdue} s after the announced time");
}

#[actix_rt::test]
async fn whoever_confirmed_keeps_the_place_ahead_of_later_arrivals_after_the_partner_was_silent() {
    let options = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1");
    let server = options.with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let (pair, mut ada_screen, mut bob_screen) =
        scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let later = ["cleo", "dan"].map(|name| server.user(name));
    let mut tickets = Vec::new();
    for user in &later {
        tickets.push(user.open_ticket("Easy", "Array").await);
    }

    both_put_back(&pair, [&mut ada_screen, &mut bob_screen]).await;

    let offered = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;
    assert_eq!(later[0].matched(&tickets[0]).await, offered);
    let opened = scenes::Pair {
        first: pair.first.clone(),
        second: later[0].clone(),
        first_ticket: pair.first_ticket.clone(),
        second_ticket: tickets[0].clone(),
        match_id: offered,
    };
    opened.open_session().await;
    let next = pair
        .second
        .matched_again(&pair.second_ticket, &pair.match_id)
        .await;
    assert_eq!(
        later[1].matched(&tickets[1]).await,
        next,
        "bob's place is ahead of dan's"
    );
}

#[actix_rt::test]
async fn a_second_silence_in_a_row_ends_the_ticket() {
    let server = impatient_server().await;
    let (pair, mut bob_screen, mut ada_screen) =
        scenes::pair_at_screens(&server, ["bob", "ada"], "Array").await;
    pair.second.confirm(&pair.match_id, true).await.expect(200);
    both_put_back(&pair, [&mut bob_screen, &mut ada_screen]).await;
    let cleo = server.user("cleo");
    let cleo_screen = cleo.connect().await;
    let third = cleo.open_ticket("Easy", "Array").await;
    let second_match = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;

    cleo.confirm(&second_match, true).await.expect(200);

    let to_bob = bob_screen.next_event("match_expired").await;
    assert_eq!(text(&to_bob, "match_id"), second_match);
    assert_eq!(text(&to_bob, "reason"), "confirmation_timeout");
    assert_eq!(to_bob["requeued"], false);
    assert_eq!(
        cleo_screen.next_event("match_expired").await["requeued"],
        true
    );
    assert_eq!(pair.first.state(&pair.first_ticket).await, "timeout");
    let offered = cleo.matched_again(&third, &second_match).await;
    assert_eq!(pair.second.matched(&pair.second_ticket).await, offered);
    let renewed = pair.first.open_ticket("Easy", "Array").await;
    assert_ne!(renewed, pair.first_ticket);
}

#[actix_rt::test]
async fn an_answer_between_two_silences_starts_the_count_again() {
    let server = impatient_server().await;
    let (pair, mut bob_screen, mut ada_screen) =
        scenes::pair_at_screens(&server, ["bob", "ada"], "Array").await;
    both_put_back(&pair, [&mut bob_screen, &mut ada_screen]).await;
    pair.second.cancel(&pair.second_ticket).await.expect(200);

    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    let second_match = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;
    pair.first.confirm(&second_match, true).await.expect(200);
    assert_eq!(
        bob_screen.next_event("match_expired").await["requeued"],
        true
    );
    cleo.cancel(&third).await.expect(200);

    let dan = server.user("dan");
    dan.open_ticket("Easy", "Array").await;
    pair.first
        .matched_again(&pair.first_ticket, &second_match)
        .await;
    let silent_again = bob_screen.next_event("match_expired").await;

    assert_eq!(
        silent_again["requeued"], true,
        "the first silence after an answer"
    );
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
}

#[actix_rt::test]
async fn a_pair_that_expired_meets_again_once_a_silent_one_asks_again() {
    let server = impatient_server().await;
    let (pair, mut ada_screen, mut bob_screen) =
        scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    both_put_back(&pair, [&mut ada_screen, &mut bob_screen]).await;

    let by_the_other = pair.first.ask("Easy", "Array").await;
    assert_eq!(text(by_the_other.expect(200), "id"), pair.first_ticket);
    assert_eq!(text(&by_the_other.json, "status"), "pending");
    let by_the_silent = pair.second.ask("Easy", "Array").await;
    assert_eq!(text(by_the_silent.expect(200), "id"), pair.second_ticket);

    let again = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;
    assert_eq!(pair.second.matched(&pair.second_ticket).await, again);
}

#[actix_rt::test]
async fn whoever_confirmed_does_not_lift_the_ban_by_asking_again() {
    let server = impatient_server().await;
    let (pair, mut ada_screen, mut bob_screen) =
        scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    both_put_back(&pair, [&mut ada_screen, &mut bob_screen]).await;

    pair.first.ask("Easy", "Array").await.expect(200);

    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    let offered = cleo.matched(&third).await;
    assert_eq!(pair.first.matched(&pair.first_ticket).await, offered);
    assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
}

#[actix_rt::test]
async fn two_absent_people_never_loop() {
    let options = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "0.2");
    let server = options
        .with("MATCHING_TIMEOUT_SECONDS", "1.5")
        .start()
        .await;
    let (pair, ada_screen, bob_screen) =
        scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;

    ada_screen.next_event("request_timeout").await;
    bob_screen.next_event("request_timeout").await;

    assert!(
        ada_screen.count("match_found") <= 1,
        "{:?}",
        ada_screen.events()
    );
    assert_eq!(ada_screen.count("match_expired"), 1);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "timeout");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "timeout");
}
