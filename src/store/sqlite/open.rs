//! Opening the file: its folder, its settings, its migrations.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::super::postgres::PostgresOpenError;
use super::super::records::{Pools, StoredRecords};
use super::super::writer::{Writer, WriterOptions};
use super::super::{OpenedStore, Runtimes};
use super::{SqliteGroups, is_busy};
use ports::Clock;

/// The migrations of the SQLite backend, built into the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Set on the connection that writes. In WAL mode a commit is on disk before it is acknowledged
/// only with `synchronous = FULL`. Checkpoints come every 16 MB of log, since each one adds its
/// own syncs to the commit that triggers it.
const WRITER_SETTINGS: &str = "
    PRAGMA busy_timeout = 250;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -8000;
    PRAGMA temp_store = MEMORY;
";
/// Set on the connections that read.
pub(in super::super) const READER_SETTINGS: &str = "
    PRAGMA busy_timeout = 1000;
    PRAGMA query_only = ON;
";
/// Set on the connection that marks announcements. A mark that is lost with the machine costs one
/// more delivery of the same bytes, so it need not be on disk at once.
pub(in super::super) const RELAY_SETTINGS: &str = "
    PRAGMA busy_timeout = 1000;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
";
/// Set on the connection that removes old rows; a removal that is lost with the machine is made again.
/// No index leads from a ticket to its matches: with foreign keys, each row that goes would be looked
/// for in the whole of another table, while nobody else can write. They go together instead, or in
/// an order in which nothing is left that names them.
pub(in super::super) const REMOVER_SETTINGS: &str = "
    PRAGMA busy_timeout = 1000;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = OFF;
";

/// How the store works on its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The bounds of the writer.
    pub writer: WriterOptions,
    /// Connections that read at the same time.
    pub readers_max: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            writer: WriterOptions::default(),
            readers_max: 4,
        }
    }
}

/// Why the store could not be opened, one clear sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreOpenError {
    /// Its folder is not there and cannot be made.
    #[error("the folder {} for the database cannot be created: {reason}", folder.display())]
    NoFolder {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file or its folder cannot be written.
    #[error(
        "the database {} cannot be opened for writing ({reason}); \
         it and its folder must be writable",
        path.display()
    )]
    NotWritable {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The file holds something else, or is damaged.
    #[error("the file {} is not a SQLite database", path.display())]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// Another process holds the file.
    #[error("the database {} is locked by another process", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// The file system cannot do what write-ahead logging needs.
    #[error(
        "the database {} cannot use write-ahead logging (SQLite chose {mode}); \
         its folder must be on a local disk",
        path.display()
    )]
    NoWriteAheadLog {
        /// Which file.
        path: PathBuf,
        /// What SQLite chose.
        mode: String,
    },
    /// It is on a PostgreSQL server.
    #[error(transparent)]
    Postgres(#[from] PostgresOpenError),
    /// The tables could not be brought up to date.
    #[error("the tables in {} cannot be brought up to date: {reason}", path.display())]
    Migration {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// The store on one SQLite file.
#[derive(Debug)]
pub struct SqliteStore;

impl SqliteStore {
    /// Opens `path`, creates folder and file where missing, and brings the tables up to date;
    /// blocks until that is done.
    ///
    /// # Errors
    ///
    /// [`StoreOpenError`] says what is wrong with the file or its folder.
    pub fn open(
        path: &Path,
        options: SqliteOptions,
        clock: &Arc<dyn Clock>,
        on: &Runtimes,
    ) -> Result<OpenedStore, StoreOpenError> {
        let not_writable = |reason: String| StoreOpenError::NotWritable {
            path: path.into(),
            reason,
        };
        let name = path
            .to_str()
            .ok_or_else(|| not_writable("its name is not UTF-8".into()))?;
        let connection = Some(prepare(name)?);
        let pools = Pools::sqlite(name, options.readers_max).map_err(&not_writable)?;
        let relay = Pools::sqlite_relay(name).map_err(&not_writable)?;
        let remover = Pools::sqlite_remover(name).map_err(not_writable)?;
        let groups = SqliteGroups {
            path: name.into(),
            connection,
            blocking: on.io.clone(),
        };
        let writer = Arc::new(Writer::start(
            vec![groups],
            options.writer,
            clock,
            &on.writes,
        ));
        let records = Arc::new(StoredRecords::new(pools, relay, remover, on.io.clone()));
        Ok(OpenedStore { writer, records })
    }
}

/// Makes the folder, opens the file and brings its tables up to date.
pub(super) fn prepare(path: &str) -> Result<SqliteConnection, StoreOpenError> {
    if let Some(folder) = Path::new(path)
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(|error| StoreOpenError::NoFolder {
            folder: folder.to_owned(),
            reason: error.to_string(),
        })?;
    }
    let mut connection = connect(path)?;
    connection
        .run_pending_migrations(MIGRATIONS)
        .map_err(|error| StoreOpenError::Migration {
            path: path.into(),
            reason: error.to_string(),
        })?;
    Ok(connection)
}

/// A connection that writes.
pub(super) fn connect(path: &str) -> Result<SqliteConnection, StoreOpenError> {
    let failed = |reason: String| open_error(path, reason);
    let mut connection =
        SqliteConnection::establish(path).map_err(|error| failed(error.to_string()))?;
    connection
        .batch_execute(WRITER_SETTINGS)
        .map_err(|error| failed(error.to_string()))?;
    let chosen: JournalMode = diesel::sql_query("PRAGMA journal_mode = WAL")
        .get_result(&mut connection)
        .map_err(|error| failed(error.to_string()))?;
    if chosen.journal_mode != "wal" {
        let (path, mode) = (path.into(), chosen.journal_mode);
        return Err(StoreOpenError::NoWriteAheadLog { path, mode });
    }
    Ok(connection)
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// SQLite's own code does not come through diesel, but its sentences do.
fn open_error(path: &str, reason: String) -> StoreOpenError {
    let path = path.into();
    if reason.contains("not a database") || reason.contains("malformed") {
        StoreOpenError::NotADatabase { path }
    } else if is_busy(&reason) {
        StoreOpenError::Locked { path }
    } else {
        StoreOpenError::NotWritable { path, reason }
    }
}
