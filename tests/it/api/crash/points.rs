//! The server ends itself between two steps, as if it was killed there, and is started again.

use std::time::Duration;

use super::aftermath;
use super::people::Person;
use crate::harness::*;

/// People who act at the same time.
const PEOPLE: usize = 12;

/// Before and after `step`, while people do everything that people do.
async fn while_busy(steps: &[&str]) {
    let options = Server::with("ASK_BURST", 100_000).with("ASKS_PER_SECOND", 100_000);
    let server = options.start().await;
    let mut round = 0;
    for step in steps {
        for when in ["before", "after"] {
            round += 1;
            let people: Vec<Person> = (0..PEOPLE)
                .map(|index| {
                    let user = server.user(&format!("{when} {step} person {index}"));
                    Person::new(user, round, round * 1_000 + index as u64)
                })
                .collect();

            server
                .restart_until(&format!("{when}:{step}:{}", 1 + round % 3))
                .await;
            let acting = join_all(people.iter().map(Person::act));
            futures_util::future::join(acting, server.crashes()).await;
            let crashed_at = unix_now();
            server.restart_for_good().await;

            aftermath::check(&server, &people, crashed_at).await;
        }
    }
}

#[actix_rt::test]
async fn between_any_two_steps_of_asking_and_pairing_nothing_is_lost() {
    while_busy(&["open_ticket", "close_ticket", "propose_match"]).await;
}

#[actix_rt::test]
async fn between_any_two_steps_of_declining_and_leaving_nothing_is_lost() {
    while_busy(&[
        "decline_match",
        "decline_and_ask",
        "leave_session",
        "share_left",
    ])
    .await;
}

#[actix_rt::test]
async fn between_any_two_steps_of_confirming_nothing_is_lost() {
    while_busy(&[
        "confirm_match",
        "find_question",
        "share_session",
        "open_session",
    ])
    .await;
}

/// The server ends while it carries this out, of which nobody is told, and is back.
async fn is_unheard(server: &Server, request: Request) {
    let answered = request.try_send().await;
    server.crashes().await;
    server.restart_for_good().await;
    assert!(
        answered.is_err(),
        "nobody is told before it is stored: {answered:?}"
    );
}

/// A match whose second member has declined: the first is put back.
async fn put_back(server: &Server, step: &str) -> scenes::Pair {
    let [first, second] = ["first", "second"].map(|name| format!("{name} of {step}"));
    let pair = scenes::pair(server, &first, &second, step).await;
    pair.second.confirm(&pair.match_id, false).await.expect(200);
    pair.first.reaches(&pair.first_ticket, "pending").await;
    pair
}

#[actix_rt::test]
async fn between_the_steps_of_asking_again_the_place_is_kept_and_nothing_is_told_that_is_not_so() {
    let server = Server::start().await;
    for when in ["before", "after"] {
        let step = format!("{when}:count_ask");
        server.restart_until(&step).await;
        let pair = put_back(&server, &step).await;

        is_unheard(&server, pair.first.asking("Easy", &step)).await;

        let again = pair.first.ask("Easy", &step).await;
        assert_eq!(text(again.expect(200), "id"), pair.first_ticket);
        pair.first.cancel(&pair.first_ticket).await.expect(200);
    }
}

#[actix_rt::test]
async fn between_the_steps_of_asking_again_in_an_unanswered_match_the_match_stands() {
    let server = Server::start().await;
    for when in ["before", "after"] {
        let step = format!("{when}:count_ask");
        server.restart_until(&step).await;
        let [first, second] = ["first", "second"].map(|name| format!("{name} {step}"));
        let pair = scenes::pair(&server, &first, &second, &step).await;

        is_unheard(&server, pair.first.asking("Easy", &step)).await;

        let again = pair.first.ask("Easy", &step).await;
        assert_eq!(text(again.expect(200), "id"), pair.first_ticket);
        assert_eq!(text(&again.json, "status"), "matched");
        pair.open_session().await;
    }
}

#[actix_rt::test]
async fn between_the_steps_of_discarding_what_contradicts_itself_nobody_is_kept_out() {
    let backends = Backends::under_test();
    let server = Options::on(backends.clone()).start().await;
    let database = Database::of(&server, &backends);
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    server.kill();
    let id = database.id("id");
    // Both tickets are in a match then that is over.
    let ends = "UPDATE matches SET state = 'expired', ended_at_ms = expires_at_ms";
    let ends = format!("{ends} WHERE {id} = '{}'", pair.match_id);
    database.run(&ends).await;
    server.is_tampered_with();

    for when in ["before", "after"] {
        server.start_until(&format!("{when}:discard_ticket"));
        server.crashes().await;
    }
    server.restart_for_good().await;

    for (user, ticket) in [
        (&pair.first, &pair.first_ticket),
        (&pair.second, &pair.second_ticket),
    ] {
        assert_eq!(user.state(ticket).await, "cancelled");
        let next = user.open_ticket("Easy", &user.id).await;
        assert_eq!(user.state(&next).await, "pending");
    }
}

#[actix_rt::test]
async fn between_the_steps_of_replacing_a_ticket_exactly_one_of_the_two_is_live() {
    let server = Server::start().await;
    for when in ["before", "after"] {
        let step = format!("{when}:replace_ticket");
        server.restart_until(&step).await;
        let pair = put_back(&server, &step).await;

        is_unheard(&server, pair.first.asking("Hard", &step)).await;

        let old = pair.first.state(&pair.first_ticket).await;
        let again = pair.first.ask("Hard", &step).await;
        match when {
            "before" => assert_eq!((old.as_str(), again.status), ("pending", 200)),
            _ => assert_eq!((old.as_str(), again.status), ("cancelled", 400)),
        }
        pair.first.reaches(&pair.first_ticket, "cancelled").await;
    }
}

#[actix_rt::test]
async fn between_the_steps_of_a_tickets_end_by_time_it_ends_once() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", "0.3")
        .start()
        .await;
    for when in ["before", "after"] {
        let step = format!("{when}:expire_ticket");
        server.restart_until(&step).await;
        let user = server.user(&step);
        let ticket = user.open_ticket("Easy", &step).await;

        server.crashes().await;
        server.restart_for_good().await;

        user.reaches(&ticket, "timeout").await;
        let next = user.open_ticket("Easy", &step).await;
        // Else the next round would end at the end of this one.
        user.reaches(&next, "timeout").await;
    }
}

#[actix_rt::test]
async fn between_the_steps_of_a_matchs_end_by_time_both_are_put_back_once() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "0.5")
        .start()
        .await;
    for when in ["before", "after"] {
        let step = format!("{when}:expire_match");
        server.restart_until(&step).await;
        let [first, second] = ["ada", "bob"].map(|name| format!("{name} {when}"));
        let pair = scenes::pair(&server, &first, &second, &step).await;

        server.crashes().await;
        server.restart_for_good().await;

        // After a restart a window that ran out meanwhile gets ten seconds more.
        let patience = Duration::from_secs(15);
        for (user, ticket) in [
            (&pair.first, &pair.first_ticket),
            (&pair.second, &pair.second_ticket),
        ] {
            let put_back = async || (user.state(ticket).await == "pending").then_some(());
            within(patience, "both are put back", put_back).await;
        }
        server.match_status(&pair.match_id).await.expect(404);
    }
}

#[actix_rt::test]
async fn a_window_that_ran_out_meanwhile_is_extended_once_however_often_the_start_ends_in_between()
{
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "0.5")
        .start()
        .await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    server.kill();
    let_pass(Duration::from_millis(600)).await;

    for when in ["before", "after"] {
        server.start_until(&format!("{when}:extend_match"));
        server.crashes().await;
    }
    let began = unix_now();
    server.restart_for_good().await;

    let screen = pair.first.connect().await;
    let found = screen.next_event("match_found").await;
    let left = unix_seconds(text(&found, "expires_at")) - began;
    assert!(left < 10.0, "extended again: {left} s are left");
    pair.open_session().await;
}

#[actix_rt::test]
async fn between_the_steps_of_an_unheard_decline_the_partner_keeps_place_and_match_or_only_place() {
    let backends = Backends::under_test();
    let server = Options::on(backends.clone()).start().await;
    let database = Database::of(&server, &backends);
    let id = database.id("id");
    for when in ["before", "after"] {
        let step = format!("{when}:decline_match");
        server.restart_until(&step).await;
        let [first, second] = ["first", "second"].map(|name| format!("{name} {step}"));
        let pair = scenes::pair(&server, &first, &second, &step).await;
        let place = format!(
            "SELECT CAST(enqueued_at_ms AS text) AS text FROM tickets WHERE {id} = '{}'",
            pair.first_ticket
        );
        let before = database.texts(&place).await;

        let declined = pair.second.answering(&pair.match_id, false);
        is_unheard(&server, declined).await;

        if when == "before" {
            server.match_status(&pair.match_id).await.expect(200);
            pair.second.confirm(&pair.match_id, false).await.expect(200);
        }
        server.match_status(&pair.match_id).await.expect(404);
        pair.first.reaches(&pair.first_ticket, "pending").await;
        assert_eq!(pair.second.state(&pair.second_ticket).await, "cancelled");
        assert_eq!(database.texts(&place).await, before, "{step}");
        let newcomer = server.user(&format!("newcomer {step}"));
        let ticket = newcomer.open_ticket("Easy", &step).await;
        let met = newcomer.matched(&ticket).await;
        assert_eq!(pair.first.matched(&pair.first_ticket).await, met, "{step}");
    }
}
