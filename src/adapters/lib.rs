//! One file per backend, each implementing traits from [`ports`].

mod clock;
mod documents;
mod history;
pub mod http;
mod in_process;
mod questions;
mod rabbitmq;
mod raw_object;
pub mod redis;
mod relay;

pub use clock::SystemClock;
pub use history::{HistoryOptions, HistoryRetention};
pub use in_process::{Announcing, InProcessSessions, NoMirror, OnAnnounced};
pub use questions::{BuiltInQuestions, QuestionsError};
pub use rabbitmq::{InvalidBroker, RabbitOptions, RabbitPublisher};
pub use relay::{LoggedOutbox, OutboxRelay, RelayOptions};
