//! Opening the database: its schema, its migrations, its connections.

use std::path::PathBuf;
use std::sync::Arc;

use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::future::BoxFuture;
use tokio_postgres::error::SqlState;

use super::super::records::{Pools, StoredRecords};
use super::super::writer::{Writer, WriterOptions};
use super::super::{OpenedStore, Runtimes};
use super::PostgresGroups;
use super::target::{ConnectError, Target};
use ports::Clock;

/// The migrations of the PostgreSQL backend, built into the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The schema in which everything of ours is, diesel's list of migrations included.
const SCHEMA: &str = "matchmaker";
/// Held while one server brings the tables up to date; "matchmak" in ASCII.
const MIGRATION_LOCK: i64 = 0x6d61_7463_686d_616b;

/// What every connection begins with.
const SETTINGS: &[(&str, &str)] = &[("search_path", SCHEMA), ("jit", "off")];
/// What migrations begin with: they may wait for another server's, and for locks.
const MIGRATION_SETTINGS: &[(&str, &str)] = &[("statement_timeout", "60s"), ("lock_timeout", "0")];
/// What connections begin with that write. Plans are made once, before there are statistics, so
/// whatever is not a walk along an index is switched off; a test reads the plans.
const WRITER_SETTINGS: &[(&str, &str)] = &[
    ("synchronous_commit", "on"),
    ("statement_timeout", "3s"),
    ("lock_timeout", "500ms"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("enable_memoize", "off"),
];
/// What the connection begins with on which announcements are read and marked, many times a second,
/// besides what others have that write.
const RELAY_SETTINGS: &[(&str, &str)] = &[("statement_timeout", "900ms")];
/// What connections begin with that read.
const READER_SETTINGS: &[(&str, &str)] = &[("statement_timeout", "900ms")];

/// How the store works on its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The bounds of the writer.
    pub writer: WriterOptions,
    /// Connections that write: one, and others that stand by for when a group takes long.
    pub writers: usize,
    /// Connections that read at the same time.
    pub readers_max: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            writer: WriterOptions::default(),
            writers: 2,
            readers_max: 4,
        }
    }
}

/// Why the store could not be opened, one clear sentence each, without the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresOpenError {
    /// The address cannot be used.
    #[error("DATABASE_URL cannot be used: {problem}")]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// The certificates that the server is checked against cannot be used.
    #[error("the certificates in {} (sslrootcert) cannot be used: {reason}", path.display())]
    RootCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there, or not yet: trying again may help.
    #[error("PostgreSQL at {server} cannot be reached: {reason}")]
    Away {
        /// Host, port and database.
        server: String,
        /// What was said.
        reason: String,
    },
    /// It answers, but does not let us in.
    #[error("PostgreSQL at {server} does not let us in: {reason}")]
    Refused {
        /// Host, port and database.
        server: String,
        /// What was said.
        reason: String,
    },
    /// The tables could not be brought up to date.
    #[error("the tables in {server} cannot be brought up to date: {reason}")]
    Migration {
        /// Host, port and database.
        server: String,
        /// What went wrong.
        reason: String,
    },
}

impl PostgresOpenError {
    /// Whether the same may succeed later without anybody changing the configuration.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// The store on a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore;

impl PostgresStore {
    /// What each connection begins with that writes.
    pub const WRITER_SETTINGS: &[(&str, &str)] = WRITER_SETTINGS;

    /// The statements that write, for whoever wants to see how they are run.
    pub fn statements() -> impl Iterator<Item = String> {
        super::prepared::texts().into_iter()
    }

    /// Connects to `url` and brings the tables up to date, which one server at a time does.
    ///
    /// # Errors
    ///
    /// [`PostgresOpenError`] says what is wrong; nothing is left running then.
    pub fn open<'a>(
        url: &'a str,
        options: PostgresOptions,
        clock: &'a Arc<dyn Clock>,
        on: &'a Runtimes,
    ) -> BoxFuture<'a, Result<OpenedStore, PostgresOpenError>> {
        Box::pin(async move {
            let target = Target::parse(url)?.with_settings(SETTINGS);
            let server = target.server();
            let prepared = on.io.spawn(prepare(target.for_writes())).await;
            prepared.map_err(|error| PostgresOpenError::Migration {
                server: server.clone(),
                reason: error.to_string(),
            })??;
            let away = |reason| PostgresOpenError::Away {
                server: server.clone(),
                reason,
            };
            let readers = target.with_settings(READER_SETTINGS);
            let pools = Pools::postgres(readers, options.readers_max).map_err(away)?;
            let writers = target.with_settings(WRITER_SETTINGS).for_writes();
            let relay = writers.with_settings(RELAY_SETTINGS);
            let relay = Pools::postgres(relay, 1).map_err(away)?;
            let remover = Pools::postgres(writers.clone(), 1).map_err(away)?;
            let groups = (0..options.writers.max(1)).map(|_| PostgresGroups::new(writers.clone()));
            let writer = Arc::new(Writer::start(
                groups.collect(),
                options.writer,
                clock,
                &on.writes,
            ));
            let records = Arc::new(StoredRecords::new(pools, relay, remover, on.io.clone()));
            Ok(OpenedStore { writer, records })
        })
    }
}

/// Checks that the server lets us in, and brings the tables up to date.
async fn prepare(target: Target) -> Result<(), PostgresOpenError> {
    let server = target.server();
    // Its error tells the difference between a server that is away and one that refuses.
    if let Err(error) = target.connect().await {
        return Err(connect_error(server, &error));
    }
    let failed = |reason: String| PostgresOpenError::Migration {
        server: server.clone(),
        reason,
    };
    let target = target.with_settings(MIGRATION_SETTINGS);
    let connected = target.connect_diesel().await;
    let mut connection = connected.map_err(|error| PostgresOpenError::Away {
        server: server.clone(),
        reason: error.to_string(),
    })?;
    if let Err(error) = lock(&mut connection).await {
        let reason = error.to_string();
        let is_waiting = reason.contains("statement timeout");
        return Err(match is_waiting {
            // Another server still brings the tables up to date.
            true => PostgresOpenError::Away { server, reason },
            false => away_or(&target, failed(reason)).await,
        });
    }
    // The lock ends with the connection, which the harness drops.
    let migrated = tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(connection);
        let ran = harness.run_pending_migrations(MIGRATIONS);
        ran.map(|_| ()).map_err(|error| error.to_string())
    });
    let migrated = migrated
        .await
        .unwrap_or_else(|error| Err(error.to_string()));
    match migrated {
        Ok(()) => Ok(()),
        Err(reason) => Err(away_or(&target, failed(reason)).await),
    }
}

/// What a failure comes from: the server went away meanwhile, or `failed`.
async fn away_or(target: &Target, failed: PostgresOpenError) -> PostgresOpenError {
    match target.connect().await {
        Ok(_) => failed,
        Err(error) => connect_error(target.server(), &error),
    }
}

/// Waits for other servers, then sees that there is a schema.
async fn lock(connection: &mut AsyncPgConnection) -> diesel::QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .execute(connection)
        .await?;
    connection
        .batch_execute("SET statement_timeout = 0")
        .await?;
    // Asked first, because CREATE needs a right that is not needed where the schema is there.
    let there = diesel::sql_query("SELECT FROM pg_namespace WHERE nspname = $1")
        .bind::<Text, _>(SCHEMA)
        .execute(connection)
        .await?;
    if there == 0 {
        let create = format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}");
        connection.batch_execute(&create).await?;
    }
    Ok(())
}

fn connect_error(server: String, error: &ConnectError) -> PostgresOpenError {
    let reason = error.to_string();
    let ConnectError::Failed(failed) = error else {
        return PostgresOpenError::Away { server, reason };
    };
    let not_yet = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::TOO_MANY_CONNECTIONS,
    ];
    match failed.code() {
        Some(code) if !not_yet.contains(code) => PostgresOpenError::Refused { server, reason },
        None if reason.contains("TLS") && !is_cut(&reason) => {
            PostgresOpenError::Refused { server, reason }
        }
        _ => PostgresOpenError::Away { server, reason },
    }
}

/// Whether a handshake ended because the server ended.
fn is_cut(reason: &str) -> bool {
    ["eof", "reset by peer", "broken pipe"]
        .iter()
        .any(|cut| reason.to_lowercase().contains(cut))
}
