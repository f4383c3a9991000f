//! Black-box tests: the real server, spoken to over HTTP and WebSockets only.

mod auth;
mod bad_input;
mod matches;
mod sessions;
mod sockets;
mod tickets;
