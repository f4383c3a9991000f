//! Drives the real server from outside: its own process, folder, port and environment per test.
//!
//! ```ignore
//! #[actix_rt::test]
//! async fn two_people_in_one_bucket_are_matched() {
//!     let server = Server::with("CONFIRM_MATCH_TIMEOUT_SECONDS", "0.5").start().await;
//!     let (ada, bob) = (server.user("ada"), server.user("bob"));
//!     let screen = ada.connect().await;                         // a WebSocket, `Socket`
//!
//!     let ticket = ada.open_ticket("Easy", "Array").await;      // asserts 200, gives the id
//!     bob.ask("easy", "array").await.expect(200);               // `Reply`: status, headers, json
//!
//!     let found = screen.next_event("match_found").await;       // bounded; shows all events seen
//!     assert_eq!(found["match_id"], ada.matched(&ticket).await.as_str());
//! }
//! ```
//!
//! - [`Server`]: `start`, `with(name, value)` (gives [`Options`]), `kill` (SIGKILL), `restart`
//!   (same folder), `terminate` (SIGTERM), `user`, `user_with_claims`, `get`, `request`,
//!   `match_status`, `session`, `output`, `database_file`. [`Options::run_to_exit`] is for servers
//!   that must not start, [`Options::start_unready`] for those that cannot serve yet;
//!   `tell_to_stop` and `end` are for what happens while a server stops. Dropping a server kills exactly that process, and fails the test when a
//!   token stands in its output, when a thread of it panicked, or when it ended by itself.
//! - [`User`]: one method per endpoint, each giving a [`Reply`]; `open_ticket`, `state`, `matched`
//!   assert on the way; `request(method, path)` gives a [`Request`] to bend before sending.
//! - [`Reply::expect`] asserts the code, and for errors the whole shape of contract §2.
//! - [`Socket`]: answers pings by itself; `next_event(kind)`, `count(kind)`, `expect_close(code)`.
//! - [`Raw`]: bytes over TCP, for what no well-behaved client sends.
//! - `Server::metric`, `memory`, `connections`: what a server counts and what it uses.
//! - [`scenes`]: a matched pair, an open session.
//! - [`eventually`]: awaits a condition; nothing here sleeps for luck.
//! - [`Database`]: a server's rows, read and changed behind its back.
//! - [`hear`]: what comes over RabbitMQ. It and every [`Reply`] and [`Socket`] fail where the server
//!   says something that is not in its own documents ([`crate::contract`]).
//! - [`Backends`]: what the server keeps its state in. `Server::start` and `Server::with` take
//!   [`Backends::under_test`], so the whole suite runs again elsewhere without a changed test;
//!   a test about the embedded default alone says [`Options::on`]`(Backends::Embedded)`, one about
//!   the real ones alone `Backends::real()`, and one that kills a server of its own
//!   `Neighbours { database, number, vhost }` (see [`crate::servers`]).

mod announced;
mod backends;
mod clock;
mod database;
mod http;
pub mod output;
mod raw;
pub mod scenes;
mod server;
mod socket;
pub mod tokens;
mod usage;
mod user;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub use announced::hear;
pub use awc::http::Method;
pub use backends::{Backends, Neighbours};
pub use clock::{unix_now, unix_seconds};
pub use database::Database;
pub use futures_util::future::join_all;
pub use http::{Api, Reply, Request};
pub use raw::{Raw, frame, upgrade};
pub use serde_json::{Value, json};
pub use server::{Exit, Options, Server, new_folder};
pub use socket::Socket;
pub use user::User;

/// How long a condition is awaited. Only failures last that long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Every prefixed endpoint begins with this.
pub const PREFIX: &str = "/api/v1/matching";

/// Awaits until `condition` gives a value; fails with `what` after [`PATIENCE`].
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, condition).await
}

/// Awaits until `condition` gives a value; fails with `what` after `limit`.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            is_in_time(begun.elapsed(), limit),
            "not within {limit:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether what is promised within `limit` took no longer.
pub fn is_in_time(took: Duration, limit: Duration) -> bool {
    took < limit + noise()
}

/// What a busy machine may add to any promised time.
pub fn noise() -> Duration {
    *NOISE
}

/// What a busy machine may add to one request in a hundred.
pub fn hiccup() -> Duration {
    match std::env::var_os("EXACT_TIMES") {
        Some(_) => Duration::from_millis(10),
        None => Duration::from_millis(600),
    }
}

/// What a busy machine may add to a promised time: the tests share it with one another, and the
/// machines of continuous integration with others. `EXACT_TIMES`, for a machine that has nothing else
/// to do, leaves hardly any.
static NOISE: LazyLock<Duration> = LazyLock::new(|| {
    let exact = std::env::var_os("EXACT_TIMES").is_some();
    Duration::from_millis(if exact { 100 } else { 3_000 })
});

/// Lets real time go by, where a deadline must pass while nobody can be asked about it.
pub async fn let_pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// The text field `name` of `value`; fails when it is missing or no text.
#[track_caller]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text field `{name}` in {value}"))
}
