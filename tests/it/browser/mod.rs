//! The pages in a real browser: headless Chromium, one for each test, over its DevTools protocol.
//!
//! No driver stands between: the protocol is JSON over a WebSocket, which the client of the other tests
//! speaks as well, and it alone tells of errors in a page as they happen, of names that assistive
//! technology gets, and what a key really does.
//!
//! - [`Page`]: `open`, `reload`, `evaluate`, `until` (awaits an expression in the page), `click`,
//!   `write`, `press`, `tab_to`, `look` (light or dark, so wide). An uncaught error, an unhandled
//!   rejection, an error on the console or a breach of the page's policy fails the test.
//! - [`Playground`] and [`Person`]: the page for two or more people, and one of them.
//! - `screenshots.rs` draws every state of both pages on request, to be looked at.

mod admin;
mod devtools;
mod legible;
mod meeting;
mod page;
mod playground;
mod returning;
mod screenshots;
mod without_socket;

use page::Page;
use playground::{Person, Playground};
