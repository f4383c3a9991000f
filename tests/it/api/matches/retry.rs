//! `POST /request` by somebody who already has a ticket: every case of contract §3.

use crate::harness::*;

const DUPLICATE: &str = "You already have a pending request.";

#[actix_rt::test]
async fn a_confirmed_match_that_is_still_open_makes_any_ask_a_duplicate() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    for (difficulty, topic) in [("Easy", "Array"), ("Hard", "Graph")] {
        let reply = pair.first.ask(difficulty, topic).await;

        let refusal = reply.expect_error(400, DUPLICATE);
        assert_eq!(text(refusal, "request_id"), pair.first_ticket);
        assert_eq!(text(refusal, "status"), "matched");
    }

    pair.second.confirm(&pair.match_id, true).await.expect(200);
}

#[actix_rt::test]
async fn the_same_bucket_in_an_unanswered_proposal_answers_the_matched_ticket() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let opened = pair.first.status(&pair.first_ticket).await;

    for topic in ["Array", "  ARRAY "] {
        let reply = pair.first.ask("easy", topic).await;

        let ticket = reply.expect(200);
        assert_eq!(text(ticket, "id"), pair.first_ticket);
        assert_eq!(text(ticket, "user_id"), "ada");
        assert_eq!(text(ticket, "status"), "matched");
        assert_eq!(
            (text(ticket, "difficulty"), text(ticket, "topic")),
            ("Easy", "Array")
        );
    }

    assert_eq!(
        pair.first.status(&pair.first_ticket).await.json,
        opened.json
    );
    pair.open_session().await;
}

#[actix_rt::test]
async fn the_same_bucket_still_answers_the_matched_ticket_after_the_partner_confirmed() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, true).await.expect(200);

    let reply = pair.first.ask("Easy", "Array").await;

    assert_eq!(text(reply.expect(200), "id"), pair.first_ticket);
    assert_eq!(text(&reply.json, "status"), "matched");
    let opened = pair.first.confirm(&pair.match_id, true).await;
    assert!(opened.expect(200)["session_id"].is_string());
}

#[actix_rt::test]
async fn another_bucket_in_an_unanswered_proposal_declines_it() {
    for partner_confirmed in [false, true] {
        let server = Server::start().await;
        let pair = scenes::pair(&server, "ada", "bob", "Array").await;
        let (_own, screen) = pair.connect().await;
        if partner_confirmed {
            pair.second.confirm(&pair.match_id, true).await.expect(200);
        }

        let reply = pair.first.ask("Hard", "Graph").await;

        let ticket = reply.expect(200);
        assert_ne!(text(ticket, "id"), pair.first_ticket);
        assert_eq!(text(ticket, "status"), "pending");
        let told = screen.next_event("match_expired").await;
        assert_eq!(text(&told, "match_id"), pair.match_id);
        assert_eq!(text(&told, "reason"), "partner_declined");
        assert_eq!(told["requeued"], true);
        assert_eq!(pair.first.state(&pair.first_ticket).await, "cancelled");
        assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
        server
            .match_status(&pair.match_id)
            .await
            .expect_error(404, "Match not found");
        let cleo = server.user("cleo");
        let third = cleo.open_ticket("Hard", "Graph").await;
        assert_eq!(
            pair.first.matched(text(ticket, "id")).await,
            cleo.matched(&third).await
        );
    }
}

#[actix_rt::test]
async fn whoever_went_to_another_bucket_is_not_proposed_to_that_partner_again() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let elsewhere = pair.first.open_ticket("Hard", "Graph").await;
    pair.first.cancel(&elsewhere).await.expect(200);

    let renewed = pair.first.open_ticket("Easy", "Array").await;

    let cleo = server.user("cleo");
    let third = cleo.open_ticket("Easy", "Array").await;
    assert_eq!(
        pair.second.matched(&pair.second_ticket).await,
        cleo.matched(&third).await
    );
    assert_eq!(pair.first.state(&renewed).await, "pending");
}

#[actix_rt::test]
async fn a_ticket_put_back_by_a_decline_is_answered_for_its_bucket_and_replaced_by_another() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);

    retried_then_replaced(&server, &pair.first, &pair.first_ticket).await;
}

#[actix_rt::test]
async fn a_ticket_put_back_by_silence_is_answered_for_its_bucket_and_replaced_by_another() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "1")
        .start()
        .await;
    let confirmed = scenes::pair(&server, "ada", "bob", "Array").await;
    let silent = scenes::pair(&server, "cleo", "dan", "Stack").await;
    confirmed
        .first
        .confirm(&confirmed.match_id, true)
        .await
        .expect(200);
    confirmed
        .first
        .reaches(&confirmed.first_ticket, "pending")
        .await;
    silent.first.reaches(&silent.first_ticket, "pending").await;
    // The partner would be proposed again once a silent one asks.
    silent
        .second
        .cancel(&silent.second_ticket)
        .await
        .expect(200);

    retried_then_replaced(&server, &confirmed.first, &confirmed.first_ticket).await;
    retried_then_replaced_in(&server, &silent.first, &silent.first_ticket, "Stack").await;
}

async fn retried_then_replaced(server: &Server, user: &User, ticket: &str) {
    retried_then_replaced_in(server, user, ticket, "Array").await;
}

/// `user` presses Retry twice, then chooses something else; `ticket` waits, put back.
async fn retried_then_replaced_in(server: &Server, user: &User, ticket: &str, topic: &str) {
    for _ in 0..2 {
        let same = user.ask("EASY", topic).await;
        assert_eq!(text(same.expect(200), "id"), ticket);
        assert_eq!(text(&same.json, "status"), "pending");
    }

    let other = user
        .ask("Medium", &format!("{topic} for {}", user.id))
        .await;

    let replacing = text(other.expect(200), "id");
    assert_ne!(replacing, ticket);
    assert_eq!(user.state(ticket).await, "cancelled");
    assert_eq!(user.state(replacing).await, "pending");
    let newcomer = server.user(&format!("newcomer to {topic}"));
    newcomer.open_ticket("Easy", topic).await;
    let fresh = user.ask("Medium", "Something else").await;
    fresh.expect_error(400, DUPLICATE);
    assert_eq!(text(&fresh.json, "request_id"), replacing);
}

#[actix_rt::test]
async fn a_retried_ticket_keeps_its_place() {
    let server = Server::with("MAX_CONCURRENT_MATCHES", 1).start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);
    let blocking = scenes::pair(&server, "x", "y", "Graph").await;
    let later = ["cleo", "dan"].map(|name| server.user(name));
    let mut tickets = Vec::new();
    for user in &later {
        tickets.push(user.open_ticket("Easy", "Array").await);
    }

    let same = pair.first.ask("Easy", "Array").await;
    assert_eq!(text(same.expect(200), "id"), pair.first_ticket);
    blocking.open_session().await;

    let offered = pair
        .first
        .matched_again(&pair.first_ticket, &pair.match_id)
        .await;
    assert_eq!(later[0].matched(&tickets[0]).await, offered);
    assert_eq!(later[1].state(&tickets[1]).await, "pending");
}

#[actix_rt::test]
async fn a_ticket_that_ended_stands_in_nobodys_way() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "0.5")
        .start()
        .await;
    let (ada, bob, cleo) = (server.user("ada"), server.user("bob"), server.user("cleo"));
    let cancelled = ada.open_ticket("Easy", "Array").await;
    ada.cancel(&cancelled).await.expect(200);
    let timed_out = bob.open_ticket("Easy", "Stack").await;
    bob.reaches(&timed_out, "timeout").await;
    let declined = scenes::pair_up(cleo.clone(), server.user("dan"), "Heap").await;
    cleo.confirm(&declined.match_id, false).await.expect(200);

    for user in [&ada, &bob, &cleo] {
        for topic in ["Heap of one's own", "Graph"] {
            let ticket = user
                .open_ticket("Hard", &format!("{topic} {}", user.id))
                .await;
            user.cancel(&ticket).await.expect(200);
        }
    }
}

#[actix_rt::test]
async fn a_session_stands_in_nobodys_way() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;

    let same = pair.first.ask("Easy", "Array").await;
    let other = pair.second.ask("Hard", "Graph").await;

    assert_ne!(text(same.expect(200), "id"), pair.first_ticket);
    assert_ne!(text(other.expect(200), "id"), pair.second_ticket);
    for user in [&pair.first, &pair.second] {
        assert_eq!(
            user.active_session().await.expect(200)["session_id"],
            session.as_str()
        );
    }
    let again = pair.first.ask("Easy", "Array").await;
    again.expect_error(400, DUPLICATE);
}

#[actix_rt::test]
async fn simultaneous_replacements_leave_one_ticket() {
    let server = Server::start().await;
    for round in 0..10 {
        let names = (format!("a{round}"), format!("b{round}"));
        let pair = scenes::pair(&server, &names.0, &names.1, "Array").await;

        let topics = ["One", "Two", "Three"].map(|topic| format!("{topic} {round}"));
        let replies = join_all(topics.iter().map(|topic| pair.first.ask("Hard", topic))).await;

        let opened: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(opened.len(), 1, "{replies:#?}");
        for refused in replies.iter().filter(|reply| reply.status != 200) {
            refused.expect_error(400, DUPLICATE);
        }
        assert_eq!(pair.first.state(&pair.first_ticket).await, "cancelled");
        assert_eq!(
            pair.first.state(text(&opened[0].json, "id")).await,
            "pending"
        );
        assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
        pair.second.cancel(&pair.second_ticket).await.expect(200);
    }
}
