//! The clients of docs/clients, against a real server.

mod browser;
mod consumer;
mod page;
