//! Cold reads: one text for both backends.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::pooled_connection::deadpool::{Pool, PoolError};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, SetupCallback,
};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::ended;
use super::history::StoredHistory;
use super::live::{self, LiveRows};
use super::outbox::StoredOutbox;
use super::postgres::Target;
use super::rows::{self, IN_SESSION, MATCHED, MatchRow, OPEN, SessionRow, UnreadableRow, WAITING};
use super::sqlite::{READER_SETTINGS, RELAY_SETTINGS, REMOVER_SETTINGS};
use crate::schema::{Id, matches, sessions, tickets};
use domain::{MatchId, SessionId, SessionRecord, TicketId, Timestamp, UserId};
use ports::{Away, LiveState, Records, StoredMatch, StoredMatchState, StoredStatus, StoredTicket};

/// A connection to SQLite whose calls run on threads of their own.
pub(super) type SqliteReader = SyncConnectionWrapper<SqliteConnection>;

/// Connections for reads.
#[derive(Clone)]
pub(super) enum Pools {
    Sqlite(Pool<SqliteReader>),
    Postgres(Pool<AsyncPgConnection>),
}

/// Longest time that a read may take on a server, waiting for a connection included, so that whoever
/// asks hears within a second that it is away.
const READ_MAX: Duration = Duration::from_millis(900);
/// Longest time that start-up may take to read all that is live.
const LIVE_MAX: Duration = Duration::from_secs(60);

/// Takes a connection from the pool, and pastes `$body` once per backend.
macro_rules! with_connection {
    ($pools:expr, |$connection:ident| $body:expr) => {
        match $pools {
            Pools::Sqlite(pool) => {
                let mut object = pool.get().await?;
                // Typed, because the traits are written for the connection, not for the pool's.
                let $connection: &mut SqliteReader = &mut object;
                $body
            }
            Pools::Postgres(pool) => {
                let mut object = pool.get().await?;
                let $connection: &mut AsyncPgConnection = &mut object;
                $body
            }
        }
    };
}
pub(super) use with_connection;

/// [`Records`] on a database.
pub struct StoredRecords {
    pools: Pools,
    relay: Pools,
    remover: Pools,
    handle: Handle,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("no connection: {0}")]
    Pool(#[from] PoolError),
    #[error("{0}")]
    Query(#[from] diesel::result::Error),
    #[error("{0}")]
    Unreadable(#[from] UnreadableRow),
    #[error("{0}")]
    Contradiction(&'static str),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

impl ReadError {
    /// Whether another connection may do better: this one may be dead without anybody having been
    /// told, or lead to a server that has become a copy of another one.
    fn is_of_connection(&self) -> bool {
        use diesel::result::DatabaseErrorKind::ReadOnlyTransaction;
        use diesel::result::Error::DatabaseError;

        matches!(
            self,
            Self::Late(_) | Self::Query(DatabaseError(ReadOnlyTransaction, _))
        )
    }
}

impl Pools {
    /// Connections to the SQLite file at `path`, opened when they are first needed.
    pub(super) fn sqlite(path: &str, readers_max: usize) -> Result<Self, String> {
        Self::sqlite_with(path, readers_max, READER_SETTINGS)
    }

    /// The connection to the SQLite file at `path` with which announcements are marked.
    pub(super) fn sqlite_relay(path: &str) -> Result<Self, String> {
        Self::sqlite_with(path, 1, RELAY_SETTINGS)
    }

    /// The connection to the SQLite file at `path` with which old rows are removed.
    pub(super) fn sqlite_remover(path: &str) -> Result<Self, String> {
        Self::sqlite_with(path, 1, REMOVER_SETTINGS)
    }

    fn sqlite_with(path: &str, max: usize, settings: &'static str) -> Result<Self, String> {
        let manager = manager(
            path,
            Box::new(move |path| connect_sqlite(path.to_owned(), settings).boxed()),
        );
        let pool = Pool::builder(manager).max_size(max).build();
        pool.map(Self::Sqlite).map_err(|error| error.to_string())
    }

    /// Connections to `target`, opened when they are first needed.
    pub(super) fn postgres(target: Target, max: usize) -> Result<Self, String> {
        let connect = move |target: Target| async move { target.connect_diesel().await };
        let manager = manager("", Box::new(move |_| connect(target.clone()).boxed()));
        let pool = Pool::builder(manager).max_size(max).build();
        pool.map(Self::Postgres).map_err(|error| error.to_string())
    }

    fn backend(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Runs `ask` on `handle` as a task of its own: a caller that goes away must not drop it half
    /// done, and connections belong to the runtime on which they are opened.
    pub(super) async fn run<T, F>(
        &self,
        handle: &Handle,
        max: Duration,
        ask: impl FnOnce(Self) -> F,
    ) -> Result<T, Away>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ReadError>> + Send + 'static,
    {
        let asked = ask(self.clone());
        let pools = self.clone();
        let run = handle.spawn(async move {
            let Self::Postgres(pool) = pools else {
                return asked.await;
            };
            let late = |_| Err(ReadError::Late(max));
            let result = tokio::time::timeout(max, asked).await.unwrap_or_else(late);
            if result.as_ref().is_err_and(ReadError::is_of_connection) {
                // Else the pool would hand out for ever what nothing comes through.
                pool.retain(|_, _| false);
            }
            result
        });
        let away = |reason: String| Away {
            backend: self.backend(),
            reason,
        };
        match run.await {
            Ok(result) => result.map_err(|error| away(error.to_string())),
            Err(error) => Err(away(error.to_string())),
        }
    }
}

fn manager<C>(url: &str, setup: SetupCallback<C>) -> AsyncDieselConnectionManager<C>
where
    C: AsyncConnection + 'static,
{
    let mut config = ManagerConfig::default();
    // The default asks the server at every checkout.
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = setup;
    AsyncDieselConnectionManager::new_with_config(url, config)
}

async fn connect_sqlite(path: String, settings: &'static str) -> ConnectionResult<SqliteReader> {
    let mut connection = SqliteReader::establish(&path).await?;
    let configured = connection.batch_execute(settings).await;
    configured.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

impl StoredRecords {
    /// Reads with `pools`; announcements are read and marked with `relay`, old rows are removed with
    /// `remover`.
    pub(super) fn new(pools: Pools, relay: Pools, remover: Pools, handle: Handle) -> Self {
        Self {
            pools,
            relay,
            remover,
            handle,
        }
    }

    /// The announcements of the same database.
    pub fn outbox(&self) -> StoredOutbox {
        StoredOutbox::new(self.relay.clone(), self.handle.clone())
    }

    /// What has ended in the same database.
    pub fn history(&self) -> StoredHistory {
        StoredHistory::new(self.remover.clone(), self.handle.clone())
    }

    pub(super) async fn read<T, F>(&self, read: impl FnOnce(Pools) -> F) -> Result<T, Away>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ReadError>> + Send + 'static,
    {
        self.pools.run(&self.handle, READ_MAX, read).await
    }
}

#[async_trait]
impl Records for StoredRecords {
    async fn ticket(&self, id: TicketId) -> Result<Option<StoredTicket>, Away> {
        self.read(|pools| async move { read_ticket(&pools, id).await })
            .await
    }

    async fn find_match(&self, id: MatchId) -> Result<Option<StoredMatch>, Away> {
        self.read(|pools| async move { read_match(&pools, id).await })
            .await
    }

    async fn session(&self, id: SessionId) -> Result<Option<SessionRecord>, Away> {
        self.read(|pools| async move { read_session(&pools, id).await })
            .await
    }

    async fn named_sessions(&self, ids: &[SessionId]) -> Result<HashSet<SessionId>, Away> {
        let ids: Vec<Id> = ids.iter().copied().map(Id::from).collect();
        self.read(|pools| async move { read_named(&pools, &ids).await })
            .await
    }

    async fn recently_left(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<SessionRecord>, Away> {
        self.read(move |pools| async move { ended::both_left(&pools, now, limit).await })
            .await
    }

    async fn given_up(&self, since: Timestamp, limit: usize) -> Result<Vec<SessionId>, Away> {
        self.read(move |pools| async move { ended::given_up(&pools, since, limit).await })
            .await
    }

    async fn live(&self, now: Timestamp) -> Result<LiveState, Away> {
        let read = |pools| async move { read_live(&pools, now).await };
        let rows = self.pools.run(&self.handle, LIVE_MAX, read).await?;
        Ok(live::assemble(rows))
    }

    async fn ping(&self) -> Result<(), Away> {
        self.read(|pools| async move { ping(&pools).await }).await
    }
}

async fn read_ticket(pools: &Pools, id: TicketId) -> Result<Option<StoredTicket>, ReadError> {
    let found: Option<(String, String, Option<Id>)> = with_connection!(pools, |connection| {
        tickets::table
            .find(Id::from(id))
            .select((tickets::user_id, tickets::status, tickets::match_id))
            .first(connection)
            .await
            .optional()?
    });
    let Some((user, status, match_id)) = found else {
        return Ok(None);
    };
    let user = UserId::parse(&user).map_err(|fault| UnreadableRow {
        table: "tickets",
        fault: fault.to_string(),
    })?;
    let status = match (status.as_str(), match_id, rows::outcome_of(&status)) {
        (WAITING, ..) => StoredStatus::Waiting,
        (MATCHED | IN_SESSION, Some(id), _) => StoredStatus::Matched(id.into()),
        (_, _, Some(outcome)) => StoredStatus::Closed(outcome),
        _ => return Err(ReadError::Contradiction("a matched ticket names no match")),
    };
    Ok(Some(StoredTicket { user, status }))
}

async fn read_match(pools: &Pools, id: MatchId) -> Result<Option<StoredMatch>, ReadError> {
    let found: Option<(MatchRow, Option<SessionRow>)> = with_connection!(pools, |connection| {
        matches::table
            .find(Id::from(id))
            .left_join(sessions::table)
            .select((MatchRow::as_select(), Option::<SessionRow>::as_select()))
            .first(connection)
            .await
            .optional()?
    });
    let Some((row, session)) = found else {
        return Ok(None);
    };
    let state = match (row.state.as_str(), session, rows::ending_of(&row.state)) {
        (OPEN, ..) => StoredMatchState::Open,
        (IN_SESSION, Some(session), _) => StoredMatchState::InSession(Box::new(session.record()?)),
        (_, _, Some(ending)) => StoredMatchState::Ended(ending),
        _ => {
            return Err(ReadError::Contradiction(
                "a match became a session that is not there",
            ));
        }
    };
    Ok(Some(StoredMatch {
        users: row.users()?,
        state,
    }))
}

async fn read_session(pools: &Pools, id: SessionId) -> Result<Option<SessionRecord>, ReadError> {
    let found: Option<SessionRow> = with_connection!(pools, |connection| {
        sessions::table
            .find(Id::from(id))
            .select(SessionRow::as_select())
            .first(connection)
            .await
            .optional()?
    });
    Ok(found.map(|row| row.record()).transpose()?)
}

async fn read_named(pools: &Pools, ids: &[Id]) -> Result<HashSet<SessionId>, ReadError> {
    let named: Vec<Id> = with_connection!(pools, |connection| {
        matches::table
            .filter(matches::session_id.eq_any(ids))
            .select(matches::session_id)
            .load(connection)
            .await?
    });
    Ok(named.into_iter().map(SessionId::from).collect())
}

async fn read_live(pools: &Pools, now: Timestamp) -> Result<LiveRows, ReadError> {
    match pools {
        Pools::Sqlite(pool) => {
            let mut connection = pool.get().await?;
            // As one call on the blocking thread: row by row through the wrapper, each value is
            // copied once more, which took three times as long for 100,000 tickets.
            let rows = connection.spawn_blocking(move |connection| live::read(connection, now));
            Ok(rows.await?)
        }
        Pools::Postgres(pool) => Ok(live::read_postgres(&mut *pool.get().await?, now).await?),
    }
}

async fn ping(pools: &Pools) -> Result<(), ReadError> {
    with_connection!(pools, |connection| {
        let _: i32 = diesel::select(1_i32.into_sql::<diesel::sql_types::Integer>())
            .get_result(connection)
            .await?;
    });
    Ok(())
}
