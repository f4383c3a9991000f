//! A database in which people wait already.

use std::fs::{self, File};

use anyhow::Context;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, RunQueryDsl, SqliteConnection};

use crate::server::Folder;
use crate::tokens::unix_now_ms;

/// How long the tickets wait, in seconds: longer than any run.
pub const WAIT_S: u64 = 3_600;

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
        printf('waiting-%06d', n), difficulty, 'Topic ' || topic, 'topic ' || topic,
        'waiting', NULL, at_ms, at_ms + wait_ms, 0, 0, 1, '[]', NULL
    FROM (
        SELECT
            n, ? + n / 100 AS at_ms, ? AS wait_ms, n % ? AS topic,
            CASE n % 3 WHEN 0 THEN 'easy' WHEN 1 THEN 'medium' ELSE 'hard' END AS difficulty
        FROM numbers
    )
";

/// A database with waiting tickets, to be copied for every start.
pub struct Prepared {
    folder: Folder,
    tickets: usize,
}

impl Prepared {
    /// Adds `tickets` to the empty database in this folder, spread over `topics`. Nothing may have
    /// it open.
    pub fn fill(folder: Folder, tickets: usize, topics: usize) -> anyhow::Result<Self> {
        let database = folder.database();
        let url = database
            .to_str()
            .context("the folder's name is not UTF-8")?;
        let mut connection = SqliteConnection::establish(url)?;
        // The newest ticket is as old as the server's start must be to come after it.
        let oldest_ms = unix_now_ms().saturating_sub(tickets as u64 / 100 + 1_000);
        let added = diesel::sql_query(INSERT)
            .bind::<BigInt, _>(i64::try_from(tickets)?)
            .bind::<BigInt, _>(i64::try_from(oldest_ms)?)
            .bind::<BigInt, _>(i64::try_from(WAIT_S * 1_000)?)
            .bind::<BigInt, _>(i64::try_from(topics)?)
            .execute(&mut connection)
            .context("the tickets cannot be stored")?;
        anyhow::ensure!(added == tickets, "{added} tickets were stored");
        // All of it into the one file that is copied.
        connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(Self { folder, tickets })
    }

    /// How many tickets it has.
    pub fn tickets(&self) -> usize {
        self.tickets
    }

    /// Puts a copy where a server in `folder` looks for it.
    pub fn copy_to(&self, folder: &Folder) -> anyhow::Result<()> {
        let copy = folder.database();
        let parent = copy.parent().context("the database is in a folder")?;
        fs::create_dir_all(parent)?;
        fs::copy(self.folder.database(), &copy).context("the database cannot be copied")?;
        // Else the server's first commit would have to wait for all of it.
        Ok(File::open(copy)?.sync_all()?)
    }
}
