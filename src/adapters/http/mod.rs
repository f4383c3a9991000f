//! The question service and the user service.

mod answers;
mod calls;
mod questions;
mod recent;
mod users;

pub use calls::{HttpCalls, InvalidUrl};
pub use questions::HttpQuestions;
pub use users::HttpUsers;
