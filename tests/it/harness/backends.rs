//! What the server under test keeps its state in.

/// Decides the part of the server's environment that names its backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backends {
    /// Nothing but the server's own folder: SQLite, sessions, mirror and outbox in process.
    Embedded,
}

impl Backends {
    /// What this run of the suite is about: `TEST_BACKENDS`, else the embedded default.
    pub fn under_test() -> Self {
        match std::env::var("TEST_BACKENDS").as_deref() {
            Err(_) | Ok("" | "embedded") => Self::Embedded,
            Ok(other) => panic!("TEST_BACKENDS={other} is not known; known: embedded"),
        }
    }

    /// The variables that point the server at these backends.
    pub fn environment(&self) -> Vec<(String, String)> {
        match self {
            Self::Embedded => Vec::new(),
        }
    }
}
