//! Questions from the question service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, histogram};
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;
use url::Url;

use super::answers::{QUESTIONS_MAX, questions_in};
use super::calls::{CallFailed, Get, HttpCalls, InvalidUrl, join};
use super::recent::Recent;
use domain::{BucketKey, Question, Wish};
use observability::{QUESTIONS_REMEMBERED, SERVICE_CALLS, SERVICE_SECONDS};
use ports::{Away, BearerToken, Questions};

const PATH: &str = "questions/filter/topics-difficulty";
/// Longest time of one try, from its beginning to the last byte.
const TRY_MAX: Duration = Duration::from_secs(2);
/// Longest time of all tries together.
const ALL_MAX: Duration = Duration::from_secs(4);
/// Waits before the second and the third try.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Calls in flight at a time.
const CALLS_MAX: usize = 256;
/// Longest wait for one of them to end. A service that hangs holds all for seconds, and who comes
/// then is better told at once.
const TURN_MAX: Duration = Duration::from_millis(500);
/// Buckets whose questions are remembered.
const BUCKETS_MAX: usize = 256;
/// For so long after a failure remembered questions are used without asking.
const AWAY_FOR: Duration = Duration::from_secs(2);

/// Asks the question service, and remembers its answers for when it is away.
pub struct HttpQuestions {
    calls: HttpCalls,
    url: Url,
    turns: Semaphore,
    memory: Mutex<Memory>,
}

struct Memory {
    by_bucket: Recent<BucketKey, Arc<[Question]>>,
    away_until: Option<Instant>,
}

/// What a try came to.
enum Failure {
    /// The service is away, for everybody; another try may help.
    Away(String),
    /// Another try may help.
    Passing(String),
    /// It will say the same again.
    Lasting(String),
}

impl HttpQuestions {
    /// Questions from the service at `base`, under `base_path`.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] where that is no URL of HTTP.
    pub fn new(calls: HttpCalls, base: &str, base_path: &str) -> Result<Self, InvalidUrl> {
        let base = join(base, base_path)?;
        Ok(Self {
            calls,
            url: join(base.as_str(), PATH)?,
            turns: Semaphore::new(CALLS_MAX),
            memory: Mutex::new(Memory {
                by_bucket: Recent::new(BUCKETS_MAX),
                away_until: None,
            }),
        })
    }

    /// Asks, at most three times.
    async fn ask(
        &self,
        wish: &Wish,
        token: Option<&BearerToken>,
    ) -> Result<Vec<Question>, Failure> {
        let Ok(Ok(_turn)) = timeout(TURN_MAX, self.turns.acquire()).await else {
            return Err(Failure::Away(CallFailed::Refused.to_string()));
        };
        let mut waits = WAITS.into_iter();
        loop {
            let failure = match self.try_once(wish, token).await {
                Ok(questions) => return Ok(questions),
                Err(failure) => failure,
            };
            match (failure, waits.next()) {
                (Failure::Away(_) | Failure::Passing(_), Some(wait)) => {
                    let jitter = rand::rng().random_range(0.8..1.2);
                    sleep(wait.mul_f64(jitter)).await;
                }
                (failure, _) => return Err(failure),
            }
        }
    }

    async fn try_once(
        &self,
        wish: &Wish,
        token: Option<&BearerToken>,
    ) -> Result<Vec<Question>, Failure> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("difficulty", wish.difficulty.as_lower_case())
            .append_pair("topics", wish.topic.as_str());
        let get = Get {
            service: "question service",
            url,
            token: token.cloned(),
            within: TRY_MAX,
            body_bytes_max: BODY_BYTES_MAX,
        };
        let answer = self.calls.get(get).await;
        let answer = answer.map_err(|failed| match failed {
            CallFailed::TooLong => Failure::Passing(failed.to_string()),
            CallFailed::Silent | CallFailed::Broken(_) | CallFailed::Refused => {
                Failure::Away(failed.to_string())
            }
        })?;
        match answer.status {
            200 => questions_in(&answer.body, wish).map_err(Failure::Passing),
            status @ 400..=499 if status != 429 => {
                Err(Failure::Lasting(format!("it answered {status}")))
            }
            status => Err(Failure::Away(format!("it answered {status}"))),
        }
    }

    fn remembered(&self, bucket: &BucketKey, only_while_away: bool) -> Option<Question> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let is_away = memory
            .away_until
            .is_some_and(|until| Instant::now() < until);
        if only_while_away && !is_away {
            return None;
        }
        let question = memory.by_bucket.get(bucket)?.choose(&mut rand::rng())?;
        counter!(QUESTIONS_REMEMBERED).increment(1);
        Some(question.clone())
    }

    fn remember(&self, bucket: BucketKey, questions: &[Question]) {
        // A random part of a long answer, so that none is left out for ever.
        let kept: Vec<Question> = questions
            .choose_multiple(&mut rand::rng(), QUESTIONS_MAX)
            .cloned()
            .collect();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.by_bucket.put(bucket, kept.into());
        memory.away_until = None;
    }

    fn note_away(&self) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.away_until = Some(Instant::now() + AWAY_FOR);
    }
}

#[async_trait]
impl Questions for HttpQuestions {
    async fn pick(&self, wish: &Wish, token: Option<&BearerToken>) -> Result<Question, Away> {
        let bucket = wish.bucket();
        if let Some(question) = self.remembered(&bucket, true) {
            return Ok(question);
        }
        let began = Instant::now();
        let asked = timeout(ALL_MAX, self.ask(wish, token)).await;
        let asked = asked.unwrap_or_else(|_| Err(Failure::Away(CallFailed::Silent.to_string())));
        let result = if asked.is_ok() { "answered" } else { "failed" };
        counter!(SERVICE_CALLS, "service" => "questions", "result" => result).increment(1);
        histogram!(SERVICE_SECONDS, "service" => "questions").record(began.elapsed());
        let reason = match asked {
            Ok(questions) => {
                self.remember(bucket.clone(), &questions);
                match questions.choose(&mut rand::rng()) {
                    Some(question) => return Ok(question.clone()),
                    None => "it knows no such question".to_owned(),
                }
            }
            Err(Failure::Away(reason)) => {
                self.note_away();
                reason
            }
            // What is wrong with one token or one topic says nothing about others.
            Err(Failure::Passing(reason) | Failure::Lasting(reason)) => reason,
        };
        warn!(bucket = %bucket, reason, "the question service gave no question for {bucket}: {reason}");
        self.remembered(&bucket, false).ok_or_else(|| Away {
            backend: "question service",
            reason,
        })
    }
}
