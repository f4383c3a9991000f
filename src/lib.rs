//! A stateful matchmaking server: pairs two people who want to practise together.

pub mod domain;
pub mod ports;
