//! Reads every variable into its place and applies the rules that look at more than one.

use std::num::NonZeroU32;
use std::path::PathBuf;

use domain::limits::Timeouts;

use super::fault::Faults;
use super::layers::{Layers, is_environment_name};
use super::reader::Reader;
use super::{
    AskRate, Database, Environment, Http, Limits, Log, LogFormat, QuestionService, Settings,
    Sockets, auth, database, origins, table, traces,
};

/// The shortest time that can be configured, in milliseconds; timers are no finer.
const SHORTEST_MS: u64 = 1;
/// The longest wait for a partner or a confirmation, in milliseconds: a day.
const WAIT_MS_MAX: u64 = 24 * 3_600_000;
/// The longest life of a session, in milliseconds: thirty days.
const SESSION_MS_MAX: u64 = 30 * WAIT_MS_MAX;
/// The longest time between two pings, in milliseconds; gateways cut long before.
const PING_MS_MAX: u64 = 3_600_000;
/// The longest time that what has ended is kept, in milliseconds: ten years.
const KEPT_MS_MAX: u64 = 3_650 * WAIT_MS_MAX;
/// The longest time that sent announcements are kept, in milliseconds: a year.
const RETENTION_MS_MAX: u64 = 365 * WAIT_MS_MAX;
/// The longest orderly stop, in milliseconds: exit within 10 s is promised.
const SHUTDOWN_MS_MAX: u64 = 9_999;
/// The most buckets with a label of their own; monitors keep a series for each.
const METRICS_BUCKETS_MAX: u64 = 10_000;
/// More than one machine can hold of anything.
const COUNT_MAX: u64 = 10_000_000;

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
    let mut reader = Reader::new(Layers {
        faults: Vec::new(),
        ..layers
    });
    environment(&mut reader).ok_or_else(|| Faults(reader.faults()))
}

/// Nothing if any part is faulty. All parts are read before the first is looked at.
pub(super) fn read(reader: &mut Reader) -> Option<Settings> {
    let app_name = reader.text("APP_NAME");
    let environment = environment(reader);
    let is_dev = environment.as_ref().is_none_or(Environment::is_dev);
    let http = http(reader);
    let log = log(reader, is_dev);
    let traces = traces::read(reader, app_name.as_ref());
    let database = database::read(reader);
    let redis = reader.url("REDIS_URL", &["redis", "rediss"]);
    let rabbitmq = reader.url("RABBITMQ_URL", &["amqp", "amqps"]);
    let root_certificates = reader.optional_text("ROOT_CERTIFICATES");
    let question_service = question_service(reader);
    let auth = auth::read(reader, is_dev);
    let timeouts = timeouts(reader);
    let limits = limits(reader);
    let ask_rate = ask_rate(reader);
    let sockets = sockets(reader);
    let retention_ms = retention(reader, timeouts);
    let retention = SHORTEST_MS..=RETENTION_MS_MAX;
    let outbox_retention_ms = reader.seconds("OUTBOX_RETENTION_SECONDS", retention);
    let metrics_buckets_max = reader.whole("METRICS_BUCKETS_MAX", 0..=METRICS_BUCKETS_MAX);
    let shutdown_ms = reader.seconds("SHUTDOWN_SECONDS", SHORTEST_MS..=SHUTDOWN_MS_MAX);
    if let Some(environment) = environment
        .as_ref()
        .filter(|environment| !environment.is_dev())
    {
        require_outside_dev(reader, environment);
    }

    let mut settings = Settings {
        app_name: app_name?,
        environment: environment?,
        http: http?,
        log: log?,
        traces: traces?,
        database: database?.unwrap_or_else(Database::dev_default),
        redis: redis?,
        rabbitmq: rabbitmq?,
        root_certificates: root_certificates?.map(PathBuf::from),
        question_service: question_service?,
        auth: auth?,
        timeouts: timeouts?,
        limits: limits?,
        ask_rate: ask_rate?,
        sockets: sockets?,
        retention_ms: retention_ms?,
        outbox_retention_ms: outbox_retention_ms?,
        metrics_buckets_max: metrics_buckets_max?,
        shutdown_ms: shutdown_ms?,
        rows: Vec::new(),
    };
    settings.rows = table::rows(reader, &settings);
    Some(settings)
}

fn environment(reader: &mut Reader) -> Option<Environment> {
    let expected = "dev or another name of 1 to 64 letters, digits, - and _";
    reader.required("ENV", expected, |text| match is_environment_name(text) {
        true => Ok(Environment(text.to_owned())),
        false => Err("is no name".to_owned()),
    })
}

fn http(reader: &mut Reader) -> Option<Http> {
    let host = reader.host("HOST");
    let port = reader.whole("PORT", 0..=u64::from(u16::MAX));
    let workers = reader.whole("HTTP_WORKERS", 0..=1_024);
    let allowed_origins = origins::read(reader);
    Some(Http {
        host: host?,
        port: port?,
        workers: workers.map(|count: usize| (count > 0).then_some(count))?,
        allowed_origins: allowed_origins?,
    })
}

fn log(reader: &mut Reader, is_dev: bool) -> Option<Log> {
    let levels = [
        ("TRACE", tracing::Level::TRACE),
        ("DEBUG", tracing::Level::DEBUG),
        ("INFO", tracing::Level::INFO),
        ("WARNING", tracing::Level::WARN),
        ("WARN", tracing::Level::WARN),
        ("ERROR", tracing::Level::ERROR),
        ("CRITICAL", tracing::Level::ERROR),
    ];
    let auto = if is_dev {
        LogFormat::Human
    } else {
        LogFormat::Json
    };
    let formats = [
        ("auto", auto),
        ("human", LogFormat::Human),
        ("json", LogFormat::Json),
    ];
    let level = reader.choice("LOG_LEVEL", &levels);
    let format = reader.choice("LOG_FORMAT", &formats);
    Some(Log {
        level: level?,
        format: format?,
    })
}

fn question_service(reader: &mut Reader) -> Option<Option<QuestionService>> {
    let url = reader.http_url("QUESTION_SERVICE_URL");
    let base_path = reader.path("QUESTION_SERVICE_BASE_PATH");
    let (url, base_path) = (url?, base_path?);
    Some(url.map(|url| QuestionService { url, base_path }))
}

fn timeouts(reader: &mut Reader) -> Option<Timeouts> {
    let waits = SHORTEST_MS..=WAIT_MS_MAX;
    let ticket_wait_ms = reader.seconds("MATCHING_TIMEOUT_SECONDS", waits.clone());
    let confirm_window_ms = reader.seconds("CONFIRM_MATCH_TIMEOUT_SECONDS", waits);
    let session_ttl_ms = reader.seconds("SESSION_TTL_SECONDS", SHORTEST_MS..=SESSION_MS_MAX);
    Some(Timeouts {
        ticket_wait_ms: ticket_wait_ms?,
        confirm_window_ms: confirm_window_ms?,
        session_ttl_ms: session_ttl_ms?,
    })
}

/// Nothing where everything is kept for ever.
fn retention(reader: &mut Reader, timeouts: Option<Timeouts>) -> Option<Option<u64>> {
    let keep_ms = reader.seconds("RETENTION_SECONDS", 0..=KEPT_MS_MAX)?;
    // For so long Redis may hold what belongs to a session, and start-up asks what became of it.
    let needed_ms = timeouts.map_or(0, |timeouts| timeouts.session_ttl_ms);
    if keep_ms > 0 && keep_ms < needed_ms {
        let problem = "is so short that sessions in Redis outlive what is known of them";
        let expected = "0, or at least SESSION_TTL_SECONDS";
        reader.fault("RETENTION_SECONDS", problem, expected);
    }
    Some((keep_ms > 0).then_some(keep_ms))
}

fn limits(reader: &mut Reader) -> Option<Limits> {
    let matches_max = reader.whole("MAX_CONCURRENT_MATCHES", 1..=COUNT_MAX);
    let tickets_max = reader.whole("MAX_TICKETS", 1..=COUNT_MAX);
    let sessions_max = reader.whole("MAX_SESSIONS", 1..=COUNT_MAX);
    let buckets_max = reader.whole("MAX_BUCKETS", 1..=COUNT_MAX);
    Some(Limits {
        matches_max: matches_max?,
        tickets_max: tickets_max?,
        sessions_max: sessions_max?,
        buckets_max: buckets_max?,
    })
}

fn ask_rate(reader: &mut Reader) -> Option<AskRate> {
    let burst = reader.whole("ASK_BURST", 1..=COUNT_MAX);
    let per_second = reader.whole("ASKS_PER_SECOND", 1..=COUNT_MAX);
    Some(AskRate {
        burst: NonZeroU32::new(burst?)?,
        per_second: NonZeroU32::new(per_second?)?,
    })
}

fn sockets(reader: &mut Reader) -> Option<Sockets> {
    let max = reader.whole("MAX_SOCKETS", 1..=COUNT_MAX);
    let per_user_max = reader.whole("MAX_SOCKETS_PER_USER", 1..=COUNT_MAX);
    let ping_ms = reader.seconds("SOCKET_PING_SECONDS", SHORTEST_MS..=PING_MS_MAX);
    let silence_ms = reader.seconds("SOCKET_SILENCE_SECONDS", SHORTEST_MS..=2 * PING_MS_MAX);
    let unread_ms = reader.seconds("UNREAD_SECONDS", SHORTEST_MS..=PING_MS_MAX);
    let (ping_ms, silence_ms) = (ping_ms?, silence_ms?);
    if silence_ms < 2 * ping_ms {
        let problem = "is so short that one lost ping ends a socket";
        let expected = "at least twice SOCKET_PING_SECONDS";
        reader.fault("SOCKET_SILENCE_SECONDS", problem, expected);
    }
    Some(Sockets {
        max: max?,
        per_user_max: per_user_max?,
        ping_ms,
        silence_ms,
        unread_ms: unread_ms?,
    })
}

/// What has a stand-in in dev must be there everywhere else.
fn require_outside_dev(reader: &mut Reader, environment: &Environment) {
    let addresses = [
        "DATABASE_URL",
        "REDIS_URL",
        "RABBITMQ_URL",
        "QUESTION_SERVICE_URL",
    ];
    let environment = environment.as_str();
    for (names, what) in [
        (&addresses[..], "an address"),
        (&["ADMIN_TOKEN"], "a token"),
    ] {
        for name in names
            .iter()
            .filter(|name| !reader.is_set(name))
            .collect::<Vec<_>>()
        {
            let expected = format!("{what}, because ENV is {environment:?} and not \"dev\"");
            reader.fault(name, "is not set", expected);
        }
    }
}
