//! Builds what the settings ask for: the embedded defaults, or the real neighbours.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::AppError;
use super::crash_points;
use super::links::{Links, Watches};
use actors::board::Board;
use adapters::http::{HttpCalls, HttpQuestions, HttpUsers};
use adapters::redis::{RedisFallback, RedisMirror, RedisSessions};
use adapters::{
    Announcing, BuiltInQuestions, HistoryOptions, HistoryRetention, InProcessSessions,
    LoggedOutbox, NoMirror, OutboxRelay, RabbitPublisher, RelayOptions,
};
use observability::{Needed, NeededBackends};
use ports::{
    Clock, FallbackSessions, LiveState, MeasuredBacklog, Questions, QueueMirror, SharedSessions,
    Store, Users,
};
use settings::{Database, SecretUrl, Settings};
use store::{
    OpenedStore, PostgresOpenError, PostgresOptions, PostgresStore, Runtimes, SqliteOptions,
    SqliteStore, Writer,
};

/// First and longest wait between two tries to reach a database that is away at the start.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Longest time that the relay and the mirror get to finish what is in flight.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// Opens the configured database. One that is away is waited for.
///
/// # Errors
///
/// [`AppError`] where waiting does not help.
pub async fn open_store(
    database: &Database,
    needed: &NeededBackends,
    clock: &Arc<dyn Clock>,
    on: &Runtimes,
) -> Result<OpenedStore, AppError> {
    match database {
        Database::Sqlite(path) => {
            let (path, clock, runtimes) = (path.clone(), Arc::clone(clock), on.clone());
            let open =
                move || SqliteStore::open(&path, SqliteOptions::default(), &clock, &runtimes);
            let opened = on.io.spawn_blocking(open).await;
            Ok(opened.map_err(|_| AppError::Broken)??)
        }
        Database::Postgres(url) => Ok(open_postgres(url, needed, clock, on).await?),
    }
}

async fn open_postgres(
    url: &SecretUrl,
    needed: &NeededBackends,
    clock: &Arc<dyn Clock>,
    on: &Runtimes,
) -> Result<OpenedStore, PostgresOpenError> {
    needed.need(Needed::PostgreSql);
    let mut wait = FIRST_WAIT;
    loop {
        let options = PostgresOptions::default();
        let opened = PostgresStore::open(url.expose(), options, clock, on).await;
        let away = match opened {
            Err(error) if error.is_away() => error,
            Ok(opened) => {
                needed.note(Needed::PostgreSql, Ok::<_, String>(()));
                return Ok(opened);
            }
            Err(error) => return Err(error),
        };
        needed.note(Needed::PostgreSql, Err(away));
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// What stands beside the store, with the tasks that have to end in order.
pub struct Neighbours {
    /// Where facts become durable, with somebody told of announcements.
    pub store: Arc<dyn Store>,
    /// The shared sessions.
    pub shared: Arc<dyn SharedSessions>,
    /// The questions.
    pub questions: Arc<dyn Questions>,
    /// The copy of the waiting queues.
    pub mirror: Arc<dyn QueueMirror>,
    /// Who is asked about each token as well, if anybody.
    pub users: Option<Arc<dyn Users>>,
    /// The shared sessions, where they are in this process.
    pub in_process: Option<Arc<InProcessSessions>>,
    /// The sessions that only Redis knows, where there is one.
    pub fallback: Option<Arc<dyn FallbackSessions>>,
    redis_mirror: Option<Arc<RedisMirror>>,
    announcements: Announcements,
    /// Whoever removes what ended long ago, unless it is kept for ever.
    retention: Option<JoinHandle<()>>,
    watches: Watches,
}

/// Who sends announcements, or removes those that are only logged.
struct Announcements {
    publisher: Option<Arc<RabbitPublisher>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    measured: Arc<MeasuredBacklog>,
}

impl Neighbours {
    /// How many announcements wait, as it was measured last.
    pub fn backlog(&self) -> Arc<MeasuredBacklog> {
        Arc::clone(&self.announcements.measured)
    }

    /// Builds them and starts their tasks on `io`.
    ///
    /// # Errors
    ///
    /// [`AppError`] where the configuration cannot be used; a neighbour that is away is no error.
    pub fn build(
        settings: &Settings,
        store: &OpenedStore,
        links: Links,
        live: &LiveState,
        board: &Arc<Board>,
        clock: &Arc<dyn Clock>,
        io: &Handle,
    ) -> Result<Self, AppError> {
        let (announcements, announcing) = start_announcing(settings, store, &links, clock, io);
        let shared = match links.redis {
            Some(link) => {
                let sessions = RedisSessions::new(link, Arc::clone(clock))
                    .living_ms(settings.timeouts.session_ttl_ms);
                Shared::on_redis(sessions, live, board, clock, store, io)
            }
            None => Shared::in_process(live, clock)?,
        };
        let mut watches = links.watches;
        if matches!(settings.database, Database::Postgres(_)) {
            watches.watch_database(&store.records);
        }
        Ok(Self {
            store: Arc::new(announcing),
            questions: questions(settings)?,
            users: users(settings)?,
            shared: shared.sessions,
            mirror: shared.mirror,
            in_process: shared.in_process,
            fallback: shared.fallback,
            redis_mirror: shared.redis_mirror,
            announcements,
            retention: start_retention(settings, store, clock, io),
            watches,
        })
    }

    /// Finishes what is in flight: announcements, and what the mirror has not written.
    pub async fn stop(self) {
        // They would go on using the connections that are closed here.
        drop(self.watches);
        if let Some(retention) = self.retention {
            retention.abort();
        }
        let mirrored = async {
            if let Some(mirror) = self.redis_mirror
                && timeout(FINISH_WITHIN, mirror.stop()).await.is_err()
            {
                info!("the mirror is left as it is: the next start puts it right");
            }
        };
        tokio::join!(self.announcements.stop(), mirrored);
    }
}

impl Announcements {
    async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(FINISH_WITHIN, &mut self.task).await.is_err() {
            info!("announcements are left in the outbox for the next start");
            // It holds the connection for as long as it waits for the broker.
            self.task.abort();
        }
        if let Some(publisher) = self.publisher {
            publisher.close().await;
        }
    }
}

/// What is shared with others: in Redis, or in this process where there are no others.
struct Shared {
    sessions: Arc<dyn SharedSessions>,
    mirror: Arc<dyn QueueMirror>,
    in_process: Option<Arc<InProcessSessions>>,
    fallback: Option<Arc<dyn FallbackSessions>>,
    redis_mirror: Option<Arc<RedisMirror>>,
}

impl Shared {
    fn in_process(live: &LiveState, clock: &Arc<dyn Clock>) -> Result<Self, AppError> {
        let sessions = InProcessSessions::new(Arc::clone(clock), &live.sessions)?;
        let sessions = Arc::new(sessions);
        Ok(Self {
            sessions: Arc::clone(&sessions) as Arc<dyn SharedSessions>,
            mirror: Arc::new(NoMirror),
            in_process: Some(sessions),
            fallback: None,
            redis_mirror: None,
        })
    }

    fn on_redis(
        sessions: RedisSessions,
        live: &LiveState,
        board: &Arc<Board>,
        clock: &Arc<dyn Clock>,
        store: &OpenedStore,
        io: &Handle,
    ) -> Self {
        let fallback = Arc::new(RedisFallback::new(sessions.clone(), Arc::clone(clock)));
        let (published, found) = (Arc::clone(board), Arc::clone(&fallback));
        let open = Arc::new(move || {
            let mut open = published.sessions();
            open.extend(found.open_sessions());
            open
        });
        let waiting = live.tickets.iter().cloned();
        let mirror = Arc::new(RedisMirror::start(sessions.clone(), waiting, open));
        let (search, records) = (Arc::clone(&fallback), Arc::clone(&store.records));
        io.spawn(async move { search.search(&*records).await });
        let (ended, records) = (sessions.clone(), Arc::clone(&store.records));
        io.spawn(async move { ended.owe_what_ended(&*records).await });
        Self {
            sessions: Arc::new(sessions),
            fallback: Some(fallback),
            mirror: Arc::clone(&mirror) as Arc<dyn QueueMirror>,
            in_process: None,
            redis_mirror: Some(mirror),
        }
    }
}

/// Sends announcements where there is a broker; else the log tells of them.
fn start_announcing(
    settings: &Settings,
    store: &OpenedStore,
    links: &Links,
    clock: &Arc<dyn Clock>,
    io: &Handle,
) -> (Announcements, Announcing<Writer>) {
    let outbox = crash_points::around_outbox(Arc::new(store.records.outbox()));
    let writer = Arc::clone(&store.writer);
    let (clock, retention_ms) = (Arc::clone(clock), settings.outbox_retention_ms);
    let (stop, stopped) = watch::channel(false);
    let publisher = links.rabbitmq.clone();
    let mut measured = Arc::default();
    let (task, announcing) = match &publisher {
        Some(publisher) => {
            let publisher = crash_points::around_publisher(Arc::clone(publisher) as Arc<_>);
            let woken = Arc::new(Notify::new());
            let options = RelayOptions {
                retention_ms,
                ..RelayOptions::default()
            };
            let relay = OutboxRelay::new(outbox, publisher, clock, Arc::clone(&woken), options);
            let told = Arc::new(move |_, _| woken.notify_one());
            measured = relay.measured();
            (io.spawn(relay.run(stopped)), Announcing::new(writer, told))
        }
        None => {
            let logged = LoggedOutbox::new(outbox, clock, retention_ms);
            (io.spawn(logged.run(stopped)), Announcing::logged(writer))
        }
    };
    let announcements = Announcements {
        publisher,
        stop,
        task,
        measured,
    };
    (announcements, announcing)
}

/// Removes what ended long ago, now and then.
fn start_retention(
    settings: &Settings,
    store: &OpenedStore,
    clock: &Arc<dyn Clock>,
    io: &Handle,
) -> Option<JoinHandle<()>> {
    let options = HistoryOptions {
        keep_ms: settings.retention_ms?,
        announced_ms: settings.outbox_retention_ms,
    };
    let history = Arc::new(store.records.history());
    let retention = HistoryRetention::new(history, Arc::clone(clock), options);
    Some(io.spawn(retention.run()))
}

fn questions(settings: &Settings) -> Result<Arc<dyn Questions>, AppError> {
    let Some(service) = &settings.question_service else {
        return Ok(Arc::new(BuiltInQuestions::load(Path::new("."))?));
    };
    let calls = HttpCalls::start()?;
    let questions = HttpQuestions::new(calls, service.url.expose(), &service.base_path)
        .map_err(|fault| AppError::Neighbour(fault.to_string()))?;
    Ok(Arc::new(questions))
}

fn users(settings: &Settings) -> Result<Option<Arc<dyn Users>>, AppError> {
    let Some(service) = &settings.auth.user_service else {
        return Ok(None);
    };
    let users = HttpUsers::new(
        HttpCalls::start()?,
        service.url.expose(),
        &service.verify_path,
    )
    .map_err(|fault| AppError::Neighbour(fault.to_string()))?;
    Ok(Some(Arc::new(users)))
}
