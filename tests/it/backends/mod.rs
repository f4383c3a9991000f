//! Contract tests: every implementation of a port passes the same ones.

mod questions;
mod schema;
mod shared_sessions;
mod store;
mod subject;
