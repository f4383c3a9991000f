//! A running server, from the reserved port to the last flushed write.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use actix_web::dev::ServerHandle;
use actix_web::web;
use metrics::gauge;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::AppError;
use super::backends::{Neighbours, open_store};
use super::crash_points;
use super::links::Links;
use super::listener::{Door, Reserved};
use super::recovery::recover;
use crate::startup::FILES_BESIDE_SOCKETS;
use actors::CoreSettings;
use actors::board::Board;
use actors::messages::{CloseSockets, CountTickets};
use actors::roster::RosterActor;
use adapters::{InProcessSessions, SystemClock};
use edge::{Backend, Edge};
use observability::{Needed, NeededBackends, RECOVERY_SECONDS};
use ports::{Clock, LiveState, Ports, Store};
use settings::{Database, Settings};
use store::{OpenedStore, Runtimes, Writer};

/// The port opens when everything is back, and after this time at the latest.
const OPEN_WITHIN: Duration = Duration::from_secs(2);
/// Once the server stops, whoever calls is still answered, with 503, for this long at least: callers
/// of a port that is closed at once see connections that end without an answer.
const ANSWERED_FOR: Duration = Duration::from_millis(250);
/// Time to answer those whose connection was taken last.
const LAST_TAKEN_FOR: Duration = Duration::from_millis(100);
/// The process has ended this long after it was told to stop, whatever does not answer.
const ENDED_WITHIN: Duration = Duration::from_millis(9_250);
/// What is under way in the store gets this much more when everything else has had its time.
const LAST_WRITES: Duration = Duration::from_millis(500);
/// What is left of [`ENDED_WITHIN`] for announcements and the mirror, whatever happened before.
const LAST_NEWS: Duration = Duration::from_millis(500);
/// Wait before what was stored is read again, where the database went away in between.
const RECOVER_AGAIN: Duration = Duration::from_secs(1);
/// Open files that are left for databases, brokers, services and the log.
const FILES_OF_BACKENDS: u64 = 128;
/// How often what is only kept for a while is tidied.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// A server that serves.
pub struct Running {
    address: SocketAddr,
    edge: web::Data<Edge>,
    http: ServerHandle,
    started: Started,
}

/// What a start leaves behind.
struct Started {
    door: Door,
    roster: Addr<RosterActor>,
    writer: Arc<Writer>,
    neighbours: Neighbours,
}

/// Brings back everything that was stored, on the thread where it lives from then on: the first one that
/// serves HTTP. A request, the actors that it concerns and what they store wake no other thread.
struct StartUp {
    edge: web::Data<Edge>,
    /// Where a store may block while it is opened and read.
    io: Handle,
    mark_thread: fn(),
    reserved: Reserved,
    opened: watch::Sender<bool>,
}

/// What is there once everything that was stored is back.
struct Recovered {
    backend: Backend,
    writer: Arc<Writer>,
    neighbours: Neighbours,
}

/// Starts a server; it is ready when this returns. Stores are opened and read on `io`; `mark_thread` is
/// run on the thread of the actors.
///
/// # Errors
///
/// [`AppError`]; the process is to end then, and with it whatever was started.
pub async fn start(settings: Settings, io: Handle, mark_thread: fn()) -> Result<Running, AppError> {
    let reserved = Reserved::take(&settings.http)?;
    let (address, listener) = (reserved.address(), reserved.listener()?);
    let render_metrics = observability::start_metrics();
    let edge = Edge::new(settings, address.port(), render_metrics);
    let edge = web::Data::new(edge);
    let (opened, open) = watch::channel(false);
    let start_up = StartUp {
        edge: edge.clone(),
        io,
        mark_thread,
        reserved,
        opened,
    };
    let (tell, started) = oneshot::channel();
    let begin = move || {
        actix_rt::spawn(async move { drop(tell.send(start_up.run().await)) });
    };
    let connections = connections_max(edge.settings.sockets.max);
    let http = edge::serve(&edge, listener, open, Box::new(begin), connections)?;
    let started = started.await.unwrap_or(Err(AppError::Broken))?;
    tidy(edge.clone());
    Ok(Running {
        address,
        edge,
        http,
        started,
    })
}

impl StartUp {
    async fn run(self) -> Result<Started, AppError> {
        (self.mark_thread)();
        let (address, edge) = (self.reserved.address(), self.edge);
        let open = || {
            let door = self.reserved.open()?;
            self.opened.send_replace(true);
            Ok::<_, AppError>(door)
        };
        let recovery = recovered(&edge.settings, &edge.needed, self.io);
        tokio::pin!(recovery);
        let (recovered, early) = match timeout(OPEN_WITHIN, &mut recovery).await {
            Ok(recovered) => (recovered?, None),
            Err(_) => {
                let door = open()?;
                info!("listening on http://{address} while start-up goes on");
                (recovery.await?, Some(door))
            }
        };
        let roster = recovered.backend.roster.clone();
        edge.open(recovered.backend);
        let door = early.map_or_else(open, Ok)?;
        let took = edge.ready_after();
        gauge!(RECOVERY_SECONDS).set(took.as_secs_f64());
        let took_ms = took.as_millis();
        info!("listening on http://{address}, ready after {took_ms} ms");
        Ok(Started {
            door,
            roster,
            writer: recovered.writer,
            neighbours: recovered.neighbours,
        })
    }
}

async fn recovered(
    settings: &Settings,
    needed: &Arc<NeededBackends>,
    io: Handle,
) -> Result<Recovered, AppError> {
    let clock = Arc::new(SystemClock::new());
    let as_clock: Arc<dyn Clock> = clock.clone();
    let here = Handle::current();
    let links = Links::open(settings, needed, &here)?;
    let on = Runtimes {
        io,
        writes: here.clone(),
    };
    let (store, live) = stored(&settings.database, needed, &clock, &on).await?;
    let open = live.sessions.iter().map(|open| open.record.clone());
    let board = Arc::new(Board::with_sessions(open));
    let neighbours = Neighbours::build(settings, &store, links, &live, &board, &as_clock, &here)?;
    let ports = Ports {
        clock: as_clock.clone(),
        store: Arc::clone(&neighbours.store),
        shared: Arc::clone(&neighbours.shared),
        questions: Arc::clone(&neighbours.questions),
        mirror: Arc::clone(&neighbours.mirror),
    };
    let ports = crash_points::around(ports);
    let core_settings = CoreSettings {
        timeouts: settings.timeouts,
        matches_max: settings.limits.matches_max,
        tickets_max: settings.limits.tickets_max,
        sessions_max: settings.limits.sessions_max,
        buckets_max: settings.limits.buckets_max,
    };
    let published = Arc::clone(&board);
    let roster = RosterActor::new(ports, published, core_settings, here, live).start();
    // Answered after everything is back in its place.
    roster
        .send(CountTickets)
        .await
        .map_err(|_| AppError::Broken)?;
    let backend = Backend {
        roster,
        store: Arc::clone(&store.writer) as Arc<dyn Store>,
        board,
        backlog: neighbours.backlog(),
        timelines: store.records.clone(),
        mirror: Arc::clone(&neighbours.mirror),
        records: store.records,
        shared: Arc::clone(&neighbours.shared),
        fallback: neighbours.fallback.clone(),
        users: neighbours.users.clone(),
        clock: as_clock,
    };
    Ok(Recovered {
        backend,
        writer: store.writer,
        neighbours,
    })
}

/// Opens the store and reads what is in it. A database server that goes away meanwhile is waited for.
async fn stored(
    database: &Database,
    needed: &NeededBackends,
    clock: &Arc<SystemClock>,
    on: &Runtimes,
) -> Result<(OpenedStore, LiveState), AppError> {
    let as_clock: Arc<dyn Clock> = clock.clone();
    loop {
        let store = open_store(database, needed, &as_clock, on).await?;
        let writer = crash_points::around_store(Arc::clone(&store.writer) as Arc<_>);
        let away = match recover(&*store.records, &*writer, clock).await {
            Ok(live) => return Ok((store, live)),
            Err(away) => away,
        };
        if !matches!(database, Database::Postgres(_)) {
            return Err(away.into());
        }
        needed.note(Needed::PostgreSql, Err(away.reason));
        // What is in doubt there is settled by reading everything again.
        drop(store);
        sleep(RECOVER_AGAIN).await;
    }
}

/// How many connections are taken at a time; others wait until one ends. Whoever holds many open
/// without saying anything takes no files from the backends then.
fn connections_max(sockets_max: usize) -> usize {
    let wanted = sockets_max as u64 + FILES_BESIDE_SOCKETS;
    let allowed = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let connections = wanted.min(allowed).saturating_sub(FILES_OF_BACKENDS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

fn tidy(edge: web::Data<Edge>) {
    actix_rt::spawn(async move {
        loop {
            sleep(TIDY_EVERY).await;
            edge.forget_quiet_users();
            observability::tidy_metrics();
        }
    });
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The shared sessions as the collaboration service reads and rewrites them, where they are in
    /// this process.
    pub fn sessions(&self) -> Option<&Arc<InProcessSessions>> {
        self.started.neighbours.in_process.as_ref()
    }

    /// Refuses new work, finishes what is in flight, closes the sockets, and flushes what is to be
    /// stored. Requests get `SHUTDOWN_SECONDS`, and all together less than 10 s.
    pub async fn stop(self) {
        let end = Instant::now() + ENDED_WITHIN;
        let limit = Duration::from_millis(self.edge.settings.shutdown_ms);
        let limit = limit.min(ENDED_WITHIN - LAST_WRITES - LAST_NEWS);
        let Started {
            door,
            roster,
            writer,
            neighbours,
        } = self.started;
        self.edge.stop();
        let orderly = async {
            // Clients reconnect and find everything.
            let _ = roster.send(CloseSockets).await;
            // The port stays open until the last request is answered.
            sleep(ANSWERED_FOR).await;
            self.edge.in_flight.none().await;
            // A connection that is taken when the workers are told to stop ends without an answer,
            // so the last ones are taken before.
            self.http.pause().await;
            door.close();
            sleep(LAST_TAKEN_FOR).await;
            self.edge.in_flight.none().await;
            writer.close().await;
        };
        if timeout(limit, orderly).await.is_err() {
            warn!("stopping took longer than SHUTDOWN_SECONDS: some callers got no answer");
            if timeout(LAST_WRITES, writer.close()).await.is_err() {
                warn!("some writes are neither stored nor refused: the next start finds out");
            }
        }
        if timeout_at(end, neighbours.stop()).await.is_err() {
            warn!("announcements and the mirror are left as they are");
        }
        // Last, because the thread of the actors ends with it.
        let _ = timeout_at(end, self.http.stop(true)).await;
    }
}
