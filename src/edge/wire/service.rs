//! What the server says about itself, and the development token.

use serde::Serialize;
use utoipa::ToSchema;

use crate::docs::{samples, values};
use observability::Needed;

/// A token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::token))]
pub struct Token {
    /// The token.
    #[schema(value_type = values::SignedToken)]
    pub token: String,
}

/// That the process answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::alive))]
pub struct Liveness {
    /// Always alive where it answers at all.
    #[schema(value_type = values::AliveWord)]
    status: &'static str,
}

impl Liveness {
    /// There is only one.
    pub const ALIVE: Self = Self { status: "alive" };
}

/// What this is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::about))]
pub struct About<'a> {
    /// The value of `APP_NAME`.
    service: &'a str,
    /// What it does.
    description: &'static str,
    /// The version.
    version: &'static str,
}

impl<'a> About<'a> {
    /// Of the service with this name.
    pub fn new(service: &'a str) -> Self {
        Self {
            service,
            description: "Matchmaking: pairs two people who want to practise together",
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// What `GET /health` answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::health))]
pub struct Health<'a> {
    /// Always healthy where it answers at all.
    #[schema(value_type = values::HealthyWord)]
    status: &'static str,
    /// The value of `ENV`.
    environment: &'a str,
    /// The value of `APP_NAME`.
    service: &'a str,
    /// The port.
    #[schema(minimum = 1, maximum = 65_535)]
    port: u16,
}

impl<'a> Health<'a> {
    /// Of the service with this name, in this environment, on this port.
    pub fn new(service: &'a str, environment: &'a str, port: u16) -> Self {
        Self {
            status: "healthy",
            environment,
            service,
            port,
        }
    }
}

/// What `GET /readyz` answers while work is taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(samples::ready, samples::ready_without))]
pub struct Readiness {
    /// Always ready where the code is 200.
    #[schema(value_type = values::ReadyWord)]
    status: &'static str,
    /// The servers that do not answer now: what needs them waits, and all else goes on.
    #[schema(value_type = Vec<values::NeededServer>)]
    waiting_for: Vec<&'static str>,
}

impl Readiness {
    /// Ready, although these do not answer.
    pub fn new(waiting_for: &[Needed]) -> Self {
        Self {
            status: "ready",
            waiting_for: waiting_for.iter().map(|it| it.label()).collect(),
        }
    }
}
