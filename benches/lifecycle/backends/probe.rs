//! What the backends themselves count.

use std::time::Duration;

use anyhow::Context;
use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use serde::Serialize;
use tokio::time::sleep;
use tokio_postgres::NoTls;

use super::Place;
use crate::stats::redis_figure;

/// PostgreSQL's processes keep their counts to themselves for up to a second while they work, and
/// tell the rest when they have been idle for 10 s.
const UNTIL_ALL_IS_COUNTED: Duration = Duration::from_millis(10_500);

const AT_ONCE: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
const LATER: &str = "
    SELECT xact_commit, (SELECT wal_sync FROM pg_stat_wal)
    FROM pg_stat_database WHERE datname = $1
";

/// Asks the backends of one server.
pub struct Probe {
    postgres: tokio_postgres::Client,
    database: String,
    redis: MultiplexedConnection,
}

/// What was counted, since the beginning or between two moments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Transactions of the server's database, reading ones too.
    pub commits: f64,
    /// Bytes that PostgreSQL wrote ahead.
    pub wal_bytes: f64,
    /// How often it synced them.
    pub wal_syncs: f64,
    /// Commands that Redis processed.
    pub redis_commands: f64,
    /// Messages that came through RabbitMQ.
    pub events: f64,
}

impl Probe {
    /// Connects to the backends of this place.
    pub async fn connect(place: &Place) -> anyhow::Result<Self> {
        let url = place.database.url();
        let (before, database) = url.rsplit_once('/').context("a URL has slashes")?;
        // From another database, whose transactions are not counted.
        let connected = tokio_postgres::connect(&format!("{before}/postgres"), NoTls).await;
        let (postgres, connection) = connected.context("PostgreSQL cannot be reached")?;
        tokio::task::spawn_local(connection);
        let client = redis::Client::open(place.number.url())?;
        let redis = client.get_multiplexed_async_connection().await;
        Ok(Self {
            postgres,
            database: database.to_owned(),
            redis: redis.context("Redis cannot be reached")?,
        })
    }

    /// Waits until everything that has ended is counted.
    pub async fn rest(&self) {
        sleep(UNTIL_ALL_IS_COUNTED).await;
    }

    /// The counts so far; exact after a rest.
    pub async fn begin(&self, messages: u64) -> anyhow::Result<Counts> {
        let mut counts = self.at_once(messages).await?;
        self.add_later_ones(&mut counts).await?;
        Ok(counts)
    }

    /// What was counted since then. It takes a rest.
    pub async fn end(&self, before: &Counts, messages: u64) -> anyhow::Result<Counts> {
        let mut counts = self.at_once(messages).await?;
        self.rest().await;
        self.add_later_ones(&mut counts).await?;
        // The question that was asked before is one of the commands.
        counts.redis_commands -= 1.0;
        Ok(counts.since(before))
    }

    async fn at_once(&self, messages: u64) -> anyhow::Result<Counts> {
        let row = self.postgres.query_one(AT_ONCE, &[]).await?;
        let mut redis = self.redis.clone();
        let info: String = redis::cmd("INFO")
            .arg("stats")
            .query_async(&mut redis)
            .await?;
        let commands = redis_figure(&info, "total_commands_processed");
        Ok(Counts {
            wal_bytes: row.get::<_, i64>(0) as f64,
            redis_commands: commands.context("Redis tells no number of commands")?,
            events: messages as f64,
            ..Counts::default()
        })
    }

    async fn add_later_ones(&self, counts: &mut Counts) -> anyhow::Result<()> {
        let row = self.postgres.query_one(LATER, &[&self.database]).await?;
        counts.commits = row.get::<_, i64>(0) as f64;
        counts.wal_syncs = row.get::<_, i64>(1) as f64;
        Ok(())
    }
}

impl Counts {
    fn since(&self, before: &Self) -> Self {
        Self {
            commits: self.commits - before.commits,
            wal_bytes: self.wal_bytes - before.wal_bytes,
            wal_syncs: self.wal_syncs - before.wal_syncs,
            redis_commands: self.redis_commands - before.redis_commands,
            events: self.events - before.events,
        }
    }

    /// Each of them for 1,000 of `done`.
    pub fn per_1000(&self, done: u64) -> Self {
        let each = |count: f64| count * 1_000.0 / done as f64;
        Self {
            commits: each(self.commits),
            wal_bytes: each(self.wal_bytes),
            wal_syncs: each(self.wal_syncs),
            redis_commands: each(self.redis_commands),
            events: each(self.events),
        }
    }
}
