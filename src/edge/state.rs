//! What every handler can reach.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use tokio::time::Instant;

use super::auth::{AuthenticatedUser, Verifier};
use super::error::ApiError;
use super::flight::InFlight;
use super::gate::ASK;
use super::meter::RouteMeter;
use super::rate::AskLimiter;
use super::throttle::Throttle;
use super::ws::places::SocketGate;
use actors::SOCKET_MAILBOX;
use actors::board::Board;
use actors::roster::RosterActor;
use domain::limits::{RATED_USERS_MAX, SOCKET_MESSAGES_BURST};
use observability::{Limit, NeededBackends};
use ports::{
    Clock, FallbackSessions, MeasuredBacklog, QueueMirror, Records, SharedSessions, Store,
    Timelines, Users,
};
use settings::Settings;

/// Renders the metrics in Prometheus' text format.
pub type RenderMetrics = Box<dyn Fn() -> String + Send + Sync>;

/// Shared by all requests on all threads.
pub struct Edge {
    /// The configuration.
    pub settings: Settings,
    /// The port that is listened on.
    pub port: u16,
    /// Which servers answer that this one needs.
    pub needed: Arc<NeededBackends>,
    /// The requests that are being answered.
    pub in_flight: InFlight,
    pub(super) verifier: Verifier,
    pub(super) asks: AskLimiter,
    pub(super) throttle: Throttle,
    pub(super) sockets: Arc<SocketGate>,
    pub(super) render_metrics: RenderMetrics,
    pub(super) no_route: RouteMeter,
    /// Of asks that are refused before they come to their route.
    pub(super) asks_unrouted: RouteMeter,
    pub(super) began: Began,
    stage: AtomicU8,
    backend: OnceLock<Backend>,
}

/// What exists once everything that was stored is back.
pub struct Backend {
    /// The roster; commands are sent to it by reference, because a clone of the address would have a
    /// place of its own beyond the mailbox's bound.
    pub roster: Addr<RosterActor>,
    /// What is live.
    pub board: Arc<Board>,
    /// Where facts become durable; asked whether it takes any.
    pub store: Arc<dyn Store>,
    /// What is stored.
    pub records: Arc<dyn Records>,
    /// What is stored about single tickets.
    pub timelines: Arc<dyn Timelines>,
    /// How many announcements wait.
    pub backlog: Arc<MeasuredBacklog>,
    /// The copy of the waiting queues.
    pub mirror: Arc<dyn QueueMirror>,
    /// The shared sessions.
    pub shared: Arc<dyn SharedSessions>,
    /// Sessions that only the shared store knows, where there may be any.
    pub fallback: Option<Arc<dyn FallbackSessions>>,
    /// Who is asked about each token as well, if anybody.
    pub users: Option<Arc<dyn Users>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How far the server has come in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What was stored is not back yet.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what is in flight.
    Stopping,
}

/// When the server began, and how long it took until it was ready.
pub struct Began {
    instant: Instant,
    ready_after: OnceLock<Duration>,
}

impl Began {
    fn now() -> Self {
        Self {
            instant: Instant::now(),
            ready_after: OnceLock::new(),
        }
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.instant.elapsed()
    }
}

impl Backend {
    /// Puts a command into the roster's mailbox.
    ///
    /// # Errors
    ///
    /// [`ApiError::Busy`] where it has no room.
    pub(super) fn send<M>(&self, command: M) -> Result<(), ApiError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        RosterActor: Handler<M>,
        <RosterActor as Actor>::Context: ToEnvelope<RosterActor, M>,
    {
        let mailbox = &self.board.mailboxes.roster;
        mailbox.sent();
        self.roster.try_send(command).map_err(|_| {
            mailbox.taken();
            ApiError::Busy
        })
    }
}

impl Edge {
    /// The edge of a server that is starting.
    pub fn new(settings: Settings, port: u16, render_metrics: RenderMetrics) -> Self {
        Self {
            verifier: Verifier::new(&settings.auth),
            asks: AskLimiter::new(settings.ask_rate, RATED_USERS_MAX),
            throttle: Throttle::default(),
            sockets: Arc::new(SocketGate::new(settings.sockets)),
            settings,
            port,
            needed: Arc::default(),
            in_flight: InFlight::default(),
            render_metrics,
            no_route: RouteMeter::of_no_route(),
            asks_unrouted: RouteMeter::new(ASK),
            began: Began::now(),
            stage: AtomicU8::new(Stage::Starting as u8),
            backend: OnceLock::new(),
        }
    }

    /// Begins to serve.
    pub fn open(&self, backend: Backend) {
        if self.backend.set(backend).is_ok() {
            let _ = self.began.ready_after.set(self.began.instant.elapsed());
            self.stage.store(Stage::Ready as u8, Ordering::Release);
        }
    }

    /// Refuses everything from now on, except what operators ask for.
    pub fn stop(&self) {
        self.stage.store(Stage::Stopping as u8, Ordering::Release);
    }

    /// How long it took until the server was ready.
    pub fn ready_after(&self) -> Duration {
        self.began.ready_after.get().copied().unwrap_or_default()
    }

    /// How far the server has come.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Stopping,
        }
    }

    /// Forgets the rates of users who have been quiet for long; to be called from time to time.
    pub fn forget_quiet_users(&self) {
        self.asks.forget_quiet_users();
    }

    /// How high each limit is.
    pub(super) fn limits(&self) -> [(Limit, usize); Limit::ALL.len()] {
        let (limits, sockets) = (self.settings.limits, self.settings.sockets);
        Limit::ALL.map(|limit| {
            let height = match limit {
                Limit::Matches => limits.matches_max,
                Limit::Tickets => limits.tickets_max,
                Limit::Sessions => limits.sessions_max,
                Limit::Buckets => limits.buckets_max,
                Limit::Sockets => sockets.max,
                Limit::SocketsOfUser => sockets.per_user_max,
                Limit::SocketMessages => SOCKET_MESSAGES_BURST.get() as usize,
                Limit::SocketEvents => SOCKET_MAILBOX,
                Limit::AskRate => self.settings.ask_rate.burst.get() as usize,
                Limit::RatedUsers => RATED_USERS_MAX,
                Limit::AsksUnderWay => self.throttle.allowed(),
            };
            (limit, height)
        })
    }

    /// Lends the caller's token to a match of theirs that wants one to look for a question.
    pub(super) fn lend_token(&self, user: &AuthenticatedUser) {
        if let Some(backend) = self.backend.get() {
            backend.board.tokens.lend(&user.id, &user.token);
        }
    }

    pub(super) fn users(&self) -> Option<Arc<dyn Users>> {
        self.backend.get().and_then(|backend| backend.users.clone())
    }

    pub(super) fn backend(&self) -> Result<&Backend, ApiError> {
        self.backend.get().ok_or(ApiError::Starting)
    }
}

const _: () = assert!(Stage::Starting as u8 == 0 && Stage::Ready as u8 == 1);
