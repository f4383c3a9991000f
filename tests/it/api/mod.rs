//! Black-box tests: the real server, spoken to over HTTP and WebSockets only.

mod tickets;
