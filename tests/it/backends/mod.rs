//! Contract tests: every implementation of a port passes the same ones.

#[expect(clippy::disallowed_methods, reason = "services take real time")]
mod http;
mod questions;
#[expect(clippy::disallowed_methods, reason = "brokers take real time")]
mod rabbitmq;
#[expect(clippy::disallowed_methods, reason = "servers take real time")]
mod redis;
mod relay;
mod schema;
mod shared_sessions;
mod store;
mod subject;
mod tls;
