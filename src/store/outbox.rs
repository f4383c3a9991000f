//! Announcements that wait to be sent: one text for both backends.

use std::time::Duration;

use async_trait::async_trait;
use diesel::dsl::{count_star, min};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use tokio::runtime::Handle;

use super::records::{Pools, ReadError, SqliteReader, with_connection};
use crate::schema::{Id, outbox, sessions, sql_types};
use domain::{EventId, Timestamp};
use ports::{Announcement, Away, Outbox, OutboxBacklog};

/// Longest time that one step may take.
const STEP_MAX: Duration = Duration::from_secs(2);

/// [`Outbox`] on a database.
pub struct StoredOutbox {
    pools: Pools,
    handle: Handle,
}

/// A row that is due.
#[derive(Queryable)]
struct DueRow {
    sequence: i64,
    event_id: Id,
    session_id: Id,
    routing_key: String,
    body: String,
    created_at_ms: i64,
    attempts: i64,
    session_ends_at_ms: i64,
}

macro_rules! due {
    ($now:expr, $limit:expr) => {
        outbox::table
            .inner_join(sessions::table)
            .filter(outbox::sent_at_ms.is_null())
            .filter(outbox::next_try_at_ms.le($now.as_ms()))
            .order((outbox::next_try_at_ms, outbox::sequence))
            .limit(as_limit($limit))
            .select((
                outbox::sequence,
                outbox::event_id,
                outbox::session_id,
                outbox::routing_key,
                outbox::body,
                outbox::created_at_ms,
                outbox::attempts,
                sessions::ends_at_ms,
            ))
    };
}

/// Marks what was sent, on PostgreSQL: diesel prepares an UPDATE of its own anew each time, and this one
/// runs many times a second.
#[derive(QueryId)]
struct MarkSent {
    ids: Vec<Id>,
    at_ms: i64,
}

impl StoredOutbox {
    pub(super) fn new(pools: Pools, handle: Handle) -> Self {
        Self { pools, handle }
    }

    /// The statements on PostgreSQL that run many times a second, for whoever wants to see how they
    /// are run.
    pub fn statements() -> [String; 2] {
        let at = Timestamp::from_ms(0);
        let mark = MarkSent {
            ids: Vec::new(),
            at_ms: 0,
        };
        [
            diesel::debug_query::<Pg, _>(&due!(at, 1)).to_string(),
            diesel::debug_query::<Pg, _>(&mark).to_string(),
        ]
    }

    async fn step<T, F>(&self, step: impl FnOnce(Pools) -> F) -> Result<T, Away>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ReadError>> + Send + 'static,
    {
        self.pools.run(&self.handle, STEP_MAX, step).await
    }
}

#[async_trait]
impl Outbox for StoredOutbox {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Announcement>, Away> {
        let step = |pools| async move { due(&pools, now, limit).await };
        let mut rows = self.step(step).await?;
        rows.sort_unstable_by_key(|row| row.sequence);
        Ok(rows.into_iter().map(DueRow::announcement).collect())
    }

    async fn mark_sent(&self, events: &[EventId], at: Timestamp) -> Result<(), Away> {
        let ids: Vec<Id> = events.iter().copied().map(Id::from).collect();
        self.step(|pools| async move { mark_sent(&pools, ids, at).await })
            .await
    }

    async fn put_off(&self, events: &[(EventId, Timestamp)]) -> Result<(), Away> {
        let events: Vec<(Id, i64)> = events
            .iter()
            .map(|(event, at)| (Id::from(*event), at.as_ms()))
            .collect();
        self.step(|pools| async move { put_off(&pools, events).await })
            .await
    }

    async fn remove_sent(&self, before: Timestamp, limit: usize) -> Result<usize, Away> {
        self.step(|pools| async move { remove_sent(&pools, before, limit).await })
            .await
    }

    async fn backlog(&self) -> Result<OutboxBacklog, Away> {
        self.step(|pools| async move { backlog(&pools).await })
            .await
    }
}

impl DueRow {
    fn announcement(self) -> Announcement {
        Announcement {
            id: self.event_id.into(),
            session: self.session_id.into(),
            routing_key: self.routing_key,
            body: self.body,
            created_at: Timestamp::from_ms(self.created_at_ms),
            session_ends_at: Timestamp::from_ms(self.session_ends_at_ms),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
        }
    }
}

/// Those that have been due longest, along the index of what is unsent: sorting all of a long backlog
/// by number for each step would cost more than sending it.
async fn due(pools: &Pools, now: Timestamp, limit: usize) -> Result<Vec<DueRow>, ReadError> {
    Ok(with_connection!(pools, |connection| {
        due!(now, limit).load(connection).await?
    }))
}

async fn mark_sent(pools: &Pools, ids: Vec<Id>, at: Timestamp) -> Result<(), ReadError> {
    let at_ms = at.as_ms();
    match pools {
        Pools::Sqlite(pool) => {
            let mut object = pool.get().await?;
            let connection: &mut SqliteReader = &mut object;
            diesel::update(outbox::table)
                .filter(outbox::event_id.eq_any(ids))
                .filter(outbox::sent_at_ms.is_null())
                .set(outbox::sent_at_ms.eq(at_ms))
                .execute(connection)
                .await?;
        }
        Pools::Postgres(pool) => {
            let mut object = pool.get().await?;
            let connection: &mut AsyncPgConnection = &mut object;
            MarkSent { ids, at_ms }.execute(connection).await?;
        }
    }
    Ok(())
}

impl QueryFragment<Pg> for MarkSent {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("UPDATE outbox SET sent_at_ms = ");
        pass.push_bind_param::<BigInt, _>(&self.at_ms)?;
        pass.push_sql(" WHERE event_id = ANY (");
        pass.push_bind_param::<Array<sql_types::Id>, _>(&self.ids)?;
        // Written as IS NULL, it would let the planner read all of the index of what is unsent.
        pass.push_sql(") AND num_nulls(sent_at_ms) = 1");
        Ok(())
    }
}

/// One by one, because each has its own time; this is done only where the broker is away.
async fn put_off(pools: &Pools, events: Vec<(Id, i64)>) -> Result<(), ReadError> {
    with_connection!(pools, |connection| {
        let transaction = connection.transaction(async |connection| {
            for (event, next_try_at_ms) in &events {
                diesel::update(outbox::table)
                    .filter(outbox::event_id.eq(event))
                    .filter(outbox::sent_at_ms.is_null())
                    .set((
                        outbox::attempts.eq(outbox::attempts + 1),
                        outbox::next_try_at_ms.eq(next_try_at_ms),
                    ))
                    .execute(connection)
                    .await?;
            }
            QueryResult::Ok(())
        });
        transaction.await?;
    });
    Ok(())
}

async fn remove_sent(pools: &Pools, before: Timestamp, limit: usize) -> Result<usize, ReadError> {
    Ok(with_connection!(pools, |connection| {
        let old = outbox::table
            .filter(outbox::sent_at_ms.lt(before.as_ms()))
            .order(outbox::sent_at_ms)
            .limit(as_limit(limit))
            .select(outbox::sequence);
        let old: Vec<i64> = old.load(connection).await?;
        diesel::delete(outbox::table)
            .filter(outbox::sequence.eq_any(old))
            .execute(connection)
            .await?
    }))
}

async fn backlog(pools: &Pools) -> Result<OutboxBacklog, ReadError> {
    let (rows, oldest): (i64, Option<i64>) = with_connection!(pools, |connection| {
        outbox::table
            .filter(outbox::sent_at_ms.is_null())
            .select((count_star(), min(outbox::created_at_ms)))
            .first(connection)
            .await?
    });
    Ok(OutboxBacklog {
        rows: u64::try_from(rows).unwrap_or_default(),
        oldest: oldest.map(Timestamp::from_ms),
    })
}

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
