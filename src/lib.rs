//! A stateful matchmaking server: pairs two people who want to practise together.

pub mod actors;
pub mod domain;
pub mod observability;
pub mod ports;
