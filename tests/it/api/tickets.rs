//! Asking for a partner, reading and withdrawing the request: contract §3 and §5.

use std::time::Duration;

use crate::harness::*;

#[actix_rt::test]
async fn an_ask_is_answered_with_the_ticket_in_the_contracts_fields() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let before = unix_now();

    let reply = ada.ask("Easy", "Hash Table").await;

    let ticket = reply.expect(200);
    assert_eq!(text(ticket, "user_id"), "ada");
    assert_eq!(text(ticket, "difficulty"), "Easy");
    assert_eq!(text(ticket, "topic"), "Hash Table");
    assert_eq!(text(ticket, "status"), "pending");
    uuid::Uuid::parse_str(text(ticket, "id")).expect("a ticket's id is a uuid");
    let created_at = text(ticket, "created_at");
    assert_eq!(
        created_at.len(),
        "2025-11-10T06:40:23Z".len(),
        "whole seconds: {created_at}"
    );
    let created_at = unix_seconds(created_at);
    assert!(created_at > before - 1.5 && created_at < unix_now() + 0.5);
}

#[actix_rt::test]
async fn a_difficulty_is_taken_in_any_letter_case_and_answered_in_one() {
    let server = Server::start().await;

    for (sent, answered) in [
        ("easy", "Easy"),
        ("EASY", "Easy"),
        ("mEdIuM", "Medium"),
        ("Medium", "Medium"),
        ("hard", "Hard"),
    ] {
        let reply = server.user(sent).ask(sent, "Graph").await;

        assert_eq!(reply.expect(200)["difficulty"], answered, "{sent}");
    }
}

#[actix_rt::test]
async fn a_topic_is_trimmed_and_otherwise_answered_as_sent() {
    let server = Server::start().await;
    let longest = "ö".repeat(64);

    for (index, (sent, answered)) in [
        ("  Hash   Table ", "Hash   Table"),
        ("\u{a0}Árvore\u{2003}", "Árvore"),
        ("動的計画法", "動的計画法"),
        (longest.as_str(), longest.as_str()),
        (&format!("   {longest}   "), longest.as_str()),
        ("'; DROP TABLE tickets; --", "'; DROP TABLE tickets; --"),
        ("<script>&amp;%00{}", "<script>&amp;%00{}"),
    ]
    .into_iter()
    .enumerate()
    {
        let user = server.user(&format!("user-{index}"));

        let reply = user.ask("Easy", sent).await;

        assert_eq!(reply.expect(200)["topic"], answered, "{sent:?}");
    }
}

#[actix_rt::test]
async fn topics_meet_when_equal_but_for_case_and_white_space() {
    let server = Server::start().await;

    for (index, (one, other)) in [
        ("Hash Table", "hash table"),
        ("Hash Table", "  HASH \u{2003}  TABLE"),
        ("ÉTÉ", "été"),
    ]
    .into_iter()
    .enumerate()
    {
        let (ada, bob) = (
            server.user(&format!("a{index}")),
            server.user(&format!("b{index}")),
        );
        let ticket = ada.open_ticket("Easy", one).await;

        let reply = bob.ask("EASY", other).await;

        assert_eq!(reply.expect(200)["topic"], other.trim());
        ada.matched(&ticket).await;
    }
}

#[actix_rt::test]
async fn different_topics_or_difficulties_never_meet() {
    let server = Server::start().await;
    let strangers = [
        ("Easy", "Hash Tables"),
        ("Medium", "Hash Table"),
        ("Easy", "HashTable"),
        ("Hard", "Hash Table"),
    ];
    let mut waiting = Vec::new();
    for (index, (difficulty, topic)) in strangers.into_iter().enumerate() {
        let user = server.user(&format!("stranger-{index}"));
        let ticket = user.open_ticket(difficulty, topic).await;
        waiting.push((user, ticket));
    }

    let pair = scenes::pair(&server, "ada", "bob", "Hash Table").await;

    assert_eq!(pair.first.state(&pair.first_ticket).await, "matched");
    for (user, ticket) in &waiting {
        assert_eq!(user.state(ticket).await, "pending", "{}", user.id);
    }
}

#[actix_rt::test]
async fn a_second_ask_while_waiting_is_refused_and_names_the_ticket_that_waits() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;

    for (difficulty, topic) in [("Easy", "Array"), ("easy", " ARRAY"), ("Hard", "Graph")] {
        let reply = ada.ask(difficulty, topic).await;

        let refusal = reply.expect_error(400, "You already have a pending request.");
        assert_eq!(text(refusal, "request_id"), ticket);
        assert_eq!(text(refusal, "status"), "pending");
    }

    let bob = server.user("bob");
    let other = bob.open_ticket("Hard", "Graph").await;
    assert_eq!(ada.state(&ticket).await, "pending");
    assert_eq!(bob.state(&other).await, "pending");
}

#[actix_rt::test]
async fn twelve_simultaneous_identical_requests_leave_one_ticket_and_no_self_match() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let screen = ada.connect().await;

    let replies = join_all((0..12).map(|_| ada.ask("Easy", "Array"))).await;

    let ticket = the_only_ticket(&replies);
    assert_eq!(ada.state(&ticket).await, "pending");
    let bob = server.user("bob");
    let other = bob.open_ticket("Easy", "Array").await;
    assert_eq!(ada.matched(&ticket).await, bob.matched(&other).await);
    assert_eq!(screen.next_event("match_found").await["partner_id"], "bob");
    assert_eq!(screen.count("match_found"), 1);
}

#[actix_rt::test]
async fn simultaneous_requests_for_different_buckets_leave_one_ticket() {
    let server = Server::start().await;
    let ada = server.user("ada");

    for round in 0..10 {
        let topics: Vec<String> = (0..6).map(|topic| format!("{round}-{topic}")).collect();
        let replies = join_all(topics.iter().map(|topic| ada.ask("Easy", topic))).await;

        let ticket = the_only_ticket(&replies);
        ada.cancel(&ticket).await.expect(200);
    }
}

/// The ticket that one of `replies` opened, which all the others name.
#[track_caller]
fn the_only_ticket(replies: &[Reply]) -> String {
    let opened: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(opened.len(), 1, "{replies:#?}");
    let ticket = text(&opened[0].json, "id").to_owned();
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        reply.expect_error(400, "You already have a pending request.");
        assert_eq!(text(&reply.json, "request_id"), ticket);
    }
    ticket
}

#[actix_rt::test]
async fn the_status_follows_a_ticket_through_its_life() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    assert_eq!(
        *ada.status(&ticket).await.expect(200),
        json!({"status": "pending"})
    );

    let bob = server.user("bob");
    let other = bob.open_ticket("Easy", "Array").await;
    let match_id = ada.matched(&ticket).await;
    let matched = json!({"status": "matched", "match_id": match_id});
    assert_eq!(*ada.status(&ticket).await.expect(200), matched);
    assert_eq!(*bob.status(&other).await.expect(200), matched);

    ada.confirm(&match_id, true).await.expect(200);
    assert_eq!(*ada.status(&ticket).await.expect(200), matched);
    let opened = bob.confirm(&match_id, true).await;
    let session = text(opened.expect(200), "session_id");
    assert_eq!(*ada.status(&ticket).await.expect(200), matched);

    ada.leave(session).await.expect(200);
    bob.leave(session).await.expect(200);
    assert_eq!(*ada.status(&ticket).await.expect(200), matched);
    assert_eq!(*bob.status(&other).await.expect(200), matched);
}

#[actix_rt::test]
async fn a_cancelled_ticket_is_over_and_is_not_paired() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;

    let reply = ada.cancel(&ticket).await;

    assert_eq!(
        *reply.expect(200),
        json!({"message": "Match request cancelled"})
    );
    assert_eq!(
        *ada.status(&ticket).await.expect(200),
        json!({"status": "cancelled"})
    );
    let again = ada.cancel(&ticket).await;
    again.expect_error(400, "Can only cancel pending requests");

    let bob = server.user("bob");
    let other = bob.open_ticket("Easy", "Array").await;
    assert_eq!(bob.state(&other).await, "pending");
    let renewed = ada.open_ticket("Easy", "Array").await;
    assert_ne!(renewed, ticket);
    assert_eq!(ada.matched(&renewed).await, bob.matched(&other).await);
}

#[actix_rt::test]
async fn a_matched_ticket_cannot_be_cancelled() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;

    let unanswered = pair.first.cancel(&pair.first_ticket).await;
    unanswered.expect_error(400, "Can only cancel pending requests");
    pair.open_session().await;
    let in_session = pair.first.cancel(&pair.first_ticket).await;
    in_session.expect_error(400, "Can only cancel pending requests");

    assert_eq!(pair.first.state(&pair.first_ticket).await, "matched");
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["confirm_status"], true);
}

#[actix_rt::test]
async fn simultaneous_cancels_of_one_ticket_succeed_once() {
    let server = Server::start().await;
    let ada = server.user("ada");

    for _ in 0..20 {
        let ticket = ada.open_ticket("Easy", "Array").await;
        let replies = join_all((0..4).map(|_| ada.cancel(&ticket))).await;

        let done = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(done, 1, "{replies:#?}");
        for refused in replies.iter().filter(|reply| reply.status != 200) {
            refused.expect_error(400, "Can only cancel pending requests");
        }
    }
}

#[actix_rt::test]
async fn a_ticket_that_finds_nobody_times_out_and_says_so() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "0.5")
        .start()
        .await;
    let ada = server.user("ada");
    let screen = ada.connect().await;
    let ticket = ada.open_ticket("Easy", "Array").await;

    let event = screen.next_event("request_timeout").await;

    assert_eq!(text(&event, "request_id"), ticket);
    assert_eq!(
        *ada.status(&ticket).await.expect(200),
        json!({"status": "timeout"})
    );
    let late = ada.cancel(&ticket).await;
    late.expect_error(400, "Can only cancel pending requests");
    let renewed = ada.open_ticket("Easy", "Array").await;
    assert_ne!(renewed, ticket);
    screen.next_event("request_timeout").await;
    assert_eq!(screen.count("request_timeout"), 2);
}

#[actix_rt::test]
async fn a_ticket_that_timed_out_is_not_paired() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "0.4")
        .start()
        .await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let ticket = ada.open_ticket("Easy", "Array").await;
    ada.reaches(&ticket, "timeout").await;

    let other = bob.open_ticket("Easy", "Array").await;

    bob.reaches(&other, "timeout").await;
    assert_eq!(ada.state(&ticket).await, "timeout");
}

#[actix_rt::test]
async fn a_ticket_waits_its_whole_time() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "1").start().await;
    let ada = server.user("ada");
    let screen = ada.connect().await;
    let begun = std::time::Instant::now();
    let ticket = ada.open_ticket("Easy", "Array").await;

    screen.next_event("request_timeout").await;

    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ada.state(&ticket).await, "timeout");
}

#[actix_rt::test]
async fn a_foreign_ticket_looks_exactly_like_an_unknown_one() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada"), server.user("eve"));
    let ticket = ada.open_ticket("Easy", "Array").await;
    let unknown = uuid::Uuid::now_v7().to_string();

    let foreign_status = eve.status(&ticket).await;
    let unknown_status = eve.status(&unknown).await;
    let foreign_cancel = eve.cancel(&ticket).await;
    let unknown_cancel = eve.cancel(&unknown).await;

    foreign_status.expect_error(404, "Request not found");
    assert_eq!(foreign_status.json, unknown_status.json);
    foreign_cancel.expect_error(404, "Request not found");
    assert_eq!(foreign_cancel.json, unknown_cancel.json);
    assert_eq!(ada.state(&ticket).await, "pending");
}
