//! The whole server while somebody whom it needs is away. Always on the real backends.

mod absent;
mod fallback;
mod looks;
mod questions;
mod rabbitmq;
mod stop;
mod users;
