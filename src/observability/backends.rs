//! Which servers answer that this one needs, for the log, the metrics and the readiness probe.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use tokio::time::Instant;
use tracing::{info, warn};

use super::BACKEND_UP;

/// How often the log repeats that a server is waited for.
const REPEAT_EVERY: Duration = Duration::from_secs(30);
/// Shortest time after which a changed reason is logged.
const REASON_EVERY: Duration = Duration::from_secs(5);

/// A server that this one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// The database.
    PostgreSql,
    /// Shared sessions and the mirror.
    Redis,
    /// Events.
    RabbitMq,
}

impl Needed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PostgreSql, Self::Redis, Self::RabbitMq];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::Redis => "Redis",
            Self::RabbitMq => "RabbitMQ",
        }
    }

    /// Its name for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::Redis => "redis",
            Self::RabbitMq => "rabbitmq",
        }
    }
}

/// How a server stands that this one may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendState {
    /// It answers.
    Up,
    /// It is waited for.
    Down,
    /// It is not needed, as this server is configured.
    NotNeeded,
}

impl BackendState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Up, Self::Down, Self::NotNeeded];

    /// Its name for machines.
    pub fn label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::NotNeeded => "not_needed",
        }
    }
}

/// What is known of each of them.
#[derive(Debug, Default)]
pub struct NeededBackends {
    states: Mutex<[State; Needed::ALL.len()]>,
}

#[derive(Debug, Default)]
enum State {
    /// It is not needed, as this server is configured.
    #[default]
    NotNeeded,
    /// It is, and nobody has heard of it yet.
    Awaited,
    Up,
    Down {
        reason: String,
        logged_at: Instant,
    },
}

/// What the log has to tell.
#[derive(Debug, PartialEq, Eq)]
enum News {
    None,
    Answers,
    IsAway,
}

impl NeededBackends {
    /// This one is waited for until it answers; nothing changes where it was needed before.
    pub fn need(&self, backend: Needed) {
        self.with(backend, |state| {
            if matches!(state, State::NotNeeded) {
                *state = State::Awaited;
                gauge!(BACKEND_UP, "backend" => backend.label()).set(0.0);
            }
        });
    }

    /// Whether it answered when it was asked just now, and otherwise why not.
    pub fn note<E: ToString>(&self, backend: Needed, answered: Result<(), E>) {
        let (name, label) = (backend.name(), backend.label());
        let is_up = answered.is_ok();
        gauge!(BACKEND_UP, "backend" => label).set(if is_up { 1.0 } else { 0.0 });
        let reason = answered.err().map(|error| error.to_string());
        let now = Instant::now();
        match self.with(backend, |state| state.note(reason.as_deref(), now)) {
            News::None => {}
            News::Answers => info!(backend = label, "{name} answers"),
            News::IsAway => {
                let reason = reason.unwrap_or_default();
                warn!(backend = label, reason, "waiting for {name}: {reason}");
            }
        }
    }

    /// Those that are waited for.
    pub fn awaited(&self) -> Vec<Needed> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let is_awaited = |state: &State| matches!(state, State::Awaited | State::Down { .. });
        let awaited = Needed::ALL.into_iter().zip(&*states);
        awaited
            .filter(|(_, state)| is_awaited(state))
            .map(|(backend, _)| backend)
            .collect()
    }

    /// How one of them stands.
    pub fn state(&self, backend: Needed) -> BackendState {
        self.with(backend, |state| match state {
            State::NotNeeded => BackendState::NotNeeded,
            State::Awaited | State::Down { .. } => BackendState::Down,
            State::Up => BackendState::Up,
        })
    }

    fn with<T>(&self, backend: Needed, change: impl FnOnce(&mut State) -> T) -> T {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut states[backend as usize])
    }
}

impl State {
    /// Takes in why it did not answer, or that it did.
    fn note(&mut self, reason: Option<&str>, now: Instant) -> News {
        let Some(reason) = reason else {
            let was_up = matches!(self, Self::Up);
            *self = Self::Up;
            return if was_up { News::None } else { News::Answers };
        };
        if let Self::Down {
            reason: known,
            logged_at,
        } = self
        {
            let quiet_for = if known == reason {
                REPEAT_EVERY
            } else {
                REASON_EVERY
            };
            if now < *logged_at + quiet_for {
                return News::None;
            }
        }
        *self = Self::Down {
            reason: reason.to_owned(),
            logged_at: now,
        };
        News::IsAway
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_of_changes_and_otherwise_now_and_then() {
        let begin = Instant::now();
        let mut state = State::Awaited;
        let mut note = |reason, seconds| state.note(reason, begin + Duration::from_secs(seconds));

        assert_eq!(note(Some("refused"), 0), News::IsAway);
        assert_eq!(note(Some("refused"), 1), News::None);
        assert_eq!(note(Some("wrong password"), 2), News::None);
        assert_eq!(note(Some("wrong password"), 5), News::IsAway);
        assert_eq!(note(Some("wrong password"), 34), News::None);
        assert_eq!(note(Some("wrong password"), 35), News::IsAway);
        assert_eq!(note(None, 36), News::Answers);
        assert_eq!(note(None, 37), News::None);
        assert_eq!(note(Some("refused"), 38), News::IsAway);
    }

    #[test]
    fn only_what_is_needed_and_does_not_answer_is_waited_for() {
        let backends = NeededBackends::default();
        assert_eq!(backends.awaited(), []);

        backends.need(Needed::Redis);
        backends.need(Needed::RabbitMq);
        backends.note(Needed::Redis, Ok::<_, String>(()));
        assert_eq!(backends.awaited(), [Needed::RabbitMq]);

        backends.note(Needed::Redis, Err("gone"));
        assert_eq!(backends.awaited(), [Needed::Redis, Needed::RabbitMq]);
    }
}
