//! Two things at the same moment: one of them wins, and everything agrees about which.

use std::time::Duration;

use crate::harness::*;

/// How long `round` of `rounds` waits with one side, so that either side comes first sometimes: most
/// rounds are close, and the widest leave no doubt even on a machine that is busy.
fn head_starts(round: u64, rounds: u64) -> (Duration, Duration) {
    let share = (round % (rounds / 2)) as f64 / (rounds / 2) as f64;
    let step = Duration::from_millis(100).mul_f64(share.powi(4));
    match round < rounds / 2 {
        true => (step, Duration::ZERO),
        false => (Duration::ZERO, step),
    }
}

/// Gives `later` once `wait` is over.
async fn after<T>(wait: Duration, later: impl Future<Output = T>) -> T {
    tokio::time::sleep(wait).await;
    later.await
}

#[actix_rt::test]
async fn when_a_cancel_races_a_match_the_answer_the_sockets_and_the_statuses_agree() {
    const ROUNDS: u64 = 200;
    let server = Server::start().await;
    let (mut cancelled, mut matched) = (0, 0);

    for batch in 0..10 {
        let rounds =
            (0..ROUNDS / 10).map(|index| cancel_against_match(&server, batch + index * 10));
        for was_cancelled in join_all(rounds).await {
            match was_cancelled {
                true => cancelled += 1,
                false => matched += 1,
            }
        }
    }

    println!("{cancelled} cancelled, {matched} matched");
    assert!(
        cancelled > 0 && matched > 0,
        "no race: {cancelled} cancelled, {matched} matched"
    );
}

/// `ada` cancels while `bob` comes; whether the cancel won.
async fn cancel_against_match(server: &Server, round: u64) -> bool {
    let topic = format!("topic {round}");
    let (ada, bob) = (
        server.user(&format!("a{round}")),
        server.user(&format!("b{round}")),
    );
    let (mut ada_screen, mut bob_screen) = (ada.connect().await, bob.connect().await);
    let ticket = ada.open_ticket("Easy", &topic).await;
    let (before_ask, before_cancel) = head_starts(round, 200);

    let ask = after(before_ask, bob.ask("Easy", &topic));
    let cancel = after(before_cancel, ada.cancel(&ticket));
    let (asked, answer) = futures_util::future::join(ask, cancel).await;

    let other = text(asked.expect(200), "id").to_owned();
    if answer.status == 200 {
        assert_eq!(
            *ada.status(&ticket).await.expect(200),
            json!({"status": "cancelled"})
        );
        assert_eq!(bob.state(&other).await, "pending");
        // Whoever comes next meets bob: had he been told of ada, that event would come first.
        let cleo = server.user(&format!("c{round}"));
        cleo.open_ticket("Easy", &topic).await;
        let found = bob_screen.next_event("match_found").await;
        assert_eq!(text(&found, "partner_id"), cleo.id);
        assert_eq!(ada_screen.events().len(), 0, "{:?}", ada_screen.events());
        true
    } else {
        answer.expect_error(400, "Can only cancel pending requests");
        let match_id = ada.matched(&ticket).await;
        assert_eq!(bob.matched(&other).await, match_id);
        for screen in [&mut ada_screen, &mut bob_screen] {
            let found = screen.next_event("match_found").await;
            assert_eq!(text(&found, "match_id"), match_id);
        }
        false
    }
}

#[actix_rt::test]
async fn when_a_decline_races_a_confirmation_the_decline_stands() {
    let server = Server::start().await;

    join_all((0..40).map(|round| decline_against_confirmation(&server, round))).await;
}

async fn decline_against_confirmation(server: &Server, round: u64) {
    let names = (format!("a{round}"), format!("b{round}"));
    let pair = scenes::pair(server, &names.0, &names.1, &format!("topic {round}")).await;
    let (screen, _other) = pair.connect().await;
    let (before_yes, before_no) = head_starts(round, 40);

    let yes = after(before_yes, pair.first.confirm(&pair.match_id, true));
    let no = after(before_no, pair.second.confirm(&pair.match_id, false));
    let (yes, no) = futures_util::future::join(yes, no).await;

    assert_eq!(no.expect(200)["status"], "cancelled");
    match yes.status {
        200 => assert_eq!(yes.expect(200)["status"], "waiting_for_partner"),
        _ => _ = yes.expect_error(404, "Match not found"),
    }
    assert_eq!(
        screen.next_event("match_expired").await["reason"],
        "partner_declined"
    );
    assert_eq!(screen.count("match_ready"), 0);
    assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
    assert_eq!(pair.second.state(&pair.second_ticket).await, "cancelled");
    server
        .match_status(&pair.match_id)
        .await
        .expect_error(404, "Match not found");
}

#[actix_rt::test]
async fn when_both_decline_at_once_one_decline_counts_and_the_other_is_put_back() {
    let server = Server::start().await;

    join_all((0..30).map(|round| decline_against_decline(&server, round))).await;
}

async fn decline_against_decline(server: &Server, round: u64) {
    let names = (format!("a{round}"), format!("b{round}"));
    let pair = scenes::pair(server, &names.0, &names.1, &format!("topic {round}")).await;
    let members = [
        (&pair.first, &pair.first_ticket),
        (&pair.second, &pair.second_ticket),
    ];

    let answers = join_all(members.map(|(user, _)| user.confirm(&pair.match_id, false))).await;

    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{answers:#?}");
    for ((user, ticket), answer) in members.into_iter().zip(&answers) {
        match answer.status {
            200 => {
                assert_eq!(answer.expect(200)["requeued_partner"], true);
                assert_eq!(user.state(ticket).await, "cancelled");
            }
            _ => {
                answer.expect_error(404, "Match not found");
                assert_eq!(user.state(ticket).await, "pending");
            }
        }
    }
}

#[actix_rt::test]
async fn when_the_last_confirmation_races_the_deadline_everything_agrees_on_one_outcome() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "4")
        .start()
        .await;

    join_all((0..40).map(|round| confirmation_against_deadline(&server, round))).await;
}

async fn confirmation_against_deadline(server: &Server, round: u64) {
    let names = (format!("a{round}"), format!("b{round}"));
    let pair = scenes::pair(server, &names.0, &names.1, &format!("topic {round}")).await;
    let (screen, _other) = pair.connect().await;
    let found = screen.next_event("match_found").await;
    let expires_at = unix_seconds(text(&found, "expires_at"));
    pair.first.confirm(&pair.match_id, true).await.expect(200);

    // From 20 ms before the announced time on; whole seconds in it make half of them later.
    let wait = expires_at - unix_now() - 0.02 + 0.001 * round as f64;
    let last = after(
        Duration::from_secs_f64(wait.max(0.0)),
        pair.second.confirm(&pair.match_id, true),
    );
    let last = last.await;

    let status = server.match_status(&pair.match_id).await;
    match last.status {
        200 => {
            let session = &last.expect(200)["session_id"];
            assert_eq!(&status.expect(200)["session_id"], session);
            assert_eq!(
                &screen.next_event("match_ready").await["session_id"],
                session
            );
            assert_eq!(screen.count("match_expired"), 0);
        }
        _ => {
            last.expect_error(404, "Match not found");
            status.expect_error(404, "Match not found");
            assert_eq!(screen.next_event("match_expired").await["requeued"], true);
            assert_eq!(screen.count("match_ready"), 0);
            assert_eq!(pair.first.state(&pair.first_ticket).await, "pending");
            assert_eq!(pair.second.state(&pair.second_ticket).await, "pending");
        }
    }
}

#[actix_rt::test]
async fn when_a_match_races_the_end_of_the_wait_both_tickets_agree_on_one_outcome() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "0.5")
        .start()
        .await;

    join_all((0..40).map(|round| match_against_timeout(&server, round))).await;
}

async fn match_against_timeout(server: &Server, round: u64) {
    let topic = format!("topic {round}");
    let (ada, bob) = (
        server.user(&format!("a{round}")),
        server.user(&format!("b{round}")),
    );
    let screen = ada.connect().await;
    let ticket = ada.open_ticket("Easy", &topic).await;

    let wait = Duration::from_millis(480 + round);
    let other = after(wait, bob.open_ticket("Easy", &topic)).await;

    match other_outcome(&ada, &ticket).await.as_str() {
        "timeout" => {
            assert_eq!(
                text(&screen.next_event("request_timeout").await, "request_id"),
                ticket
            );
            assert_eq!(screen.count("match_found"), 0);
            bob.reaches(&other, "timeout").await;
        }
        _ => {
            assert_eq!(bob.matched(&other).await, ada.matched(&ticket).await);
            screen.next_event("match_found").await;
            assert_eq!(screen.count("request_timeout"), 0);
        }
    }
}

/// Awaits that the ticket is no longer pending; its state then.
async fn other_outcome(user: &User, ticket: &str) -> String {
    eventually(&format!("{} no longer waits", user.id), async || {
        Some(user.state(ticket).await).filter(|state| state != "pending")
    })
    .await
}

#[actix_rt::test]
async fn when_a_cancel_races_a_new_ask_the_user_holds_what_the_answers_say() {
    let server = Server::start().await;
    let ada = server.user("ada");

    for round in 0..30 {
        let ticket = ada.open_ticket("Easy", "Array").await;
        let (before_ask, before_cancel) = head_starts(round, 30);
        let ask = after(before_ask, ada.ask("Easy", "Array"));
        let cancel = after(before_cancel, ada.cancel(&ticket));
        let (asked, cancelled) = futures_util::future::join(ask, cancel).await;

        cancelled.expect(200);
        assert_eq!(ada.state(&ticket).await, "cancelled");
        if asked.status == 200 {
            let renewed = text(asked.expect(200), "id");
            assert_eq!(ada.state(renewed).await, "pending");
            ada.cancel(renewed).await.expect(200);
        } else {
            asked.expect_error(400, "You already have a pending request.");
        }
    }
}
