//! The operators' page.

use super::Page;
use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// The token of operators outside dev.
const TOKEN: &str = "known-to-operators-of-tests-only";

/// A server with much to show, in place of the real one.
const BUSY_SERVER: &str = include_str!("busy_server.js");

/// The page of this server, open in a browser.
pub(super) async fn open(server: &Server) -> Page {
    let page = Page::empty().await;
    page.go_to(&server.api().url("/admin")).await;
    page
}

/// The page with a busy server behind it, at this place.
pub(super) async fn open_busy(server: &Server, place: &str) -> Page {
    let page = Page::empty().await;
    page.run_first(BUSY_SERVER).await;
    page.go_to(&server.api().url(&format!("/admin{place}")))
        .await;
    page
}

/// The expression for an element of the page.
fn at(name: &str) -> String {
    format!("document.querySelector('[data-testid=\"{name}\"]')")
}

async fn reads(page: &Page, name: &str, words: &str) {
    let it = at(name);
    let asked = format!(
        "{it}.checkVisibility() && {it}.textContent.includes({})",
        json!(words)
    );
    page.until(&format!("{name} reads `{words}`"), &asked).await;
}

/// The first sample of this name in `GET /metrics`, as the page would write it.
async fn metric(server: &Server, name: &str) -> String {
    let reply = server.get("/metrics").await;
    let line = reply
        .text
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.rsplit_once(' '));
    value
        .unwrap_or_else(|| panic!("no {name}:\n{}", reply.text))
        .1
        .to_owned()
}

#[actix_rt::test]
async fn the_page_shows_the_numbers_that_the_metrics_have() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.open_session().await;
    scenes::pair(&server, "cleo", "dan", "Graph").await;
    let eve = server.user("eve");
    eve.open_ticket("Hard", "Heap").await;
    let _screens = [
        eve.connect().await,
        eve.connect().await,
        pair.first.connect().await,
    ];

    let page = open(&server).await;

    for (name, of) in [
        ("waiting", "matchmaker_tickets_waiting"),
        ("sessions", "matchmaker_sessions_open"),
        ("sockets", "matchmaker_sockets_open"),
        ("proposed", "matchmaker_matches_open{state=\"proposed\"}"),
    ] {
        reads(&page, name, &metric(&server, of).await).await;
    }
    let shown =
        "['waiting', 'sessions', 'sockets', 'proposed'].map((name) => el[name].textContent)";
    assert_eq!(page.evaluate(shown).await, json!(["1", "1", "3", "1"]));
    reads(&page, "rows", "heap").await;
    reads(&page, "funnel", "Asked5").await;
    reads(&page, "funnel", "In a session2").await;
    reads(&page, "verdict", "all kept").await;
    reads(&page, "match-summary", "4 tickets: half in").await;

    let counters = server.get("/metrics").await;
    let counters = counters
        .text
        .lines()
        .filter(|line| line.starts_with("matchmaker_guarantee_breaches_total{"));
    let broken = "[...el.guarantees.children].map((it) => it.dataset.broken)";
    assert_eq!(
        page.evaluate(broken).await,
        json!(vec!["false"; counters.count()])
    );
}

#[actix_rt::test]
async fn what_happens_is_seen_on_the_page_without_a_click() {
    let server = Server::start().await;
    let page = open(&server).await;
    reads(&page, "rest", "nobody has asked for a partner lately").await;
    let ada = server.user("ada");

    let ticket = ada.open_ticket("Easy", "Trie").await;
    reads(&page, "rows", "trie").await;
    reads(&page, "waiting", "1").await;
    ada.cancel(&ticket).await.expect(200);

    reads(&page, "waiting", "0").await;
}

#[actix_rt::test]
async fn outside_dev_the_page_asks_for_the_token_and_takes_no_other() {
    let questions = Stub::new(Conduct::Answer(200, "[]".to_owned())).await;
    let server = Options::on(Backends::real())
        .with("ENV", "production")
        .with("AUTH_ACCESS_SECRET", "a-secret-of-32-bytes-and-some-more")
        .with("QUESTION_SERVICE_URL", questions.base())
        .with("ADMIN_TOKEN", TOKEN)
        .start()
        .await;
    let page = open(&server).await;
    let shows_numbers = "el.live.checkVisibility()";

    page.until("the token is asked for", "el.gate.checkVisibility()")
        .await;
    assert_eq!(page.evaluate("el.refused.textContent").await, "");
    page.write("#token", "not-the-token").await;
    page.press("Enter").await;
    reads(&page, "refused", "The server did not accept this token.").await;
    assert_eq!(page.evaluate(shows_numbers).await, false);

    page.write("#token", TOKEN).await;
    page.press("Enter").await;
    page.until("the numbers are shown", shows_numbers).await;
    reads(&page, "verdict", "all kept").await;
    page.reload().await;
    page.until("the token is kept", shows_numbers).await;

    page.click("[data-testid=\"forget\"]").await;
    page.until("the token is asked for again", "el.gate.checkVisibility()")
        .await;
    assert_eq!(page.evaluate("sessionStorage.length").await, 0);
    assert_eq!(page.evaluate(shows_numbers).await, false);
}

#[actix_rt::test]
async fn a_page_whose_server_is_away_says_so_and_goes_on_when_it_is_back() {
    let server = Server::start().await;
    server.set("PORT", server.api().port());
    let page = open(&server).await;
    reads(&page, "verdict", "all kept").await;

    server.kill();
    reads(
        &page,
        "banner",
        "The server does not answer. What you see is from",
    )
    .await;
    reads(&page, "link", "no contact").await;
    server.restart().await;

    reads(&page, "link", "live").await;
    assert_eq!(page.evaluate("el.banner.textContent").await, "");
}

#[actix_rt::test]
async fn a_thousand_queues_are_searched_and_paged_by_the_server() {
    let server = Server::start().await;
    let page = open_busy(&server, "").await;
    reads(&page, "buckets-count", "1,000 buckets").await;
    reads(&page, "range", "1 to 25 of 1,000").await;
    assert_eq!(page.evaluate("el.previous.disabled").await, true);

    page.click("[data-testid=\"next\"]").await;
    reads(&page, "range", "26 to 50 of 1,000").await;
    page.write("#search", "greedy 9").await;
    reads(&page, "buckets-count", "11 of 1,000 buckets").await;
    page.write("#search", "nothing of this name").await;
    reads(&page, "rest", "No bucket has this in its name.").await;

    page.write("#search", "").await;
    page.insert(" ").await;
    reads(&page, "range", "1 to 25 of 1,000").await;
    page.click("[data-testid=\"rows\"] a").await;
    reads(&page, "queue-title", "Array 1, Easy").await;
    reads(&page, "queue-rows", "user-7").await;
}

#[actix_rt::test]
async fn a_ticket_is_found_by_its_id_and_by_a_link() {
    let server = Server::start().await;
    let known = "0198c7a2-5b1e-7c40-9d2a-000000000017";
    let page = open_busy(&server, &format!("#ticket={known}")).await;
    reads(&page, "ticket-why", "It may not meet any of the 2 others").await;
    reads(&page, "timeline", "declined by partner").await;
    assert_eq!(page.evaluate("el['ticket-id'].value").await, known);

    page.write("#ticket-id", "unknown").await;
    page.press("Enter").await;
    reads(&page, "ticket-note", "Ticket not found").await;
    assert_eq!(page.evaluate("el.ticket.hidden").await, true);

    page.write("#ticket-id", known).await;
    page.press("Enter").await;
    reads(&page, "timeline", "put back").await;
    page.click("[data-testid=\"ticket-close\"]").await;
    page.until(
        "it is closed",
        "el.ticket.hidden && !location.hash.includes('ticket')",
    )
    .await;
}

#[actix_rt::test]
async fn the_way_of_a_real_ticket_is_shown_and_the_queue_that_it_waits_in() {
    let server = Server::start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    pair.open_session().await;
    let waits = server.user("eve").open_ticket("Hard", "Heap").await;

    let page = open(&server).await;
    page.write("#ticket-id", &pair.first_ticket).await;
    page.press("Enter").await;
    reads(&page, "ticket-why", "It led to a session").await;
    reads(&page, "timeline", "confirmed").await;

    page.write("#ticket-id", &waits).await;
    page.press("Enter").await;
    reads(&page, "ticket-why", "Nobody else waits in its bucket.").await;
    page.write("#search", "heap").await;
    reads(&page, "rows", "heap").await;
    page.click("[data-testid=\"rows\"] a").await;
    reads(&page, "queue-rows", "eve").await;
}

#[actix_rt::test]
async fn a_queue_that_is_not_there_is_said_to_be_so_and_the_rest_goes_on() {
    let server = Server::start().await;
    let page = Page::empty().await;
    let url = server
        .api()
        .url("/admin#bucket=Hard:nobody%20asks&ticket=unknown");
    page.go_to(&url).await;

    reads(&page, "queue-rest", "Bucket not found").await;
    reads(&page, "ticket-note", "Ticket not found").await;
    reads(&page, "verdict", "all kept").await;
    reads(&page, "link", "live").await;
}

#[actix_rt::test]
async fn real_queues_are_searched_and_paged() {
    let server = Server::start().await;
    for number in 0..30 {
        let user = server.user(&format!("user {number}"));
        user.open_ticket("Easy", &format!("Topic {number}")).await;
    }

    let page = open(&server).await;
    reads(&page, "range", "1 to 25 of 30").await;
    page.click("[data-testid=\"next\"]").await;
    reads(&page, "range", "26 to 30 of 30").await;
    page.write("#search", "topic 2").await;
    reads(&page, "buckets-count", "11 of 30 buckets").await;
}

#[actix_rt::test]
async fn a_broken_guarantee_is_red_and_a_neighbour_that_is_away_is_named() {
    let server = Server::start().await;
    let page = open_busy(&server, "").await;
    reads(&page, "verdict", "all kept").await;
    reads(&page, "backends", "RabbitMQdown").await;

    page.evaluate("window.broken = 2").await;

    reads(&page, "verdict", "1 broken").await;
    let red = "[...el.guarantees.children].filter((it) => it.dataset.broken === 'true').map((it) => it.textContent)";
    assert_eq!(page.evaluate(red).await, json!(["G5 stored before told2"]));
}
