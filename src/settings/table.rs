//! The effective configuration as rows to show, and what this build cannot do with it.

use super::fault::Origin;
use super::reader::Reader;
use super::secret::MASK;
use super::variables::{Kind, VARIABLES, Variable};
use super::{DevTokens, LogFormat, Settings};

/// One variable with its effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name in the environment.
    pub name: &'static str,
    /// Its value, secrets masked; nothing where it is not set.
    pub value: Option<String>,
    /// Where it was set.
    pub origin: Option<Origin>,
}

/// A row for every variable, in their order.
pub(super) fn rows(reader: &Reader, settings: &Settings) -> Vec<Row> {
    let row = |variable: &'static Variable| Row {
        name: variable.name,
        value: value(variable, reader, settings),
        origin: reader
            .given(variable.name)
            .map(|given| given.origin.clone()),
    };
    VARIABLES.iter().map(row).collect()
}

fn value(variable: &Variable, reader: &Reader, settings: &Settings) -> Option<String> {
    let given = || reader.given(variable.name).map(|given| given.text.trim());
    let shown = match (variable.name, variable.kind) {
        ("DATABASE_URL", _) => return Some(settings.database.to_string()),
        ("LOG_LEVEL", _) => settings.log.level.as_str(),
        ("LOG_FORMAT", _) => match settings.log.format {
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        },
        ("DEV_TOKENS", _) => match settings.auth.dev_tokens {
            DevTokens::Off => "off",
            DevTokens::Loopback => "loopback",
            DevTokens::AnyPeer => "any",
        },
        (name, Kind::Url) => reader.masked_url(name)?,
        (_, Kind::Secret) => given().map(|_| MASK)?,
        (_, Kind::Plain) => given()?,
    };
    Some(shown.to_owned())
}
