//! How often one user may ask, and what happens when everything is in use: contract §2 and §9.

use crate::harness::*;

#[actix_rt::test]
async fn asks_and_confirmations_beyond_the_rate_are_429_and_change_nothing() {
    let server = Server::with("ASK_BURST", 5)
        .with("ASKS_PER_SECOND", 1)
        .start()
        .await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    let no_match = uuid::Uuid::new_v4().to_string();
    ada.ask("Extreme", "Array").await.expect(400);
    ada.request(Method::POST, "/request")
        .body("{")
        .send()
        .await
        .expect(400);
    ada.confirm("no uuid", true).await.expect(400);
    ada.confirm(&no_match, true).await.expect(404);

    let mut refused = 0;
    for request in [ada.asking("Easy", "Array"), ada.answering(&no_match, true)] {
        let reply = request.send().await;
        if reply.status == 429 {
            reply.expect(429);
            refused += 1;
        }
    }

    assert!(
        refused >= 1,
        "seven requests of five that are free, at one a second"
    );
    assert_eq!(server.reached("ask_rate").await, f64::from(refused));
    assert_eq!(server.metric("matchmaker_rated_users").await, 1.0);
    for _ in 0..30 {
        assert_eq!(ada.state(&ticket).await, "pending", "reads are free");
    }
    server.user("bob").ask("Easy", "Array").await.expect(200);
    ada.matched(&ticket).await;
    eventually("the rate allows one more", async || {
        let reply = ada.confirm(&no_match, true).await;
        (reply.status != 429).then(|| reply.expect(404).clone())
    })
    .await;
}

#[actix_rt::test]
async fn whoever_asks_much_does_not_slow_down_anybody_else() {
    let server = Server::with("ASK_BURST", 5)
        .with("ASKS_PER_SECOND", 1)
        .start()
        .await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));

    let replies = join_all((0..50).map(|_| ada.ask("Extreme", "Array"))).await;

    let refused = replies.iter().filter(|reply| reply.status == 429).count();
    assert!(refused >= 40, "{refused} of 50 refused");
    bob.open_ticket("Easy", "Array").await;
}

#[actix_rt::test]
async fn a_leave_and_a_cancel_are_not_held_up_by_the_rate_of_asks() {
    let server = Server::with("ASK_BURST", 3)
        .with("ASKS_PER_SECOND", 1)
        .start()
        .await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    join_all((0..10).map(|_| ada.ask("Extreme", "Array"))).await;

    ada.cancel(&ticket).await.expect(200);
    let unknown = uuid::Uuid::new_v4().to_string();
    assert_eq!(
        *ada.leave(&unknown).await.expect(200),
        json!({"status": "ok"})
    );
}

#[actix_rt::test]
async fn a_full_server_refuses_one_more_ticket_and_takes_it_once_there_is_room() {
    let server = Server::with("MAX_TICKETS", 2).start().await;
    let (ada, bob, cleo) = (server.user("ada"), server.user("bob"), server.user("cleo"));
    let first = ada.open_ticket("Easy", "Array").await;
    let second = bob.open_ticket("Easy", "Graph").await;

    let refused = cleo.ask("Easy", "Tree").await;

    refused.expect(503);
    assert_eq!(server.reached("tickets").await, 1.0);
    assert_eq!(server.metric("matchmaker_tickets_live").await, 2.0);
    assert_eq!(ada.state(&first).await, "pending");
    assert_eq!(bob.state(&second).await, "pending");
    ada.cancel(&first).await.expect(200);
    let third = cleo.open_ticket("Easy", "Tree").await;
    assert_eq!(cleo.state(&third).await, "pending");
}

#[actix_rt::test]
async fn a_server_with_all_its_buckets_in_use_still_serves_those() {
    let server = Server::with("MAX_BUCKETS", 2).start().await;
    let (ada, bob, cleo) = (server.user("ada"), server.user("bob"), server.user("cleo"));
    let first = ada.open_ticket("Easy", "Array").await;
    let second = bob.open_ticket("Easy", "Graph").await;

    cleo.ask("Easy", "Tree").await.expect(503);

    assert_eq!(server.reached("buckets").await, 1.0);
    assert_eq!(server.metric("matchmaker_buckets").await, 2.0);
    let third = cleo.open_ticket("Easy", "Array").await;
    assert_eq!(ada.matched(&first).await, cleo.matched(&third).await);
    bob.cancel(&second).await.expect(200);
    bob.open_ticket("Easy", "Tree").await;
}

#[actix_rt::test]
async fn whoever_would_need_one_bucket_too_many_keeps_the_ticket_that_they_have() {
    let options = Server::with("MAX_BUCKETS", 1).with("CONFIRM_MATCH_TIMEOUT_SECONDS", "60");
    let server = options.start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");

    pair.first.ask("Easy", "Tree").await.expect(503);

    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
}

#[actix_rt::test]
async fn a_server_with_as_many_sessions_as_it_may_have_lets_nobody_new_in_until_one_ends() {
    let server = Server::with("MAX_SESSIONS", 1).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let cleo = server.user("cleo");

    cleo.ask("Easy", "Array").await.expect(503);

    assert_eq!(server.reached("sessions").await, 1.0);
    assert_eq!(server.metric("matchmaker_sessions_open").await, 1.0);
    pair.first.leave(&session).await.expect(200);
    pair.second.leave(&session).await.expect(200);
    cleo.open_ticket("Easy", "Array").await;
}

#[actix_rt::test]
async fn a_server_with_all_its_sockets_open_refuses_one_more_and_serves_the_rest() {
    let server = Server::with("MAX_SOCKETS", 2).start().await;
    let (ada, bob, cleo) = (server.user("ada"), server.user("bob"), server.user("cleo"));
    let (ada_screen, _bob_screen) = (ada.connect().await, bob.connect().await);

    let mut raw = Raw::connect(server.api()).await;
    raw.send(upgrade(&format!("/ws?token={}", cleo.token), ""))
        .await;
    let refused = raw.reply().await.expect("a handshake is answered");

    refused.expect(503);
    assert_eq!(server.reached("sockets").await, 1.0);
    assert_eq!(server.metric("matchmaker_sockets_open").await, 2.0);
    scenes::pair_up(ada, cleo, "Array").await;
    ada_screen.match_with("cleo").await;
}

#[actix_rt::test]
async fn a_pair_beyond_the_matches_that_may_be_open_waits_until_one_ends_and_that_is_counted() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (cleo, dan) = (server.user("cleo"), server.user("dan"));
    let tickets = [
        cleo.open_ticket("Easy", "Graph").await,
        dan.open_ticket("Easy", "Graph").await,
    ];

    eventually("that is counted", async || {
        (server.reached("matches").await == 1.0).then_some(())
    })
    .await;

    let proposed = "matchmaker_matches_open{state=\"proposed\"}";
    assert_eq!(server.metric(proposed).await, 1.0);
    assert_eq!(cleo.state(&tickets[0]).await, "pending");
    pair.open_session().await;
    assert_eq!(
        cleo.matched(&tickets[0]).await,
        dan.matched(&tickets[1]).await
    );
}

#[actix_rt::test]
async fn how_high_each_limit_is_and_that_it_was_not_reached_stands_in_the_metrics() {
    let server = Server::with("MAX_SOCKETS", 7)
        .with("MAX_TICKETS", 8)
        .start()
        .await;

    for (limit, height) in [
        ("matches", 5_000.0),
        ("tickets", 8.0),
        ("sessions", 200_000.0),
        ("buckets", 100_000.0),
        ("sockets", 7.0),
        ("sockets_of_user", 20.0),
        ("socket_messages", 20.0),
        ("socket_events", 256.0),
        ("ask_rate", 60.0),
        ("rated_users", 100_000.0),
        ("asks_under_way", 4_096.0),
    ] {
        let sample = format!("matchmaker_limit{{limit=\"{limit}\"}}");
        assert_eq!(server.metric(&sample).await, height, "{limit}");
        assert_eq!(server.reached(limit).await, 0.0, "{limit}");
    }
}
