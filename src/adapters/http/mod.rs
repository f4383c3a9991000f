//! The question service, the user service, and the collector of traces.

mod answers;
mod calls;
mod collector;
mod questions;
mod recent;
mod users;

pub use calls::{HttpCalls, InvalidUrl};
pub use collector::HttpCollector;
pub use questions::HttpQuestions;
pub use users::HttpUsers;
