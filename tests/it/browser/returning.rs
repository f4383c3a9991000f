//! Pages that are loaded again, and servers that are started again.

use super::Playground;
use crate::harness::*;

#[actix_rt::test]
async fn a_reload_in_the_middle_of_any_step_finds_its_way_back() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (page, (ada, grace)) = (&playground.page, playground.both());
    ada.write("topic", "Graph").await;
    grace.write("topic", "Graph").await;

    ada.click("ask").await;
    ada.comes_to("waiting").await;
    let request = ada.text("request-id").await;
    page.reload().await;
    ada.comes_to("waiting").await;
    assert_eq!(ada.text("request-id").await, request);
    ada.reads("wish", "Graph, Easy").await;
    grace.comes_to("idle").await;

    grace.click("ask").await;
    ada.comes_to("proposed").await;
    let found = ada.text("match-id").await;
    page.reload().await;
    ada.comes_to("proposed").await;
    grace.comes_to("proposed").await;
    ada.reads("match-id", &found).await;
    ada.reads("partner", "Grace").await;

    ada.click("confirm").await;
    ada.comes_to("confirmed").await;
    page.reload().await;
    ada.comes_to("confirmed").await;
    grace.comes_to("proposed").await;

    grace.click("confirm").await;
    grace.comes_to("session").await;
    ada.comes_to("session").await;
    let (session, title) = (
        ada.text("session-id").await,
        ada.text("question-title").await,
    );
    page.reload().await;
    for person in [ada, grace] {
        person.comes_to("session").await;
        person.reads("session-id", &session).await;
        person.reads("question-title", &title).await;
    }
    grace.reads("session-partner", "Ada").await;

    grace.click("leave").await;
    ada.reads("partner-left", "Grace has left").await;
    page.reload().await;
    grace.comes_to("idle").await;
    ada.reads("partner-left", "Grace has left").await;
}

#[actix_rt::test]
async fn people_and_what_they_chose_outlive_a_reload() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let page = &playground.page;
    page.click("[data-testid=\"add\"]").await;
    let third = playground.person(3);
    third.write("name", "Hedy").await;
    third.write("topic", "Trie").await;
    third.click("difficulty-medium").await;
    third.click("use-socket").await;
    third.click("trail-toggle").await;

    page.reload().await;

    third.reads("who", "Hedy").await;
    third.click("ask").await;
    third.reads("wish", "Trie, Medium").await;
    third.is_linked("off").await;
    assert!(third.sees("log").await, "it was left open");
}

#[actix_rt::test]
async fn what_happened_while_a_page_was_away_is_found_on_return() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (page, ada) = (&playground.page, playground.person(1));
    ada.click("ask").await;
    ada.comes_to("waiting").await;

    page.go_to("about:blank").await;
    let bob = server.user("bob");
    let ticket = bob.open_ticket("Easy", "Array").await;
    let found = bob.matched(&ticket).await;
    bob.confirm(&found, true).await.expect(200);
    page.go_to(&server.api().url("/")).await;

    ada.comes_to("proposed").await;
    ada.reads("partner", "bob").await;
    ada.click("confirm").await;
    ada.comes_to("session").await;
    let active = bob.active_session().await;
    let session = text(active.expect(200), "session_id").to_owned();
    ada.reads("session-id", &session).await;

    page.go_to("about:blank").await;
    bob.leave(&session).await.expect(200);
    page.go_to(&server.api().url("/")).await;

    ada.reads("partner-left", "bob has left").await;
}
