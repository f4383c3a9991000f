//! A page in a Chromium of the test's own, read and used as a person does.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use awc::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::devtools::Devtools;
use crate::harness::{eventually, text, within};
use crate::servers::process::{Folder, Process, free_port, in_account};

/// Debian's name of the program.
const PROGRAM: &str = "chromium";
/// Most presses of a key until what is looked for must have the focus.
const PRESSES_MAX: usize = 120;
/// Chromium does nothing but show the page, and reaches nobody but the test.
const SWITCHES: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// A tab with a page. Dropping it ends the browser, and fails the test when something went wrong in the
/// page.
pub struct Page {
    devtools: Devtools,
    _browser: Process,
    _room: SemaphorePermit<'static>,
}

/// So many browsers at a time: more of them only keep one another waiting.
static ROOM: Semaphore = Semaphore::const_new(3);

impl Page {
    /// Starts a browser with an empty page.
    pub async fn empty() -> Self {
        let room = ROOM.acquire().await.expect("it is never closed");
        let folder = Folder::of(PROGRAM);
        let port = free_port();
        let mut command = in_account(Path::new(PROGRAM));
        let profile = folder.at("profile");
        command
            .args(SWITCHES)
            .arg(format!("--remote-debugging-port={port}"))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .env("HOME", folder.at(""))
            .env("TMPDIR", folder.at(""))
            .env("LANG", "C.UTF-8");
        let answers = move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let browser = Process::start("Chromium", folder, "TERM", &command, Arc::new(answers));
        let address = eventually("Chromium has a tab", async || tab_of(port).await).await;
        Self {
            devtools: Devtools::connect(&address).await,
            _browser: browser,
            _room: room,
        }
    }

    /// Starts a browser with the page at `url`.
    pub async fn open(url: &str) -> Self {
        let page = Self::empty().await;
        page.go_to(url).await;
        page
    }

    /// Goes to `url` and awaits that the page is loaded.
    pub async fn go_to(&self, url: &str) {
        let answer = self
            .devtools
            .call("Page.navigate", json!({"url": url}))
            .await;
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        let there = format!(
            "location.href === {} && document.readyState === 'complete'",
            json!(url)
        );
        self.until("the page is loaded", &there).await;
    }

    /// Loads the page again, as the key F5 does.
    pub async fn reload(&self) {
        self.evaluate("window.isFromBefore = true").await;
        self.devtools.call("Page.reload", json!({})).await;
        let again = "!window.isFromBefore && document.readyState === 'complete'";
        self.until("the page is loaded again", again).await;
    }

    /// Runs `script` before any other in every page from now on.
    pub async fn run_first(&self, script: &str) {
        let method = "Page.addScriptToEvaluateOnNewDocument";
        self.devtools.call(method, json!({"source": script})).await;
    }

    /// The value of an expression in the page.
    pub async fn evaluate(&self, expression: &str) -> Value {
        self.try_evaluate(expression)
            .await
            .unwrap_or_else(|problem| panic!("{expression}: {problem}"))
    }

    /// Awaits that an expression is true, or has a value that counts as true, and gives it.
    pub async fn until(&self, what: &str, expression: &str) -> Value {
        self.until_within(crate::harness::PATIENCE * 2, what, expression)
            .await
    }

    /// As [`Self::until`], with a limit of its own.
    pub async fn until_within(
        &self,
        limit: std::time::Duration,
        what: &str,
        expression: &str,
    ) -> Value {
        let asked = format!("(() => {{ const it = {expression}; return it || null; }})()");
        let found = within(limit, what, async || {
            // A page that is being replaced by another has no values.
            let value = self.try_evaluate(&asked).await.ok();
            value.filter(|value| !value.is_null()).or_else(|| {
                let faults = self.devtools.take_faults();
                assert!(faults.is_empty(), "while waiting until {what}: {faults:#?}");
                None
            })
        });
        found.await
    }

    async fn try_evaluate(&self, expression: &str) -> Result<Value, String> {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self
            .devtools
            .try_call("Runtime.evaluate", parameters)
            .await?;
        match answer["exceptionDetails"].take() {
            Value::Null => Ok(answer["result"]["value"].take()),
            problem => Err(problem.to_string()),
        }
    }

    /// Clicks into the middle of the element, once it can be seen.
    pub async fn click(&self, selector: &str) {
        self.press_mouse(selector, 1).await;
    }

    /// The second click of a double click whose first one has brought the element there.
    pub async fn click_again(&self, selector: &str) {
        self.press_mouse(selector, 2).await;
    }

    async fn press_mouse(&self, selector: &str, count: u32) {
        let place = format!(
            "(() => {{
                const it = document.querySelector({});
                if (!it || !it.checkVisibility()) return null;
                it.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = it.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(x, y);
                return hit && (it.contains(hit) || hit.contains(it)) ? {{ x, y }} : null;
            }})()",
            json!(selector)
        );
        let place = self
            .until(&format!("{selector} can be clicked"), &place)
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": count});
            self.devtools.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Writes `value` into the field, over what stands there.
    pub async fn write(&self, selector: &str, value: &str) {
        self.click(selector).await;
        self.evaluate("document.activeElement.select()").await;
        self.insert(value).await;
    }

    /// Types `value` where the focus is.
    pub async fn insert(&self, value: &str) {
        self.devtools
            .call("Input.insertText", json!({"text": value}))
            .await;
    }

    /// Presses and releases a key: `Tab`, `Enter`, `Space`, `Escape` or `ArrowRight`.
    pub async fn press(&self, key: &str) {
        let (value, code, typed) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => (" ", 32, " "),
            "Escape" => ("Escape", 27, ""),
            "ArrowRight" => ("ArrowRight", 39, ""),
            other => panic!("no key {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({"type": kind, "key": value, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !typed.is_empty() {
                event["text"] = json!(typed);
            }
            self.devtools.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Presses Tab until the element has the focus.
    pub async fn tab_to(&self, selector: &str) {
        let is_there = format!("document.activeElement.matches({})", json!(selector));
        for _ in 0..PRESSES_MAX {
            if self.evaluate(&is_there).await == true {
                return;
            }
            self.press("Tab").await;
        }
        panic!("no way to {selector} with Tab alone");
    }

    /// Shows the page light or dark, in a window of this width.
    pub async fn look(&self, scheme: &str, width: u32) {
        // Without motion what is looked at is there at once.
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        let media = json!({"features": features});
        self.devtools
            .call("Emulation.setEmulatedMedia", media)
            .await;
        let window =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        let method = "Emulation.setDeviceMetricsOverride";
        self.devtools.call(method, window).await;
    }

    /// Everything that assistive technology is told of.
    pub async fn accessible(&self) -> Vec<Value> {
        self.devtools.call("Accessibility.enable", json!({})).await;
        let mut tree = self
            .devtools
            .call("Accessibility.getFullAXTree", json!({}))
            .await;
        match tree["nodes"].take() {
            Value::Array(nodes) => nodes,
            other => panic!("no nodes: {other}"),
        }
    }

    /// What went wrong in the page so far, which then does not fail the test.
    pub fn take_faults(&self) -> Vec<String> {
        self.devtools.take_faults()
    }

    /// A picture of the whole page, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let taken = self.devtools.call("Page.captureScreenshot", whole).await;
        STANDARD.decode(text(&taken, "data")).expect("it is base64")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let faults = self.devtools.take_faults();
        if !std::thread::panicking() {
            assert!(faults.is_empty(), "errors in the page: {faults:#?}");
        }
    }
}

/// The address of the tab that a new browser has.
async fn tab_of(port: u16) -> Option<String> {
    let url = format!("http://127.0.0.1:{port}/json/list");
    let mut answer = Client::new().get(url).send().await.ok()?;
    let tabs: Value = serde_json::from_slice(&answer.body().await.ok()?).ok()?;
    let tab = tabs.as_array()?.iter().find(|tab| tab["type"] == "page")?;
    Some(text(tab, "webSocketDebuggerUrl").to_owned())
}
