//! The tests of the load tool: a root of their own, because a bench without a harness cannot hold any.
#![allow(
    dead_code,
    unused_imports,
    reason = "not everything that the tool uses is under test"
)]

mod checks;
mod client;
mod events;
mod family;
mod faults;
mod ledger;
mod masks;
mod meter;
mod plots;
mod rush;
mod search;
mod stats;
mod steady;
mod timetable;
