//! A stateful matchmaking server: pairs two people who want to practise together.
//!
//! A short tour. [`domain`] holds the rules: what a ticket, a bucket, a match and a session do when
//! something happens, as values and without any I/O. [`actors`] carry them out: one roster knows
//! everybody, one matchmaker owns each bucket, one session actor each match and the session that it
//! becomes. They reach the outside through [`ports`], which [`adapters`] implement: a store that
//! groups writes into transactions, shared sessions, questions, the clock. [`edge`] turns HTTP and
//! WebSockets into messages and answers reads from what the actors have published. [`app`] builds
//! all of it from the [`settings`], and takes it down in order.
//!
//! One order holds everywhere: decided in memory, stored on a condition, and only then told.

pub mod actors;
pub mod adapters;
pub mod announcement;
pub mod app;
pub mod domain;
pub mod edge;
pub mod observability;
mod panics;
pub mod ports;
pub mod settings;
pub mod startup;
