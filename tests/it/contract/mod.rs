//! Holds whatever a server says to the documents that it serves. Every answer and every event that a test
//! sees goes through here, so no test has to ask for it.

mod asyncapi;
mod openapi;
mod schemas;
mod tests;

pub use asyncapi::{assert_announcement, check_event, knows_close_code};
pub use openapi::{Answer, assert_documented};
