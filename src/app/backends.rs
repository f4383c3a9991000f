//! Builds what the settings ask for: the embedded defaults, or the real neighbours.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::AppError;
use super::crash_points::{self, CrashPoint};
use crate::actors::board::Board;
use crate::adapters::http::{HttpCalls, HttpQuestions, HttpUsers};
use crate::adapters::redis::{RedisFallback, RedisLink, RedisMirror, RedisOptions, RedisSessions};
use crate::adapters::store::{
    PostgresOpenError, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, StoredRecords,
    Writer,
};
use crate::adapters::{
    Announcing, BuiltInQuestions, InProcessSessions, NoMirror, OutboxRelay, RabbitOptions,
    RabbitPublisher, RelayOptions,
};
use crate::ports::{
    Clock, FallbackSessions, LiveState, Publisher, Questions, QueueMirror, SharedSessions, Store,
    Users,
};
use crate::settings::{Database, SecretUrl, Settings};

/// First and longest wait between two tries to reach a database that is away at the start.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Longest time that the relay and the mirror get to finish what is in flight.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// The opened store.
pub struct OpenedStore {
    /// Where facts become durable.
    pub writer: Arc<Writer>,
    /// What is stored.
    pub records: Arc<StoredRecords>,
}

/// Opens the configured database. One that is away is waited for.
///
/// # Errors
///
/// [`AppError`] where waiting does not help.
pub async fn open_store(
    database: &Database,
    clock: &Arc<dyn Clock>,
    io: &Handle,
) -> Result<OpenedStore, AppError> {
    let (writer, records) = match database {
        Database::Sqlite(path) => {
            let (path, clock, on) = (path.clone(), Arc::clone(clock), io.clone());
            let open = move || SqliteStore::open(&path, SqliteOptions::default(), &clock, &on);
            io.spawn_blocking(open)
                .await
                .map_err(|_| AppError::Broken)??
        }
        Database::Postgres(url) => open_postgres(url, clock, io).await?,
    };
    Ok(OpenedStore { writer, records })
}

async fn open_postgres(
    url: &SecretUrl,
    clock: &Arc<dyn Clock>,
    io: &Handle,
) -> Result<(Arc<Writer>, Arc<StoredRecords>), PostgresOpenError> {
    let mut wait = FIRST_WAIT;
    loop {
        let options = PostgresOptions::default();
        match PostgresStore::open(url.expose(), options, clock, io).await {
            Err(away) if away.is_away() => warn!("waiting for the database: {away}"),
            opened => return opened,
        }
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
    relay: Option<Relay>,
}

struct Relay {
    publisher: Arc<RabbitPublisher>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Neighbours {
    /// Builds them and starts their tasks on `io`.
    ///
    /// # Errors
    ///
    /// [`AppError`] where the configuration cannot be used; a neighbour that is away is no error.
    pub fn build(
        settings: &Settings,
        store: &OpenedStore,
        live: &LiveState,
        board: &Arc<Board>,
        clock: &Arc<dyn Clock>,
        io: &Handle,
        crash: Option<&Arc<CrashPoint>>,
    ) -> Result<Self, AppError> {
        let (relay, announcing) = match &settings.rabbitmq {
            Some(url) => start_relay(url, store, clock, io, crash)?,
            None => (None, Announcing::logged(Arc::clone(&store.writer))),
        };
        let shared = match &settings.redis {
            Some(url) => Shared::on_redis(url, store, live, board, clock, io)?,
            None => Shared::in_process(live, clock)?,
        };
        Ok(Self {
            store: Arc::new(announcing),
            questions: questions(settings)?,
            users: users(settings)?,
            shared: shared.sessions,
            mirror: shared.mirror,
            in_process: shared.in_process,
            fallback: shared.fallback,
            redis_mirror: shared.redis_mirror,
            relay,
        })
    }

    /// Finishes what is in flight: announcements, and what the mirror has not written.
    pub async fn stop(self) {
        if let Some(relay) = self.relay {
            relay.stop.send_replace(true);
            if timeout(FINISH_WITHIN, relay.task).await.is_err() {
                info!("announcements are left in the outbox for the next start");
            }
            relay.publisher.close().await;
        }
        if let Some(mirror) = self.redis_mirror
            && timeout(FINISH_WITHIN, mirror.stop()).await.is_err()
        {
            info!("the mirror is left as it is: the next start puts it right");
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
        url: &SecretUrl,
        store: &OpenedStore,
        live: &LiveState,
        board: &Arc<Board>,
        clock: &Arc<dyn Clock>,
        io: &Handle,
    ) -> Result<Self, AppError> {
        let options = RedisOptions {
            url: url.expose().to_owned(),
            key_prefix: String::new(),
            root_certificates: None,
        };
        let link = RedisLink::new(&options, io.clone())
            .map_err(|fault| AppError::Neighbour(fault.to_string()))?;
        let published = Arc::clone(board);
        let open = Arc::new(move || published.sessions());
        let waiting = live.tickets.iter().cloned();
        let mirror = Arc::new(RedisMirror::start(Arc::clone(&link), waiting, open));
        let sessions = || RedisSessions::new(Arc::clone(&link), Arc::clone(clock));
        let fallback = Arc::new(RedisFallback::new(sessions(), Arc::clone(clock)));
        let (search, records) = (Arc::clone(&fallback), Arc::clone(&store.records));
        io.spawn(async move { search.search(&*records).await });
        Ok(Self {
            sessions: Arc::new(sessions()),
            fallback: Some(fallback),
            mirror: Arc::clone(&mirror) as Arc<dyn QueueMirror>,
            in_process: None,
            redis_mirror: Some(mirror),
        })
    }
}

type StartedRelay = (Option<Relay>, Announcing<Writer>);

fn start_relay(
    url: &SecretUrl,
    store: &OpenedStore,
    clock: &Arc<dyn Clock>,
    io: &Handle,
    crash: Option<&Arc<CrashPoint>>,
) -> Result<StartedRelay, AppError> {
    let options = RabbitOptions {
        url: url.expose().to_owned(),
        root_certificates: None,
    };
    let publisher = RabbitPublisher::new(&options, io.clone())
        .map_err(|fault| AppError::Neighbour(fault.to_string()))?;
    let publisher = Arc::new(publisher);
    let woken = Arc::new(Notify::new());
    let outbox = Arc::new(store.records.outbox());
    let to_broker = Arc::clone(&publisher) as Arc<dyn Publisher>;
    let (outbox, to_broker) = crash_points::around_relay(outbox, to_broker, crash);
    let relay = OutboxRelay::new(
        outbox,
        to_broker,
        Arc::clone(clock),
        Arc::clone(&woken),
        RelayOptions::default(),
    );
    let (stop, stopped) = watch::channel(false);
    let task = io.spawn(relay.run(stopped));
    let told = Arc::new(move |_, _| woken.notify_one());
    let announcing = Announcing::new(Arc::clone(&store.writer), told);
    Ok((
        Some(Relay {
            publisher,
            stop,
            task,
        }),
        announcing,
    ))
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
