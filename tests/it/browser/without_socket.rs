//! Sockets that are lost, refused or switched off.

use super::Playground;
use crate::harness::*;

#[actix_rt::test]
async fn a_page_whose_server_is_killed_and_started_again_goes_on_by_itself() {
    let server = Server::start().await;
    server.set("PORT", server.api().port());
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.both();
    ada.click("ask").await;
    ada.comes_to("waiting").await;
    ada.is_linked("open").await;

    server.kill();
    ada.is_linked("retrying").await;
    ada.reads(
        "notice",
        "The server cannot be reached. This page keeps trying.",
    )
    .await;
    server.restart().await;

    ada.is_linked("open").await;
    ada.comes_to("waiting").await;
    grace.click("ask").await;
    ada.comes_to("proposed").await;
    assert_eq!(ada.text("notice").await, "");

    ada.click("confirm").await;
    ada.comes_to("confirmed").await;
    server.restart().await;
    grace.is_linked("open").await;
    grace.click("confirm").await;
    ada.comes_to("session").await;
    grace.comes_to("session").await;
}

#[actix_rt::test]
async fn whoever_gets_no_socket_meets_a_partner_by_polling() {
    let server = Server::with("MAX_SOCKETS", 1).start().await;
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.both();
    ada.click("ask").await;
    ada.is_linked("open").await;

    grace.click("ask").await;

    grace.is_linked("retrying").await;
    grace.comes_to("proposed").await;
    ada.comes_to("proposed").await;
    grace.click("confirm").await;
    grace.comes_to("confirmed").await;
    ada.click("confirm").await;
    grace.comes_to("session").await;
    ada.comes_to("session").await;
    grace.is_linked("retrying").await;
    ada.click("leave").await;
    grace.reads("partner-left", "Ada has left").await;
}

#[actix_rt::test]
async fn with_both_sockets_switched_off_everything_happens_by_polling() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (ada, grace) = playground.both();
    ada.click("use-socket").await;
    grace.click("use-socket").await;

    playground.in_session().await;

    ada.click("leave").await;
    grace.reads("partner-left", "Ada has left").await;
    let actors = server.get("/debug/actors").await;
    assert_eq!(actors.expect(200)["sockets"]["open"], 0);
    ada.is_linked("off").await;

    ada.click("use-socket").await;
    ada.is_linked("open").await;
}
