//! People who meet on the playground.

use super::{Person, Playground};
use crate::harness::*;

async fn same_text(people: [&Person<'_>; 2], name: &str) -> String {
    let [one, other] = people;
    let text = one.text(name).await;
    assert!(!text.is_empty(), "{name}");
    assert_eq!(text, other.text(name).await, "{name}");
    text
}

#[actix_rt::test]
async fn two_people_match_confirm_and_see_one_session_with_one_question_until_one_leaves() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;

    let (ada, grace) = playground.matched().await;
    same_text([&ada, &grace], "match-id").await;
    ada.reads("partner", "Grace").await;
    grace.reads("partner", "Ada").await;
    ada.click("confirm").await;
    ada.comes_to("confirmed").await;
    grace.click("confirm").await;
    ada.comes_to("session").await;
    grace.comes_to("session").await;

    let session = same_text([&ada, &grace], "session-id").await;
    let title = same_text([&ada, &grace], "question-title").await;
    let stored = server.session(&session).await;
    assert_eq!(stored.expect(200)["question"]["title"], title.as_str());

    ada.click("leave").await;
    ada.comes_to("idle").await;
    ada.reads("notice", "You left the session.").await;
    grace.reads("partner-left", "Ada has left").await;
    grace.comes_to("session").await;
}

#[actix_rt::test]
async fn whoever_is_declined_is_told_and_waits_again_in_the_same_place() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.both();
    ada.click("ask").await;
    ada.comes_to("waiting").await;
    let request = ada.text("request-id").await;
    grace.click("ask").await;
    ada.comes_to("proposed").await;
    ada.click("confirm").await;
    ada.comes_to("confirmed").await;

    grace.comes_to("proposed").await;
    grace.click("decline").await;

    grace.comes_to("idle").await;
    grace
        .reads("notice", "You declined. Your partner waits again.")
        .await;
    ada.comes_to("waiting").await;
    ada.reads("notice", "Grace declined. Your request keeps its place")
        .await;
    assert_eq!(ada.text("request-id").await, request);
}

#[actix_rt::test]
async fn people_can_be_added_up_to_eight_and_go_without_keeping_anybody_waiting() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let page = &playground.page;
    let add = "[data-testid=\"add\"]";
    for _ in 3..=8 {
        page.click(add).await;
    }
    assert_eq!(
        page.evaluate("document.querySelectorAll('.panel').length")
            .await,
        8
    );
    page.until(
        "nobody more can be added",
        "document.querySelector('#add').disabled",
    )
    .await;

    let (third, eighth) = (playground.person(3), playground.person(8));
    third.write("topic", "Graph").await;
    third.click("difficulty-hard").await;
    third.click("ask").await;
    third.comes_to("waiting").await;
    third.reads("wish", "Graph, Hard").await;
    eighth.write("topic", "graph").await;
    eighth.click("difficulty-hard").await;
    eighth.click("ask").await;
    third.comes_to("proposed").await;

    eighth.click("remove").await;

    third.comes_to("waiting").await;
    third.reads("notice", "declined").await;
    assert_eq!(
        page.evaluate("document.querySelectorAll('.panel').length")
            .await,
        7
    );
    assert_eq!(
        page.evaluate("document.querySelector('#add').disabled")
            .await,
        false
    );
}

#[actix_rt::test]
async fn a_request_can_be_cancelled_and_one_that_nobody_answers_runs_out() {
    let server = Server::with("MATCHING_TIMEOUT_SECONDS", 5).start().await;
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.both();

    ada.click("ask").await;
    ada.comes_to("waiting").await;
    ada.click("cancel").await;
    ada.comes_to("idle").await;
    ada.reads("notice", "Your request was cancelled.").await;

    grace.click("ask").await;
    grace.comes_to("waiting").await;
    grace.comes_to("idle").await;
    grace.reads("notice", "Nobody came in time.").await;
    grace.reads("ask", "Ask again").await;
}

#[actix_rt::test]
async fn the_trail_shows_what_each_step_did_on_the_wire_and_never_a_token() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (ada, _) = playground.in_session().await;
    assert!(!ada.sees("log").await, "closed at first");
    ada.reads("latest", "200").await;

    ada.click("trail-toggle").await;

    for words in [
        "POST/dev/token200",
        "{ \"user_id\": \"Ada\" }",
        "POST/api/v1/matching/request200",
        "EVENTmatch_found",
        "POST/api/v1/matching/confirm200",
        "EVENTmatch_ready",
        "open /ws?token=(hidden)",
    ] {
        ada.reads("log", words).await;
    }
    let steps = playground.page.evaluate("[...document.querySelectorAll('[data-person=\"1\"] .step span')].map((it) => it.textContent)").await;
    assert_eq!(
        steps,
        json!(["The server tells", "Confirm", "The server tells", "Ask"])
    );
    let log = ada.text("log").await;
    assert!(log.contains(" ms"), "{log}");
    assert!(!log.contains("eyJ"), "{log}");
    ada.click("trail-toggle").await;
    playground
        .page
        .until(
            "the trail is closed",
            "!document.querySelector('[data-person=\"1\"] details').open",
        )
        .await;
}

#[actix_rt::test]
async fn the_time_to_confirm_is_counted_down_and_whoever_let_it_pass_is_named() {
    let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", 6)
        .start()
        .await;
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.matched().await;
    ada.reads("countdown", "0:0").await;
    assert!(ada.sees("time-left").await);
    ada.click("confirm").await;
    ada.reads("countdown-caption", "left for Grace to confirm")
        .await;

    let left = "Number(document.querySelector('[data-testid=\"countdown\"]').textContent.slice(2))";
    let what = "less than half of the time is left";
    playground.page.until(what, &format!("{left} < 3")).await;

    ada.comes_to("waiting").await;
    ada.reads(
        "notice",
        "Grace did not confirm in time. Your request keeps its place",
    )
    .await;
    grace.comes_to("waiting").await;
    grace.reads("notice", "You did not confirm in time.").await;
    grace.click("ask-again").await;
    ada.comes_to("proposed").await;
}

#[actix_rt::test]
async fn a_double_click_does_nothing_more_than_a_click() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.matched().await;

    ada.click("confirm").await;
    ada.comes_to("confirmed").await;
    playground.page.click_again(&ada.at("withdraw")).await;
    grace.click("confirm").await;
    grace.comes_to("session").await;
    playground.page.click_again(&grace.at("leave")).await;

    ada.click("leave").await;
    grace.reads("partner-left", "Ada has left").await;
    grace.comes_to("session").await;
}
