//! Reads every variable into its place and applies the rules that look at more than one.

use crate::domain::limits::Timeouts;

use super::fault::Faults;
use super::layers::{Layers, is_environment_name};
use super::reader::Reader;
use super::variables::DEV_SECRET;
use super::{
    AskRate, Auth, Database, DevTokens, Environment, Http, Limits, Log, LogFormat, QuestionService,
    Secret, Settings, Sockets, UserService, database, origins, table,
};

/// The shortest time that can be configured, in milliseconds; timers are no finer.
const SHORTEST_MS: u64 = 1;
/// The longest wait for a partner or a confirmation, in milliseconds: a day.
const WAIT_MS_MAX: u64 = 24 * 3_600_000;
/// The longest life of a session, in milliseconds: thirty days.
const SESSION_MS_MAX: u64 = 30 * WAIT_MS_MAX;
/// The longest time between two pings, in milliseconds; gateways cut long before.
const PING_MS_MAX: u64 = 3_600_000;
/// The longest orderly stop, in milliseconds: exit within 10 s is promised.
const SHUTDOWN_MS_MAX: u64 = 9_999;
/// More than one machine can hold of anything.
const COUNT_MAX: u64 = 10_000_000;
/// The shortest secret outside dev, in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// Checks everything and answers with a value that needs no further checks.
pub(super) fn settings(layers: Layers) -> Result<Settings, Faults> {
    let mut reader = Reader::new(layers);
    match read(&mut reader) {
        Some(settings) if reader.is_sound() => Ok(settings),
        _ => Err(Faults(reader.faults())),
    }
}

/// Checks `ENV` and nothing else.
pub(super) fn environment_only(layers: Layers) -> Result<Environment, Faults> {
    let mut reader = Reader::new(Layers { faults: Vec::new(), ..layers });
    environment(&mut reader).ok_or_else(|| Faults(reader.faults()))
}

/// Nothing if any part is faulty. All parts are read before the first is looked at.
pub(super) fn read(reader: &mut Reader) -> Option<Settings> {
    let app_name = reader.text("APP_NAME");
    let environment = environment(reader);
    let is_dev = environment.as_ref().is_none_or(Environment::is_dev);
    let http = http(reader);
    let log = log(reader, is_dev);
    let database = database::read(reader);
    let redis = reader.url("REDIS_URL", &["redis", "rediss"]);
    let rabbitmq = reader.url("RABBITMQ_URL", &["amqp", "amqps"]);
    let question_service = question_service(reader);
    let auth = auth(reader, is_dev);
    let timeouts = timeouts(reader);
    let limits = limits(reader);
    let ask_rate = ask_rate(reader);
    let sockets = sockets(reader);
    let shutdown_ms = reader.seconds("SHUTDOWN_SECONDS", SHORTEST_MS..=SHUTDOWN_MS_MAX);
    if let Some(environment) = environment.as_ref().filter(|environment| !environment.is_dev()) {
        require_outside_dev(reader, environment);
    }

    let (environment, log) = (environment?, log?);
    let rows = table::rows(reader, &environment, log.format);
    Some(Settings {
        app_name: app_name?,
        environment,
        http: http?,
        log,
        database: database?.unwrap_or_else(|| Database::Sqlite(DEV_DATABASE_PATH.into())),
        redis: redis?,
        rabbitmq: rabbitmq?,
        question_service: question_service?,
        auth: auth?,
        timeouts: timeouts?,
        limits: limits?,
        ask_rate: ask_rate?,
        sockets: sockets?,
        shutdown_ms: shutdown_ms?,
        rows,
    })
}
