//! A database in which people wait already.

use std::fs::{self, File};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};
use tokio_postgres::NoTls;

use crate::backends::{Backends, Place};
use crate::options::Kind;
use crate::server::{Folder, Server};
use crate::tokens::unix_now_ms;

use super::{Bench, variables};

/// How long the tickets wait, in seconds: longer than any run.
pub const WAIT_S: u64 = 12 * 3_600;

/// Longest wait until the connections of an ended server are gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// Time between two tries.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Ids are of version 7: the time, then a number that grows.
const INSERT: &str = "
    WITH RECURSIVE numbers (n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?
    )
    INSERT INTO tickets (
        id, user_id, difficulty, topic, topic_key, status, match_id, enqueued_at_ms,
        waits_until_ms, put_back, silences, asks, avoided, ended_at_ms
    )
    SELECT
        unhex(printf('%012x7%03x8000%012x', at_ms, n % 4096, n)),
        printf('waiting-%06d', n), difficulty, 'Waiting ' || topic, 'waiting ' || topic,
        'waiting', NULL, at_ms, at_ms + wait_ms, 0, 0, 1, '[]', NULL
    FROM (
        SELECT
            n, ? + n / 100 AS at_ms, ? AS wait_ms, n % ? AS topic,
            CASE n % 3 WHEN 0 THEN 'easy' WHEN 1 THEN 'medium' ELSE 'hard' END AS difficulty
        FROM numbers
    )
";

/// The same for PostgreSQL.
const INSERT_ON_POSTGRES: &str = "
    INSERT INTO matchmaker.tickets (
        id, user_id, difficulty, topic, topic_key, status, match_id, enqueued_at_ms,
        waits_until_ms, put_back, silences, asks, avoided, ended_at_ms
    )
    SELECT
        (lpad(to_hex(at_ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8000'
            || lpad(to_hex(n), 12, '0'))::uuid,
        'waiting-' || lpad(n::text, 6, '0'), difficulty, 'Waiting ' || topic, 'waiting ' || topic,
        'waiting', NULL, at_ms, at_ms + wait_ms, false, 0, 1, '[]', NULL
    FROM (
        SELECT
            n, $2::bigint + n / 100 AS at_ms, $3::bigint AS wait_ms, n % $4::bigint AS topic,
            CASE n % 3 WHEN 0 THEN 'easy' WHEN 1 THEN 'medium' ELSE 'hard' END AS difficulty
        FROM generate_series(0::bigint, $1::bigint - 1) AS numbers (n)
    ) AS numbered
";

/// A database with waiting tickets, to be copied for every start.
pub struct Prepared {
    tickets: usize,
    original: Original,
}

enum Original {
    Embedded(Folder),
    Real(Rc<Place>),
}

impl Prepared {
    /// A database with this many waiting tickets over these topics, whose tables a server with
    /// these variables made itself.
    pub async fn new(
        bench: &Bench,
        kind: Kind,
        others: &[(&'static str, String)],
        tickets: usize,
        topics: usize,
    ) -> anyhow::Result<Self> {
        let folder = Folder::new(&bench.common)?;
        let place = bench.place(kind);
        let variables = variables(place.as_deref(), others);
        let (server, _) = Server::start(&bench.common, folder, &variables).await?;
        let folder = server.kill().context("it is our own server")?;
        match place {
            Some(place) => Self::real(place, tickets, topics).await,
            None => Self::embedded(folder, tickets, topics),
        }
    }

    /// Adds `tickets` to the empty database in this folder, spread over `topics`. Nothing may have
    /// it open.
    fn embedded(folder: Folder, tickets: usize, topics: usize) -> anyhow::Result<Self> {
        let database = folder.database();
        let url = database
            .to_str()
            .context("the folder's name is not UTF-8")?;
        let mut connection = SqliteConnection::establish(url)?;
        let [count, oldest_ms, wait_ms, topics] = figures(tickets, topics)?;
        let added = diesel::sql_query(INSERT)
            .bind::<BigInt, _>(count)
            .bind::<BigInt, _>(oldest_ms)
            .bind::<BigInt, _>(wait_ms)
            .bind::<BigInt, _>(topics)
            .execute(&mut connection)
            .context("the tickets cannot be stored")?;
        anyhow::ensure!(added == tickets, "{added} tickets were stored");
        // All of it into the one file that is copied.
        connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(Self {
            tickets,
            original: Original::Embedded(folder),
        })
    }

    /// The same on PostgreSQL.
    async fn real(place: Rc<Place>, tickets: usize, topics: usize) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(&place.database.url(), NoTls).await?;
        let ended = spawn_local(connection);
        let [count, oldest_ms, wait_ms, topics] = figures(tickets, topics)?;
        let added = client
            .execute(INSERT_ON_POSTGRES, &[&count, &oldest_ms, &wait_ms, &topics])
            .await
            .context("the tickets cannot be stored")?;
        anyhow::ensure!(added == tickets as u64, "{added} tickets were stored");
        // As they are after a while of quiet: known to the planner, and on the disk.
        client.batch_execute("VACUUM ANALYZE").await?;
        client.batch_execute("CHECKPOINT").await?;
        drop(client);
        ended.await??;
        Ok(Self {
            tickets,
            original: Original::Real(place),
        })
    }

    /// How many tickets it has.
    pub fn tickets(&self) -> usize {
        self.tickets
    }

    /// Puts a copy where a server in `folder` looks for it: there, or in the place that is answered.
    pub async fn copy_to(
        &self,
        folder: &Folder,
        backends: Option<&Backends>,
    ) -> anyhow::Result<Option<Rc<Place>>> {
        match (&self.original, backends) {
            (Original::Real(place), Some(backends)) => {
                let began = Instant::now();
                loop {
                    match backends.copy(place) {
                        Ok(copy) => return Ok(Some(copy)),
                        // Whoever was connected may not be gone yet.
                        Err(_) if began.elapsed() < GONE_WITHIN => sleep(LOOK_EVERY).await,
                        Err(error) => return Err(error),
                    }
                }
            }
            (Original::Real(_), None) => anyhow::bail!("the backends are gone"),
            (Original::Embedded(original), _) => {
                let copy = folder.database();
                let parent = copy.parent().context("the database is in a folder")?;
                fs::create_dir_all(parent)?;
                fs::copy(original.database(), &copy).context("the database cannot be copied")?;
                // Else the server's first commit would have to wait for all of it.
                File::open(copy)?.sync_all()?;
                Ok(None)
            }
        }
    }
}

/// How many tickets, since when the oldest waits, how long each waits, and over how many topics.
fn figures(tickets: usize, topics: usize) -> anyhow::Result<[i64; 4]> {
    // The newest ticket is as old as the server's start must be to come after it.
    let oldest_ms = unix_now_ms().saturating_sub(tickets as u64 / 100 + 1_000);
    Ok([
        i64::try_from(tickets)?,
        i64::try_from(oldest_ms)?,
        i64::try_from(WAIT_S * 1_000)?,
        i64::try_from(topics)?,
    ])
}
