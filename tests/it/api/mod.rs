//! Black-box tests: the real server, spoken to over HTTP and WebSockets only.

mod auth;
mod bad_input;
mod configuration;
pub mod crash;
mod forged;
mod guarantees;
mod guarded;
mod inside;
mod matches;
mod operations;
mod origins;
mod rates;
mod retention;
mod rewritten;
mod sessions;
mod sockets;
mod tickets;
