//! Both pages for everybody: by keyboard alone, by ear, in weak light, on a small screen.

use super::admin::open_busy;
use super::{Page, Playground};
use crate::harness::*;

/// Least contrast of text, as WCAG 2 asks for at level AA.
const CONTRAST_MIN: f64 = 4.5;
/// Roles of what people use.
const CONTROLS: &[&str] = &[
    "button",
    "checkbox",
    "combobox",
    "DisclosureTriangle",
    "link",
    "listbox",
    "menuitem",
    "progressbar",
    "radio",
    "searchbox",
    "slider",
    "spinbutton",
    "switch",
    "textbox",
    "image",
    "img",
    "timer",
    "table",
];
/// Every text that can be seen whose contrast is below what it is called with.
const FAINT_TEXTS: &str = include_str!("faint_texts.js");

/// Controls without a name for assistive technology.
async fn unnamed(page: &Page) -> Vec<String> {
    let is_unnamed = |node: &Value| {
        let name = node["name"]["value"].as_str().unwrap_or_default();
        node["ignored"] == false
            && CONTROLS.iter().any(|role| node["role"]["value"] == *role)
            && name.trim().is_empty()
    };
    let nodes = page.accessible().await;
    nodes
        .iter()
        .filter(|node| is_unnamed(node))
        .map(Value::to_string)
        .collect()
}

/// How many texts can be seen, and which of them hardly: `texts`, `faint`.
async fn texts(page: &Page) -> Value {
    page.evaluate(&format!("({FAINT_TEXTS})({CONTRAST_MIN})"))
        .await
}

/// Asserts that what is on the page now can be read and used.
async fn assert_legible(page: &Page, what: &str) {
    assert_eq!(
        unnamed(page).await,
        [""; 0],
        "{what}: controls without a name"
    );
    for scheme in ["light", "dark"] {
        for width in [1280, 360] {
            page.look(scheme, width).await;
            let seen = texts(page).await;
            let shown = format!("{what}, {scheme}, {width} px wide");
            assert!(seen["texts"].as_u64() > Some(10), "{shown}: {seen}");
            assert_eq!(seen["faint"], json!([]), "{shown}");
            let wide = "document.documentElement.scrollWidth";
            assert_eq!(
                page.evaluate(wide).await,
                width,
                "{shown}: it scrolls sideways"
            );
        }
    }
}

#[actix_rt::test]
async fn what_is_faint_unnamed_or_wrong_in_a_page_is_noticed() {
    let html = "<body style='background:white'><p style='color:%23767676'>Clear</p><p style='color:%23777'>Faint</p>\
                <p style='color:black;opacity:.5'>Half</p><button>Named</button><button></button>\
                <script>console.error('one'); Promise.reject(new Error('two'))</script>";
    let page = Page::open(&format!("data:text/html,{}", html.replace(' ', "%20"))).await;

    assert_eq!(unnamed(&page).await.len(), 1);
    let seen = texts(&page).await;
    assert_eq!(seen["faint"], json!(["Faint: 4.48", "Half: 3.98"]));

    let mut faults = page.take_faults();
    let all = eventually("both errors are heard of", async || {
        faults.extend(page.take_faults());
        (faults.len() >= 2).then(|| faults.join(" "))
    });
    let all = all.await;
    assert!(all.contains("one") && all.contains("two"), "{all}");
}

#[actix_rt::test]
async fn every_state_of_the_playground_can_be_read_and_every_control_has_a_name() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (page, (ada, grace)) = (&playground.page, playground.both());
    page.click("[data-testid=\"add\"]").await;
    assert_legible(page, "nobody has asked").await;

    ada.click("trail-toggle").await;
    grace.click("trail-toggle").await;
    grace.write("topic", " ").await;
    grace.click("ask").await;
    grace.reads("notice", "opic").await;
    ada.click("ask").await;
    ada.comes_to("waiting").await;
    assert_legible(page, "one waits, one was refused").await;

    grace.write("topic", "Array").await;
    grace.click("ask").await;
    ada.comes_to("proposed").await;
    grace.comes_to("proposed").await;
    ada.click("confirm").await;
    ada.comes_to("confirmed").await;
    assert_legible(page, "one has confirmed").await;

    grace.click("confirm").await;
    ada.comes_to("session").await;
    grace.comes_to("session").await;
    ada.click("leave").await;
    ada.comes_to("idle").await;
    grace.reads("partner-left", "Ada").await;
    assert_legible(page, "one has left").await;

    server.kill();
    grace.reads("notice", "cannot be reached").await;
    assert_legible(page, "the server is away").await;
    server.restart().await;
}

#[actix_rt::test]
async fn keyboard_alone_asks_confirms_and_leaves() {
    let server = Server::start().await;
    let playground = Playground::open(&server).await;
    let (page, (ada, grace)) = (&playground.page, playground.both());
    for person in [ada, grace] {
        page.tab_to(&person.at("topic")).await;
        page.evaluate("document.activeElement.select()").await;
        page.insert("Heap").await;
        page.press("Tab").await;
        page.press("ArrowRight").await;
        page.tab_to(&person.at("ask")).await;
        page.press("Enter").await;
    }
    ada.comes_to("proposed").await;
    grace.comes_to("proposed").await;
    ada.reads("bucket", "Heap, Medium").await;

    // Whose button has vanished goes on from the same place.
    page.press("Tab").await;
    page.tab_to(&grace.at("confirm")).await;
    page.press("Enter").await;
    grace.comes_to("confirmed").await;
    page.tab_to(&ada.at("confirm")).await;
    page.press("Space").await;
    ada.comes_to("session").await;
    let has_focus = "document.activeElement.dataset.testid";
    assert_eq!(page.evaluate(has_focus).await, "state");

    page.press("Tab").await;
    page.tab_to(&ada.at("leave")).await;
    page.press("Space").await;

    ada.comes_to("idle").await;
    grace.reads("partner-left", "Ada has left").await;
    page.tab_to(&grace.at("trail-toggle")).await;
    page.press("Enter").await;
    grace.reads("log", "EVENTpartner_left").await;
}

#[actix_rt::test]
async fn the_admin_page_can_be_read_and_every_control_has_a_name() {
    let server = Server::start().await;
    let place = "#ticket=0198c7a2-5b1e-7c40-9d2a-000000000017&bucket=Easy%3AArray+1";
    let page = open_busy(&server, place).await;
    let shown = "el.live.checkVisibility() && el.timeline.children.length && el['queue-rows'].children.length";
    page.until("everything is shown", shown).await;
    assert_legible(&page, "a busy server").await;

    page.evaluate("window.broken = 1").await;
    page.until(
        "a guarantee is broken",
        "el.verdict.dataset.broken === 'true'",
    )
    .await;
    assert_legible(&page, "a broken guarantee").await;
}
