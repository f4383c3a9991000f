//! A stateful matchmaking server: pairs two people who want to practise together.

pub mod actors;
pub mod adapters;
pub mod app;
pub mod domain;
pub mod edge;
pub mod observability;
pub mod ports;
pub mod settings;
pub mod startup;
