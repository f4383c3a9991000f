//! The whole configuration, read from folders and environments that each test makes.

mod places;
mod rules;
mod values;

use std::collections::BTreeSet;
use std::fs;

use tempfile::TempDir;

use super::layers::Layers;
use super::reader::Reader;
use super::*;

const STRONG: &str = "0123456789abcdef0123456789abcdef";

/// An empty folder and nothing in the environment.
fn nothing() -> (TempDir, Sources) {
    let folder = TempDir::new().unwrap();
    let sources = Sources::in_folder(folder.path());
    (folder, sources)
}

fn write(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn load_with(pairs: &[(&str, &str)]) -> Result<Settings, Faults> {
    let (_folder, sources) = nothing();
    Settings::load(
        &pairs
            .iter()
            .fold(sources, |sources, (name, value)| sources.with(name, value)),
    )
}

fn faults_with(pairs: &[(&str, &str)]) -> Vec<String> {
    match load_with(pairs) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

fn production() -> Vec<(&'static str, &'static str)> {
    vec![
        ("ENV", "production"),
        ("DATABASE_URL", "postgresql+psycopg://u:db-pw@db/m"),
        ("REDIS_URL", "redis://:redis-pw@redis:6379/0"),
        ("RABBITMQ_URL", "amqp://u:mq-pw@mq:5672/"),
        ("QUESTION_SERVICE_URL", "http://questions:8000/"),
        ("AUTH_ACCESS_SECRET", STRONG),
        ("ADMIN_TOKEN", "operators-only"),
    ]
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    production()
        .into_iter()
        .filter(|(other, _)| *other != name)
        .collect()
}

#[test]
fn nothing_configured_is_a_working_dev_server() {
    let settings = load_with(&[]).unwrap();

    assert!(settings.environment.is_dev());
    assert_eq!(settings.app_name, "peerprep-matching-service");
    assert_eq!(
        (settings.http.host.as_str(), settings.http.port),
        ("0.0.0.0", 8002)
    );
    assert_eq!(settings.http.workers, Some(1));
    assert_eq!(settings.http.allowed_origins, Origins::NotSet);
    assert_eq!(
        settings.log,
        Log {
            level: tracing::Level::INFO,
            format: LogFormat::Human
        }
    );
    assert!(settings.traces.is_none());
    assert_eq!(
        settings.database,
        Database::Sqlite("data/matchmaker.db".into())
    );
    assert!(settings.redis.is_none() && settings.rabbitmq.is_none());
    assert!(settings.question_service.is_none() && settings.auth.user_service.is_none());
    assert_eq!(settings.auth.secret.expose(), "dev-only-change-me");
    assert_eq!(settings.auth.issuer, "user-service");
    assert_eq!(settings.auth.audience, None);
    assert_eq!(settings.auth.dev_tokens, DevTokens::Loopback);
    assert_eq!(settings.timeouts, Timeouts::default());
    let limits = Limits {
        matches_max: 5_000,
        tickets_max: 200_000,
        sessions_max: 200_000,
        buckets_max: 100_000,
    };
    assert_eq!(settings.limits, limits);
    assert_eq!(
        (
            settings.ask_rate.burst.get(),
            settings.ask_rate.per_second.get()
        ),
        (60, 20)
    );
    let sockets = Sockets {
        max: 20_000,
        per_user_max: 20,
        ping_ms: 20_000,
        silence_ms: 60_000,
        unread_ms: 18_000,
    };
    assert_eq!(settings.sockets, sockets);
    assert_eq!(settings.retention_ms, Some(2_592_000_000));
    assert_eq!(settings.shutdown_ms, 8_000);
}

#[test]
fn the_default_file_and_the_table_name_the_same_variables_and_defaults() {
    let (_folder, sources) = nothing();

    let layers = Layers::read(&sources);

    for variable in VARIABLES {
        let given = layers
            .given
            .get(variable.name)
            .map_or("", |given| given.text.as_str());
        assert_eq!(given, variable.default, "{}", variable.name);
        let line = format!("\n{} = ", variable.name.to_ascii_lowercase());
        let file = include_str!("../../../config/default.toml");
        assert!(
            file.contains(&line),
            "config/default.toml leaves out {}",
            variable.name
        );
    }
}

#[test]
fn every_variable_is_listed_once_and_read() {
    let (_folder, sources) = nothing();
    let mut reader = Reader::new(Layers::read(&sources));

    assemble::read(&mut reader);

    let listed: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(listed.len(), VARIABLES.len());
    assert_eq!(
        reader.names_read().iter().copied().collect::<BTreeSet<_>>(),
        listed
    );
}

#[test]
fn the_table_has_every_variable_with_its_effective_value_and_place() {
    let (_folder, sources) = nothing();
    let sources = sources
        .with("REDIS_URL", "redis://:pw@redis")
        .with("USER_SERVICE_URL", "http://u:pw@users")
        .with("LOG_LEVEL", "warning");

    let settings = Settings::load(&sources).unwrap();

    let row = |name| {
        let row = settings
            .table()
            .iter()
            .find(|row| row.name == name)
            .unwrap();
        let origin = row
            .origin
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        (row.value.clone().unwrap_or_default(), origin)
    };
    let named = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(row("PORT"), named("8002", "default"));
    assert_eq!(
        row("DATABASE_URL"),
        named("sqlite://data/matchmaker.db", "")
    );
    assert_eq!(row("REDIS_URL"), named("redis://:***@redis", "environment"));
    assert_eq!(
        row("USER_SERVICE_URL"),
        named("http://u:***@users/", "environment")
    );
    assert_eq!(row("AUTH_ACCESS_SECRET"), named("***", "default"));
    assert_eq!(row("ADMIN_TOKEN"), named("", ""));
    assert_eq!(row("LOG_LEVEL"), named("WARN", "environment"));
    assert_eq!(row("LOG_FORMAT"), named("human", "default"));
    let names: Vec<_> = settings.table().iter().map(|row| row.name).collect();
    assert_eq!(
        names,
        VARIABLES
            .iter()
            .map(|variable| variable.name)
            .collect::<Vec<_>>()
    );
}
