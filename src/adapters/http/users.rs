//! Whether the user service still knows the bearer of a token.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, histogram};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use url::Url;

use super::calls::{CallFailed, Get, HttpCalls, InvalidUrl, join};
use super::recent::Recent;
use observability::{SERVICE_CALLS, SERVICE_SECONDS};
use ports::{Away, BearerToken, Users};

/// Longest time of a call. With the wait for a turn, a caller hears within a second that nobody can
/// say who they are.
const CALL_MAX: Duration = Duration::from_millis(750);
/// Its body is not looked at.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Calls in flight at a time, and the longest wait for one of them to end.
const CALLS_MAX: usize = 256;
const TURN_MAX: Duration = Duration::from_millis(200);
/// How long an answer holds: whoever is locked out is out after this.
const ADMITTED_FOR: Duration = Duration::from_secs(30);
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// Tokens whose answers are kept.
const TOKENS_MAX: usize = 10_000;

/// Asks the user service with the caller's own token.
pub struct HttpUsers {
    calls: HttpCalls,
    url: Url,
    turns: Semaphore,
    answers: Mutex<Recent<TokenHash, (bool, Instant)>>,
    hashers: [RandomState; 2],
}

/// Two hashes with random keys of this process: tokens themselves are not kept.
type TokenHash = (u64, u64);

impl HttpUsers {
    /// Whoever the service at `base` lets read `path`.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] where that is no URL of HTTP.
    pub fn new(calls: HttpCalls, base: &str, path: &str) -> Result<Self, InvalidUrl> {
        Ok(Self {
            calls,
            url: join(base, path)?,
            turns: Semaphore::new(CALLS_MAX),
            answers: Mutex::new(Recent::new(TOKENS_MAX)),
            hashers: [RandomState::new(), RandomState::new()],
        })
    }

    async fn ask(&self, token: &BearerToken) -> Result<bool, String> {
        let Ok(Ok(_turn)) = timeout(TURN_MAX, self.turns.acquire()).await else {
            return Err(CallFailed::Refused.to_string());
        };
        let get = Get {
            service: "user service",
            url: self.url.clone(),
            token: Some(token.clone()),
            within: CALL_MAX,
            body_bytes_max: BODY_BYTES_MAX,
        };
        let answer = self.calls.get(get).await.map_err(|it| it.to_string())?;
        match answer.status {
            200 => Ok(true),
            // It knows no such user any more.
            401 | 403 | 404 => Ok(false),
            status => Err(format!("it answered {status}")),
        }
    }

    fn hash(&self, token: &BearerToken) -> TokenHash {
        let [first, second] = &self.hashers;
        let text = token.expose();
        (first.hash_one(text), second.hash_one(text))
    }
}

#[async_trait]
impl Users for HttpUsers {
    async fn admits(&self, token: &BearerToken) -> Result<bool, Away> {
        let hash = self.hash(token);
        let known = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.get(&hash).copied()
        };
        let began = Instant::now();
        if let Some((admitted, until)) = known
            && began < until
        {
            return Ok(admitted);
        }
        let asked = self.ask(token).await;
        let result = if asked.is_ok() { "answered" } else { "failed" };
        counter!(SERVICE_CALLS, "service" => "users", "result" => result).increment(1);
        histogram!(SERVICE_SECONDS, "service" => "users").record(began.elapsed());
        let admitted = asked.map_err(|reason| Away {
            backend: "user service",
            reason,
        })?;
        let holds = if admitted { ADMITTED_FOR } else { REFUSED_FOR };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.put(hash, (admitted, Instant::now() + holds));
        Ok(admitted)
    }
}
