//! Pictures of every state of both pages, for people to look at: `tests/screenshots FOLDER`.

use std::path::PathBuf;

use super::admin::{open, open_busy};
use super::{Page, Playground};
use crate::harness::*;

/// The variable that names the folder.
const FOLDER: &str = "SCREENSHOTS";

/// Saves the page as it is: light and dark, wide and narrow.
async fn save(page: &Page, name: &str) {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect(FOLDER));
    std::fs::create_dir_all(&folder).expect("it can be made");
    for scheme in ["light", "dark"] {
        for width in [1280, 360] {
            page.look(scheme, width).await;
            let file = folder.join(format!("{name}-{scheme}-{width}.png"));
            std::fs::write(file, page.picture().await).expect("it can be written");
        }
    }
}

#[actix_rt::test]
#[ignore = "for people to look at: tests/screenshots"]
async fn the_playground_is_drawn() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (page, (ada, grace)) = (&playground.page, playground.both());
    save(page, "playground-1-new").await;
    grace.write("topic", " ").await;
    grace.click("ask").await;
    grace.reads("notice", "opic").await;
    ada.click("ask").await;
    ada.comes_to("waiting").await;
    save(page, "playground-2-waiting-and-refused").await;
    grace.write("topic", "array").await;
    grace.click("ask").await;
    grace.comes_to("proposed").await;
    ada.comes_to("proposed").await;
    save(page, "playground-3-proposed").await;
    ada.click("confirm").await;
    ada.comes_to("confirmed").await;
    save(page, "playground-4-confirmed").await;
    grace.click("confirm").await;
    ada.comes_to("session").await;
    grace.comes_to("session").await;
    ada.click("trail-toggle").await;
    save(page, "playground-5-session-and-trail").await;
    ada.click("leave").await;
    grace.reads("partner-left", "Ada").await;
    save(page, "playground-6-left").await;
    for number in 3..=8 {
        page.click("[data-testid=\"add\"]").await;
        let person = playground.person(number);
        person.click("ask").await;
        person
            .reads(
                "state",
                if number % 2 == 0 {
                    "confirm"
                } else {
                    "Waiting"
                },
            )
            .await;
    }
    save(page, "playground-7-eight-people").await;
    playground.person(3).click("decline").await;
    playground.person(4).reads("notice", "declined").await;
    server.kill();
    grace.reads("notice", "cannot be reached").await;
    save(page, "playground-8-server-away").await;
    server.restart().await;
}

#[actix_rt::test]
#[ignore = "for people to look at: tests/screenshots"]
async fn the_admin_page_is_drawn() {
    let server = Server::start().await;
    let quiet = open(&server).await;
    quiet.until("it is read", "el.live.checkVisibility()").await;
    save(&quiet, "admin-1-quiet").await;
    drop(quiet);
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.open_session().await;
    let _ticket = server.user("eve").open_ticket("Hard", "Heap").await;
    let small = open(&server).await;
    small.until("it is read", "el.live.checkVisibility()").await;
    save(&small, "admin-2-small").await;
    drop(small);

    let page = open_busy(&server, "").await;
    let seen = "el['match-line'].querySelector('path')?.getAttribute('d').split('L').length > 4";
    page.until("the line has begun", seen).await;
    save(&page, "admin-3-busy").await;
    page.evaluate("window.broken = 3").await;
    page.until(
        "a guarantee is broken",
        "el.verdict.dataset.broken === 'true'",
    )
    .await;
    let place = "#ticket=0198c7a2-5b1e-7c40-9d2a-000000000017&bucket=Easy%3AArray+1";
    page.evaluate(&format!("location.hash = {}", json!(place)))
        .await;
    page.until(
        "everything is shown",
        "el.timeline.children.length && el['queue-rows'].children.length",
    )
    .await;
    save(&page, "admin-4-broken-and-looked-into").await;
    page.evaluate("askForToken()").await;
    save(&page, "admin-5-token").await;
}
