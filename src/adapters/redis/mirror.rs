//! The copy of every waiting queue.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::redis::{self, Pipeline};
use futures_util::future::BoxFuture;
use futures_util::future::join_all;
use metrics::{counter, gauge};
use rand::Rng;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use super::debtor;
use super::desired::{Change, Desired, Line};
use super::link::{CallError, RedisLink};
use super::marker::Marker;
use super::sessions::RedisSessions;
use domain::{BucketKey, SessionRecord, Ticket, TicketId};
use observability::{MIRROR_BEHIND, MIRROR_DIFFERENCES, MIRROR_REWRITES};
use ports::{Away, MirrorState, QueueChange, QueueMirror};

/// How long changes gather before they are written together.
const GATHER: Duration = Duration::from_millis(20);
/// Changes in one transaction.
pub(super) const CHUNK: usize = 512;
/// How often is looked whether Redis still holds what we wrote.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// First and longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);
/// How long the last changes may take when the server stops.
const STOP_MAX: Duration = Duration::from_secs(2);

/// All sessions that are open: their keys are written again where Redis has lost them.
pub type OpenSessions = Arc<dyn Fn() -> Vec<Arc<SessionRecord>> + Send + Sync>;

/// Keeps a copy of the waiting queues in Redis: a sorted set per bucket and a hash per ticket.
///
/// What should be there is kept in memory, so the copy is exact again after Redis was away,
/// restarted empty, flushed or restored from older data. This process is the only one that writes it.
pub struct RedisMirror {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    desired: Mutex<Desired>,
    woken: Notify,
    /// See [`MirrorState::differences`].
    differences: AtomicU64,
}

/// The one task that writes.
pub(super) struct Writer {
    shared: Arc<Shared>,
    pub(super) link: Arc<RedisLink>,
    pub(super) open: OpenSessions,
    pub(super) marker: Marker,
    /// Which run of the Redis server we wrote to; a restart may have lost a second of writes.
    pub(super) server: Option<String>,
    may_ask_for_server: bool,
    next_check: Instant,
}

impl RedisMirror {
    /// Starts the mirror of these tickets, and with it whatever tries again what Redis could not be
    /// told about sessions. What Redis holds of an earlier run is put right in the
    /// background.
    pub fn start(
        sessions: RedisSessions,
        waiting: impl IntoIterator<Item = Ticket>,
        open: OpenSessions,
    ) -> Self {
        Self::start_with(sessions, Desired::new(waiting), open)
    }

    fn start_with(sessions: RedisSessions, desired: Desired, open: OpenSessions) -> Self {
        let shared = Arc::new(Shared {
            desired: Mutex::new(desired),
            woken: Notify::new(),
            differences: AtomicU64::new(0),
        });
        shared.woken.notify_one();
        let (stop, stopped) = watch::channel(false);
        let link = Arc::clone(sessions.link());
        let io = link.io().clone();
        let debtor = io.spawn(debtor::pay(sessions, stopped.clone()));
        let writer = Writer {
            shared: shared.clone(),
            link,
            open,
            marker: Marker::new(Uuid::new_v4()),
            server: None,
            may_ask_for_server: true,
            next_check: Instant::now() + CHECK_EVERY,
        };
        Self {
            shared,
            stop,
            tasks: Mutex::new(vec![io.spawn(writer.run(stopped)), debtor]),
        }
    }

    /// Whether Redis has been told everything, as far as we know.
    pub fn is_exact(&self) -> bool {
        self.shared.desired().behind() == 0
    }

    /// Writes what is left, for a moment at most, and ends.
    pub fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.stop.send_replace(true);
            let tasks =
                std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            // A panic in one has been logged where it happened.
            let _ = join_all(tasks).await;
        })
    }
}

impl QueueMirror for RedisMirror {
    fn note(&self, change: QueueChange) {
        let wakes = self.shared.desired().note(&change);
        if wakes {
            self.shared.woken.notify_one();
        }
    }

    fn state(&self) -> MirrorState {
        MirrorState {
            behind: self.shared.desired().behind(),
            differences: self.shared.differences.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn desired(&self) -> MutexGuard<'_, Desired> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut retry = RETRY_FIRST;
        let mut away = false;
        loop {
            let was_woken = tokio::select! {
                () = self.shared.woken.notified() => true,
                () = sleep_until(self.next_check) => false,
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            if was_woken {
                sleep(GATHER).await;
            }
            match self.step().await {
                Ok(()) => {
                    if std::mem::take(&mut away) {
                        info!("the mirror is exact again");
                    }
                    retry = RETRY_FIRST;
                }
                Err(error) => {
                    let reason = Away::from(error).reason;
                    if !std::mem::replace(&mut away, true) {
                        warn!(reason, "the mirror waits for Redis: {reason}");
                    }
                    let wait = retry.mul_f64(rand::rng().random_range(0.8..1.2));
                    tokio::select! {
                        () = sleep(wait) => {}
                        _ = stopped.wait_for(|stop| *stop) => break,
                    }
                    retry = (retry * 2).min(RETRY_MAX);
                    self.shared.woken.notify_one();
                }
            }
            gauge!(MIRROR_BEHIND).set(self.desired().behind() as f64);
        }
        if timeout(STOP_MAX, self.step()).await.is_err() {
            warn!("the last changes of the mirror were not written");
        }
    }

    /// Counts what a rewrite found to be wrong.
    pub(super) fn differ(&self, missing: u64, surplus: u64) {
        counter!(MIRROR_DIFFERENCES, "kind" => "missing").increment(missing);
        counter!(MIRROR_DIFFERENCES, "kind" => "surplus").increment(surplus);
        let differences = &self.shared.differences;
        differences.fetch_add(missing + surplus, Ordering::Relaxed);
    }

    /// Tells Redis all changes that it was not told.
    async fn step(&mut self) -> Result<(), CallError> {
        if Instant::now() >= self.next_check && !self.desired().is_lost() {
            self.check().await?;
        }
        loop {
            if self.desired().is_lost() {
                counter!(MIRROR_REWRITES).increment(1);
                let rewritten = self.rewrite().await;
                if rewritten.is_err() {
                    self.desired().lose();
                }
                rewritten?;
            }
            let changes = self.desired().take_changes(CHUNK);
            if changes.is_empty() {
                return Ok(());
            }
            let written = self.write(&changes).await;
            let mut desired = self.desired();
            match &written {
                Ok(true) => desired.confirm(&changes),
                Ok(false) => desired.lose(),
                Err(error) if error.is_wrong_type() => desired.lose(),
                Err(_) => desired.retry(&changes),
            }
            drop(desired);
            written?;
        }
    }

    /// Writes these in one transaction; false where Redis has lost what was written before.
    async fn write(&mut self, changes: &[Change]) -> Result<bool, CallError> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        let mut added: BTreeMap<BucketKey, Vec<(i64, String)>> = BTreeMap::new();
        let mut removed: BTreeMap<BucketKey, Vec<String>> = BTreeMap::new();
        let mut hashes = Vec::new();
        for change in changes {
            match change {
                Change::Write(id, line) => {
                    let place = (line.enqueued_at.as_ms(), id.to_string());
                    added.entry(line.wish.bucket()).or_default().push(place);
                    write_hash(&mut pipe, &self.link, *id, line);
                }
                Change::Remove(id, bucket) => {
                    removed
                        .entry(bucket.clone())
                        .or_default()
                        .push(id.to_string());
                    hashes.push(self.link.ticket_key(*id));
                }
            }
        }
        for (bucket, places) in added {
            let zadd = pipe.cmd("ZADD").arg(queue_key(&self.link, &bucket));
            for (score, member) in places {
                zadd.arg(score).arg(member);
            }
            zadd.ignore();
        }
        for (bucket, members) in removed {
            let key = queue_key(&self.link, &bucket);
            pipe.cmd("ZREM").arg(key).arg(members).ignore();
        }
        if !hashes.is_empty() {
            pipe.cmd("DEL").arg(hashes).ignore();
        }
        let marker = (self.marker_key(), self.marker.next());
        pipe.cmd("GETSET").arg(marker.0).arg(marker.1);
        let (before,): (Option<String>,) = self.link.query(pipe).await?;
        let ours = self.marker.preceded_by(before.as_deref());
        self.marker.confirm();
        Ok(ours)
    }

    /// Looks whether Redis still holds what we wrote.
    async fn check(&mut self) -> Result<(), CallError> {
        self.next_check = Instant::now() + CHECK_EVERY;
        let key = self.marker_key();
        let marker: Result<Option<String>, _> = self.link.query(redis::cmd("GET").arg(key)).await;
        let is_ours = match marker {
            Ok(found) => self.marker.is(found.as_deref()),
            Err(error) if error.is_wrong_type() => false,
            Err(error) => return Err(error),
        };
        let server = self.find_server().await?;
        if !is_ours || server != self.server {
            info!("Redis does not hold what was written: all of it is written again");
            self.desired().lose();
        }
        Ok(())
    }

    /// Which run of the Redis server this is, where we may ask.
    pub(super) async fn find_server(&mut self) -> Result<Option<String>, CallError> {
        if !self.may_ask_for_server {
            return Ok(None);
        }
        let info: Result<String, _> = self.link.query(redis::cmd("INFO").arg("server")).await;
        match info {
            Ok(text) => {
                let run = text.lines().find_map(|line| line.strip_prefix("run_id:"));
                Ok(run.map(|run| run.trim().to_owned()))
            }
            Err(error) if error.is_forbidden() => {
                self.may_ask_for_server = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn marker_key(&self) -> String {
        self.link.key("matching_mirror")
    }

    pub(super) fn desired(&self) -> MutexGuard<'_, Desired> {
        self.shared.desired()
    }
}

pub(super) fn queue_key(link: &RedisLink, bucket: &BucketKey) -> String {
    link.key(format_args!("matching_queue:{bucket}"))
}

/// What recovery needs of a ticket.
pub(super) fn write_hash(pipe: &mut Pipeline, link: &RedisLink, id: TicketId, line: &Line) {
    pipe.cmd("HSET")
        .arg(link.ticket_key(id))
        .arg("user_id")
        .arg(line.user.as_str())
        .arg("difficulty")
        .arg(line.wish.difficulty.as_lower_case())
        .arg("topic")
        .arg(line.wish.topic.as_str())
        .arg("enqueued_at_ms")
        .arg(line.enqueued_at.as_ms())
        .arg("waits_until_ms")
        .arg(line.waits_until.as_ms())
        .ignore();
}
