//! Contract tests: every implementation of a port passes the same ones.

mod opening_sqlite;
#[expect(
    clippy::disallowed_methods,
    reason = "how long a server that is away keeps one waiting is real time"
)]
mod postgres;
#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
mod postgres_speed;
mod private_postgres;
mod questions;
mod schema;
mod shared_sessions;
#[path = "store/mod.rs"]
mod store_on_postgres;
#[expect(clippy::duplicate_mod, reason = "the same tests on each backend")]
#[path = "store/mod.rs"]
mod store_on_sqlite;
mod subject;
