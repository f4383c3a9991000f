//! A stateful matchmaking server: pairs two people who want to practise together.
//!
//! A short tour. [`domain`] holds the rules: what a ticket, a bucket, a match and a session do when
//! something happens, as values and without any I/O. [`actors`] carry them out: one roster knows
//! everybody, one matchmaker owns each bucket, one session actor each match and the session that it
//! becomes. They reach the outside through [`ports`]: a [`store`] that groups writes into
//! transactions, and [`adapters`] for shared sessions, questions, the clock. [`edge`] turns HTTP and
//! WebSockets into messages and answers reads from what the actors have published. [`app`] builds
//! all of it from the [`settings`], and takes it down in order.
//!
//! Each of these but [`app`] is a crate of its own: what it may use, its `Cargo.toml` says. What one
//! of them awaits of another for longer comes in a box; else its code would be made once more, with
//! all generic code in it, where it is awaited.
//!
//! One order holds everywhere: decided in memory, stored on a condition, and only then told.

pub mod app;
pub mod startup;

pub use {actors, adapters, domain, edge, observability, ports, settings, store};
