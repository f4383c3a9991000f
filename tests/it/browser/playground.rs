//! The playground, and the people on it.

use serde_json::json;

use super::Page;
use crate::harness::{Server, text};

/// The page, open in a browser.
pub struct Playground {
    /// It.
    pub page: Page,
}

/// One of the people on the page.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    page: &'a Page,
    number: u32,
}

impl Playground {
    /// Opens it with the two people who are there at first, Ada and Grace.
    pub async fn open(server: &Server) -> Self {
        let page = Page::open(&server.api().url("/")).await;
        Self { page }
    }

    /// Whoever has this number, from 1.
    pub fn person(&self, number: u32) -> Person<'_> {
        let page = &self.page;
        Person { page, number }
    }

    /// Ada and Grace.
    pub fn both(&self) -> (Person<'_>, Person<'_>) {
        (self.person(1), self.person(2))
    }

    /// Ada and Grace in a match that neither has answered.
    pub async fn matched(&self) -> (Person<'_>, Person<'_>) {
        let (ada, grace) = self.both();
        ada.click("ask").await;
        ada.comes_to("waiting").await;
        grace.click("ask").await;
        ada.comes_to("proposed").await;
        grace.comes_to("proposed").await;
        (ada, grace)
    }

    /// Ada and Grace in a session.
    pub async fn in_session(&self) -> (Person<'_>, Person<'_>) {
        let (ada, grace) = self.matched().await;
        ada.click("confirm").await;
        ada.comes_to("confirmed").await;
        grace.click("confirm").await;
        ada.comes_to("session").await;
        grace.comes_to("session").await;
        (ada, grace)
    }
}

impl Person<'_> {
    /// The selector of an element of this person's.
    pub fn at(&self, name: &str) -> String {
        format!("[data-person=\"{}\"] [data-testid=\"{name}\"]", self.number)
    }

    /// Clicks it.
    pub async fn click(&self, name: &str) {
        self.page.click(&self.at(name)).await;
    }

    /// Writes into a field.
    pub async fn write(&self, name: &str, value: &str) {
        self.page.write(&self.at(name), value).await;
    }

    /// Awaits that this person is `idle`, `waiting`, `proposed`, `confirmed` or in a `session`.
    pub async fn comes_to(&self, state: &str) {
        let what = format!("person {} comes to {state}", self.number);
        let asked = format!(
            "{}?.dataset.state === {}",
            self.element("state"),
            json!(state)
        );
        self.page.until(&what, &asked).await;
    }

    /// Awaits that an element can be seen and has `words` in it.
    pub async fn reads(&self, name: &str, words: &str) {
        let what = format!("person {} reads `{words}` in {name}", self.number);
        let it = self.element(name);
        let asked = format!(
            "{it}?.checkVisibility() && {it}.textContent.includes({})",
            json!(words)
        );
        self.page.until(&what, &asked).await;
    }

    /// What stands in an element.
    pub async fn text(&self, name: &str) -> String {
        let asked = format!("({{ it: {}.textContent }})", self.element(name));
        text(&self.page.evaluate(&asked).await, "it").to_owned()
    }

    /// Whether an element can be seen.
    pub async fn sees(&self, name: &str) -> bool {
        let asked = format!("{}.checkVisibility()", self.element(name));
        self.page.evaluate(&asked).await == true
    }

    /// Awaits that the socket is `open`, `retrying` or `off`.
    pub async fn is_linked(&self, link: &str) {
        let what = format!("the link of person {} is {link}", self.number);
        let asked = format!("{}.dataset.link === {}", self.element("link"), json!(link));
        self.page.until(&what, &asked).await;
    }

    fn element(&self, name: &str) -> String {
        format!("document.querySelector({})", json!(self.at(name)))
    }
}
