//! One file per backend, each implementing traits from [`ports`](crate::ports).

mod clock;
pub mod documents;
mod in_process;
mod questions;
pub mod schema;
pub mod store;

pub use clock::SystemClock;
pub use in_process::{InProcessSessions, LoggedAnnouncements, NoMirror};
pub use questions::{BuiltInQuestions, QuestionsError};
