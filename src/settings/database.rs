//! The database and the forms of its address.

use std::fmt;
use std::path::PathBuf;

use super::parse::{self, require_host};
use super::reader::Reader;
use super::secret::SecretUrl;

/// Which database decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file; a relative path counts from the working directory.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the address begins with `postgresql://` or `postgres://`.
    Postgres(SecretUrl),
}

impl Database {
    /// What is used in dev without any configuration.
    pub(super) fn dev_default() -> Self {
        Self::Sqlite("data/matchmaker.db".into())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

const EXPECTED: &str = "sqlite://PATH or postgresql://user:password@host/database (also postgres:// \
                        and postgresql+psycopg://)";
/// How SQLAlchemy spells the scheme; the driver is no concern of ours.
const SQLALCHEMY: &str = "postgresql+psycopg://";

/// `DATABASE_URL`, where it is set.
pub(super) fn read(reader: &mut Reader) -> Option<Option<Database>> {
    reader.optional("DATABASE_URL", EXPECTED, parse_database)
}

/// Takes every form of the address.
fn parse_database(text: &str) -> Result<Database, String> {
    if let Some(path) = strip_prefix_ignoring_case(text, "sqlite://") {
        return parse_path(path);
    }
    let text = match strip_prefix_ignoring_case(text, SQLALCHEMY) {
        Some(rest) => format!("postgresql://{rest}"),
        None => text.to_owned(),
    };
    let url = parse::url(&text, &["postgresql", "postgres"])?;
    // A server that is reached through a Unix socket has its folder in `?host=` instead.
    if !url.query_pairs().any(|(name, _)| name == "host") {
        require_host(&url)?;
    }
    Ok(Database::Postgres(SecretUrl::new(text, &url)))
}

fn parse_path(path: &str) -> Result<Database, String> {
    let problem = match path {
        "" => "names no file",
        _ if path.contains(":memory:") => "names no file, and memory is not durable",
        _ if path.contains(['?', '#']) => "has options after the file's name",
        _ if path.ends_with('/') => "names a folder",
        _ if path.chars().any(char::is_control) => "has control characters",
        _ => return Ok(Database::Sqlite(path.into())),
    };
    Err(problem.to_owned())
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_paths_are_relative_or_absolute() {
        for (text, path) in [
            ("sqlite://data/matchmaker.db", "data/matchmaker.db"),
            ("sqlite://x.db", "x.db"),
            ("SQLite://./x.db", "./x.db"),
            ("sqlite:///var/lib/matchmaker.db", "/var/lib/matchmaker.db"),
        ] {
            assert_eq!(
                parse_database(text),
                Ok(Database::Sqlite(path.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn every_spelling_of_postgres_is_taken_and_its_password_masked() {
        for (text, shown) in [
            (
                "postgresql+psycopg://u:pw@db:5432/m",
                "postgresql://u:***@db:5432/m",
            ),
            ("postgresql://u:pw@db/m", "postgresql://u:***@db/m"),
            (
                "postgres://u:pw@db/m?sslmode=require",
                "postgres://u:***@db/m?sslmode=require",
            ),
            (
                "postgres:///m?host=/run/pg&user=u",
                "postgres:///m?host=/run/pg&user=u",
            ),
        ] {
            let Ok(Database::Postgres(url)) = parse_database(text) else {
                panic!("{text} is refused")
            };

            assert_eq!(url.to_string(), shown);
            assert_eq!(url.expose(), text.replace("+psycopg", ""));
        }
    }

    #[test]
    fn other_addresses_are_refused_with_their_problem() {
        for (text, problem) in [
            ("mysql://u:pw@db/m", "has another scheme"),
            ("postgresql+asyncpg://db/m", "has another scheme"),
            ("data/matchmaker.db", "is no address with ://"),
            ("sqlite://", "names no file"),
            (
                "sqlite://:memory:",
                "names no file, and memory is not durable",
            ),
            ("sqlite://x.db?mode=ro", "has options after the file's name"),
            ("sqlite://data/", "names a folder"),
            ("postgres:///m", "names no host"),
        ] {
            assert_eq!(parse_database(text), Err(problem.to_owned()), "{text}");
        }
    }
}
