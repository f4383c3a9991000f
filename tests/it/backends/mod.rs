//! Contract tests: every implementation of a port passes the same ones.

#[expect(clippy::disallowed_methods, reason = "services take real time")]
mod http;
mod opening_sqlite;
#[expect(
    clippy::disallowed_methods,
    reason = "how long a server that is away keeps one waiting is real time"
)]
mod postgres;
#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
mod postgres_speed;
mod postgres_tls;
mod questions;
#[expect(clippy::disallowed_methods, reason = "brokers take real time")]
mod rabbitmq;
#[expect(clippy::disallowed_methods, reason = "servers take real time")]
mod redis;
#[expect(clippy::disallowed_methods, reason = "servers take real time")]
mod redis_debts;
mod relay;
mod schema;
mod servers;
mod shared_sessions;
#[path = "store/mod.rs"]
mod store_on_postgres;
#[expect(clippy::duplicate_mod, reason = "the same tests on each backend")]
#[path = "store/mod.rs"]
mod store_on_sqlite;
pub(crate) mod subject;
mod tls;
