//! What every store does with each write, written against the ports alone.

mod groups;
mod matches;
mod opening;
mod races;
mod sessions;
mod tickets;
