//! The configuration: embedded defaults, files in `config/`, `.env`, the environment.
//!
//! [`VARIABLES`] lists what can be set. [`Settings::load`] reads every place, strongest last, and
//! answers with a value that needs no further checks, or with all faults at once.

mod assemble;
mod auth;
mod database;
mod fault;
mod layer;
mod layers;
mod origins;
mod parse;
mod reader;
mod secret;
mod table;
mod traces;
mod variables;

use std::num::NonZeroU32;
use std::path::PathBuf;

use domain::limits::Timeouts;

pub use database::Database;
pub use fault::{Fault, Faults, Origin};
pub use layers::Sources;
pub use origins::Origins;
pub use secret::{Secret, SecretUrl};
pub use table::Row;
pub use traces::{Sampling, Traces};
pub use variables::{VARIABLES, Variable};

/// Everything that can be configured, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this service.
    pub app_name: String,
    /// Where this server runs.
    pub environment: Environment,
    /// Where and how HTTP is served.
    pub http: Http,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces go; nothing means that none are made.
    pub traces: Option<Traces>,
    /// Which database decides.
    pub database: Database,
    /// Redis; nothing means in this process.
    pub redis: Option<SecretUrl>,
    /// RabbitMQ; nothing means that events stay in the outbox.
    pub rabbitmq: Option<SecretUrl>,
    /// Certificates that Redis and RabbitMQ are checked against; nothing means the public ones.
    pub root_certificates: Option<PathBuf>,
    /// The question service; nothing means the built-in questions.
    pub question_service: Option<QuestionService>,
    /// How callers prove who they are.
    pub auth: Auth,
    /// How long tickets, matches and sessions last.
    pub timeouts: Timeouts,
    /// How much of everything there may be.
    pub limits: Limits,
    /// How often one user may ask.
    pub ask_rate: AskRate,
    /// How sockets are kept.
    pub sockets: Sockets,
    /// How long what has ended is kept, in milliseconds, at least as long as a session may last;
    /// nothing means for ever.
    pub retention_ms: Option<u64>,
    /// How long announcements are kept that were sent, or only logged, in milliseconds.
    pub outbox_retention_ms: u64,
    /// Buckets that have a label of their own in the metrics; all others share one.
    pub metrics_buckets_max: usize,
    /// Time to finish what is in flight when stopping, in milliseconds.
    pub shutdown_ms: u64,
    rows: Vec<Row>,
}

/// The value of `ENV`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(String);

impl Environment {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a developer's own machine, with its conveniences and without its rules.
    pub fn is_dev(&self) -> bool {
        self.0 == "dev"
    }
}

/// Where and how HTTP is served.
#[derive(Debug, Clone)]
pub struct Http {
    /// IP address or host name to listen on; an IPv6 address without brackets.
    pub host: String,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Threads that serve; nothing means one per core.
    pub workers: Option<usize>,
    /// Which browser pages may call.
    pub allowed_origins: Origins,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is logged.
    pub level: tracing::Level,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people who read along.
    Human,
    /// One JSON object a line.
    Json,
}

/// The question service.
#[derive(Debug, Clone)]
pub struct QuestionService {
    /// Its address, without a slash at the end.
    pub url: SecretUrl,
    /// What goes in front of its paths: empty, or begins with a slash and ends without one.
    pub base_path: String,
}

/// How callers prove who they are. Tokens are signed with HS256; there is no other algorithm.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The secret that signs tokens.
    pub secret: Secret,
    /// The secret before it, still accepted.
    pub previous_secret: Option<Secret>,
    /// The `iss` that every token must have.
    pub issuer: String,
    /// The `aud` that every token must have; nothing means that none is asked for.
    pub audience: Option<String>,
    /// The user service, where it is asked about each token as well.
    pub user_service: Option<UserService>,
    /// Bearer token of operators; nothing in dev means that nobody is asked for it.
    pub admin_token: Option<Secret>,
    /// Who gets development tokens.
    pub dev_tokens: DevTokens,
}

/// The user service, which knows whether a token is still good.
#[derive(Debug, Clone)]
pub struct UserService {
    /// Its address, without a slash at the end.
    pub url: SecretUrl,
    /// Path to ask; begins with a slash.
    pub verify_path: String,
}

/// Who gets development tokens from `POST /dev/token`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevTokens {
    /// Nobody, the path does not exist; always so outside dev.
    Off,
    /// Callers on this machine.
    Loopback,
    /// Everybody.
    AnyPeer,
}

/// How much of everything there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unconfirmed matches.
    pub matches_max: usize,
    /// Live tickets, waiting or in an unconfirmed match.
    pub tickets_max: usize,
    /// Open sessions.
    pub sessions_max: usize,
    /// Buckets in use.
    pub buckets_max: usize,
}

/// How often one user may ask or confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskRate {
    /// That many at once.
    pub burst: NonZeroU32,
    /// That many per second after the burst.
    pub per_second: NonZeroU32,
}

/// How sockets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockets {
    /// Open sockets at a time.
    pub max: usize,
    /// Open sockets of one user at a time.
    pub per_user_max: usize,
    /// Time between two pings, in milliseconds.
    pub ping_ms: u64,
    /// Silence after which a socket is dropped, in milliseconds; at least twice `ping_ms`.
    pub silence_ms: u64,
    /// How long a client may take nothing of what it was sent, in milliseconds.
    pub unread_ms: u64,
}

impl Settings {
    /// Reads and checks the whole configuration.
    ///
    /// # Errors
    ///
    /// All faults of all places, not only the first.
    pub fn load(sources: &Sources) -> Result<Self, Faults> {
        assemble::settings(layers::Layers::read(sources))
    }

    /// The effective configuration, in the order of [`VARIABLES`], secrets masked.
    pub fn table(&self) -> &[Row] {
        &self.rows
    }
}

impl Environment {
    /// Reads `ENV` alone, for what is refused outside dev whatever else is configured.
    ///
    /// # Errors
    ///
    /// Nothing but the fault of `ENV`.
    pub fn find(sources: &Sources) -> Result<Self, Faults> {
        assemble::environment_only(layers::Layers::read(sources))
    }
}

#[cfg(test)]
mod tests;
