//! One connection to Redis, shared by everything that speaks to it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use deadpool_redis::redis::{self, Client, RedisError, RedisResult, TlsCertificates};
use metrics::counter;
use tokio::runtime::Handle;

use crate::domain::{SessionId, TicketId};
use crate::observability::REDIS_FAILURES;
use crate::ports::Away;

/// Longest time that a call may take, all its commands together.
const CALL_MAX: Duration = Duration::from_secs(1);
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
pub struct RedisLink {
    io: Handle,
    client: Client,
    manager: RwLock<ConnectionManager>,
    silences: AtomicU32,
    key_prefix: String,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// There was no answer in time.
    Silent,
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
        let manager = connect_later(&client, &io).map_err(invalid)?;
        Ok(Arc::new(Self {
            io,
            client,
            manager: RwLock::new(manager),
            silences: AtomicU32::new(0),
            key_prefix: options.key_prefix.clone(),
        }))
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    ///
    /// [`Away`] says why not.
    pub async fn ping(&self) -> Result<(), Away> {
        let ping = |mut redis: ConnectionManager| async move {
            redis::cmd("PING").query_async::<()>(&mut redis).await
        };
        Ok(self.call(ping).await?)
    }

    /// Runs one call on the runtime that holds the connection, whoever waits for it, and to its end.
    pub(super) async fn call<T, F, C>(&self, call: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce(ConnectionManager) -> C,
        C: Future<Output = RedisResult<T>> + Send + 'static,
    {
        let call = call(self.manager());
        let called = self.io.spawn(tokio::time::timeout(CALL_MAX, call)).await;
        let outcome = match called {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) if error.is_timeout() => Err(CallError::Silent),
            Ok(Ok(Err(error))) => Err(CallError::Said(error)),
            Ok(Err(_)) => Err(CallError::Silent),
            Err(_) => Err(CallError::Ending),
        };
        self.judge(&outcome);
        outcome
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

    fn manager(&self) -> ConnectionManager {
        self.manager
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn judge<T>(&self, outcome: &Result<T, CallError>) {
        if outcome.is_err() {
            counter!(REDIS_FAILURES).increment(1);
        }
        if !matches!(outcome, Err(CallError::Silent)) {
            self.silences.store(0, Ordering::Relaxed);
            return;
        }
        if self.silences.fetch_add(1, Ordering::Relaxed) + 1 < SILENCES_MAX {
            return;
        }
        self.silences.store(0, Ordering::Relaxed);
        if let Ok(fresh) = connect_later(&self.client, &self.io) {
            *self.manager.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

fn connect_later(client: &Client, io: &Handle) -> RedisResult<ConnectionManager> {
    let _inside = io.enter();
    // One try per call that needs the connection: who calls again is what tries for ever.
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CALL_MAX))
        .set_response_timeout(Some(CALL_MAX));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
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
            CallError::Silent => format!("no answer within {} s", CALL_MAX.as_secs()),
            CallError::Said(error) => error.to_string(),
            CallError::Ending => "the server is stopping".to_owned(),
        };
        Self {
            backend: "Redis",
            reason,
        }
    }
}
