//! One connection to Redis, shared by everything that speaks to it.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult,
    TlsCertificates, Value,
};
use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::debts::Debts;
use domain::{SessionId, TicketId};
use observability::REDIS_FAILURES;
use ports::Away;

/// Longest time that a call may take, all its commands together: whoever waits for it has less than a
/// second himself, and other things to do.
const CALL_MAX: Duration = Duration::from_millis(500);
/// After a call without an answer, nobody else is kept waiting for so long; then one call tries again.
const REST: Duration = Duration::from_millis(250);
/// Calls in a row without an answer after which the connection is taken for dead: a peer that
/// vanished without a word would otherwise hold it for many minutes.
const SILENCES_MAX: u32 = 3;

/// Where Redis is and how its keys begin.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://` or `rediss://`.
    pub url: String,
    /// What every key begins with; empty but in tests.
    pub key_prefix: String,
    /// For `rediss://`: certificates in PEM that are trusted in place of the public ones.
    pub root_certificates: Option<String>,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("key_prefix", &self.key_prefix)
            .finish_non_exhaustive()
    }
}

/// The options name no Redis that could be spoken to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Redis cannot be used as configured: {0}")]
pub struct InvalidRedis(String);

/// A connection that opens itself when it is first used, and again, for ever, when it was lost.
///
/// All who use it share it; what they send at the same time goes together. It differs from the
/// library's own connection manager in that nobody is told of an attempt to connect that failed
/// before they came.
pub struct RedisLink {
    io: Handle,
    client: Client,
    current: Mutex<Option<Current>>,
    /// One attempt to connect at a time: when the last one failed, and why.
    connecting: tokio::sync::Mutex<Option<(Instant, RedisError)>>,
    silences: AtomicU32,
    /// While Redis does not answer: when it may be asked again.
    rests_until: Mutex<Option<Instant>>,
    pub(super) debts: Debts,
    key_prefix: String,
}

#[derive(Clone)]
struct Current {
    connection: MultiplexedConnection,
    opened_at: Instant,
}

/// Something to send.
#[derive(Clone)]
pub(super) enum Request {
    One(Cmd),
    Many(Pipeline),
}

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// There was no answer in time.
    Silent,
    /// It was not asked, because it did not answer a moment ago.
    Resting,
    /// Redis, or the connection to it, said this.
    Said(RedisError),
    /// The runtime ends.
    Ending,
}

impl RedisLink {
    /// A link whose connections live on `io`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`InvalidRedis`] for a URL or a certificate that cannot be used.
    pub fn new(options: &RedisOptions, io: Handle) -> Result<Arc<Self>, InvalidRedis> {
        // The library's messages do not repeat the URL, which may hold a password.
        let invalid = |error: RedisError| InvalidRedis(error.to_string());
        let client = match &options.root_certificates {
            Some(pem) => Client::build_with_tls(
                options.url.as_str(),
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone().into_bytes()),
                },
            ),
            None => Client::open(options.url.as_str()),
        }
        .map_err(invalid)?;
        Ok(Arc::new(Self {
            io,
            client,
            current: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(None),
            silences: AtomicU32::new(0),
            rests_until: Mutex::new(None),
            debts: Debts::default(),
            key_prefix: options.key_prefix.clone(),
        }))
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    ///
    /// [`Away`] says why not.
    pub fn ping(self: &Arc<Self>) -> BoxFuture<'_, Result<(), Away>> {
        Box::pin(async move { Ok(self.query(redis::cmd("PING")).await?) })
    }

    /// Sends this on the runtime that holds the connection, whoever waits for it, and to its end.
    pub(super) async fn query<T: FromRedisValue>(
        self: &Arc<Self>,
        request: impl Into<Request>,
    ) -> Result<T, CallError> {
        if !self.may_ask() {
            return Err(CallError::Resting);
        }
        let outcome = self.ask(request.into()).await;
        self.judge(&outcome);
        outcome
    }

    /// As [`RedisLink::query`], for what nobody waits for: a large answer that does not come in time
    /// is no reason for others not to ask.
    pub(super) async fn query_aside<T: FromRedisValue>(
        self: &Arc<Self>,
        request: impl Into<Request>,
    ) -> Result<T, CallError> {
        let rests = self
            .rests_until()
            .is_some_and(|until| Instant::now() < until);
        if rests {
            return Err(CallError::Resting);
        }
        let outcome = self.ask(request.into()).await;
        match &outcome {
            Err(CallError::Silent) => counter!(REDIS_FAILURES).increment(1),
            _ => self.judge(&outcome),
        }
        outcome
    }

    async fn ask<T: FromRedisValue>(self: &Arc<Self>, request: Request) -> Result<T, CallError> {
        let value = self.answer(request).await?;
        redis::from_redis_value(value)
            .map_err(|error: redis::ParsingError| CallError::Said(error.into()))
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Result<Value, CallError> {
        let link = Arc::clone(self);
        let sending = async move { timeout(CALL_MAX, link.send(request)).await };
        match self.io.spawn(sending).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) if error.is_timeout() => Err(CallError::Silent),
            Ok(Ok(Err(error))) => Err(CallError::Said(error)),
            Ok(Err(_)) => Err(CallError::Silent),
            Err(_) => Err(CallError::Ending),
        }
    }

    async fn send(&self, request: Request) -> RedisResult<Value> {
        let asked_at = Instant::now();
        let current = self.connect(asked_at).await?;
        let error = match request.clone().run(current.connection).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !error.is_unrecoverable_error() || error.is_timeout() {
            return Err(error);
        }
        self.drop_connection(current.opened_at);
        if current.opened_at >= asked_at {
            return Err(error);
        }
        // It was lost while nobody looked, by a restart of Redis for instance. All that we send may
        // be sent twice.
        let current = self.connect(asked_at).await?;
        request.run(current.connection).await
    }

    /// The connection, opened if need be. Whoever waits for an attempt shares its outcome.
    async fn connect(&self, asked_at: Instant) -> RedisResult<Current> {
        if let Some(current) = &*self.current() {
            return Ok(current.clone());
        }
        let mut last_failure = self.connecting.lock().await;
        if let Some(current) = &*self.current() {
            return Ok(current.clone());
        }
        if let Some((failed_at, error)) = &*last_failure
            && *failed_at >= asked_at
        {
            return Err(error.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CALL_MAX))
            .set_response_timeout(Some(CALL_MAX));
        let client = &self.client;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        match connecting.await {
            Ok(connection) => {
                let current = Current {
                    connection,
                    opened_at: Instant::now(),
                };
                *self.current() = Some(current.clone());
                Ok(current)
            }
            Err(error) => {
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn drop_connection(&self, opened_at: Instant) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|it| it.opened_at == opened_at) {
            *current = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runtime that holds the connection.
    pub(super) fn io(&self) -> &Handle {
        &self.io
    }

    pub(super) fn key(&self, rest: impl fmt::Display) -> String {
        format!("{}{rest}", self.key_prefix)
    }

    pub(super) fn session_key(&self, id: SessionId) -> String {
        self.key(id)
    }

    /// The key of what we know of a session, beside the one that others rewrite.
    pub(super) fn own_key(&self, id: SessionId) -> String {
        self.key(format_args!("matching_session:{id}"))
    }

    pub(super) fn ticket_key(&self, id: TicketId) -> String {
        self.key(format_args!("matching_ticket:{id}"))
    }

    /// A pattern for keys that begin with the prefix and go on as `glob` says.
    pub(super) fn pattern(&self, glob: &str) -> String {
        let mut pattern = String::with_capacity(self.key_prefix.len() + glob.len());
        for c in self.key_prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern + glob
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        let guard = self.rests_until.lock();
        guard.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may be made. While Redis does not answer, one at a time finds out.
    fn may_ask(&self) -> bool {
        let mut rests_until = self.rests_until();
        let Some(until) = *rests_until else {
            return true;
        };
        let now = Instant::now();
        if until <= now {
            *rests_until = Some(now + CALL_MAX + REST);
        }
        until <= now
    }

    fn judge<T>(&self, outcome: &Result<T, CallError>) {
        if outcome.is_err() {
            counter!(REDIS_FAILURES).increment(1);
        }
        if !matches!(outcome, Err(CallError::Silent)) {
            self.silences.store(0, Ordering::Relaxed);
            *self.rests_until() = None;
            return;
        }
        *self.rests_until() = Some(Instant::now() + REST);
        if self.silences.fetch_add(1, Ordering::Relaxed) + 1 < SILENCES_MAX {
            return;
        }
        self.silences.store(0, Ordering::Relaxed);
        *self.current() = None;
    }
}

impl Request {
    async fn run(self, mut redis: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::One(command) => command.query_async(&mut redis).await,
            Self::Many(pipe) => pipe.query_async(&mut redis).await,
        }
    }
}

impl From<Cmd> for Request {
    fn from(command: Cmd) -> Self {
        Self::One(command)
    }
}

impl From<&mut Cmd> for Request {
    fn from(command: &mut Cmd) -> Self {
        Self::One(command.clone())
    }
}

impl From<Pipeline> for Request {
    fn from(pipe: Pipeline) -> Self {
        Self::Many(pipe)
    }
}

impl CallError {
    /// Redis holds something of another type under the key.
    pub(super) fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Said(error) if error.code() == Some("WRONGTYPE"))
    }

    /// Redis does not let us use that command.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Said(error) if error.code() == Some("NOPERM"))
    }
}

impl From<CallError> for Away {
    fn from(error: CallError) -> Self {
        let reason = match error {
            CallError::Silent => format!("no answer within {} ms", CALL_MAX.as_millis()),
            CallError::Resting => "it did not answer a moment ago".to_owned(),
            CallError::Said(error) => error.to_string(),
            CallError::Ending => "the server is stopping".to_owned(),
        };
        Self {
            backend: "Redis",
            reason,
        }
    }
}
