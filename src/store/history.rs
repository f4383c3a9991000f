//! What has ended, until it is removed: one text for both backends.
//!
//! What is to go is found first, and removed afterwards by its ids, in one short transaction: whatever
//! has ended stays as it is, and nobody waits while it is looked for.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use tokio::runtime::Handle;

use super::records::{Pools, ReadError, SqliteReader, with_connection};
use crate::schema::{Id, matches, outbox, sessions, tickets};
use domain::Timestamp;
use ports::{Away, History, Mark, Past, Removed};

/// Longest time that one step may take.
const STEP_MAX: Duration = Duration::from_secs(2);

/// [`History`] on a database.
pub struct StoredHistory {
    pools: Pools,
    handle: Handle,
}

/// Part of a walk along an index, up to a number of rows.
#[derive(Clone, Copy)]
struct Stretch {
    before_ms: i64,
    after_ms: i64,
    after: Id,
    limit: i64,
}

/// Rows of a table that ended in a stretch, in the order of their ends. A macro, because each backend
/// has its own way to run a query and only the text is the same. The condition is that of an index,
/// as a literal: SQLite knows it again only then.
macro_rules! ended {
    ($table:ident, $ended_at:ident, $condition:literal, $stretch:expr) => {
        $table::table
            .filter(sql::<Bool>($condition))
            .filter($table::$ended_at.lt($stretch.before_ms))
            .filter($table::$ended_at.ge($stretch.after_ms))
            .filter(
                $table::$ended_at
                    .gt($stretch.after_ms)
                    .or($table::id.gt($stretch.after)),
            )
            .order(($table::$ended_at, $table::id))
            .limit($stretch.limit)
    };
}

macro_rules! ended_matches {
    ($stretch:expr) => {
        ended!(
            matches,
            ended_at_ms,
            "matches.state NOT IN ('open', 'in_session')",
            $stretch
        )
        .select((matches::ended_at_ms.assume_not_null(), matches::id))
    };
}

macro_rules! ended_tickets {
    ($stretch:expr) => {
        ended!(
            tickets,
            ended_at_ms,
            "tickets.status NOT IN ('waiting', 'matched', 'in_session')",
            $stretch
        )
        .select((tickets::ended_at_ms.assume_not_null(), tickets::id))
    };
}

macro_rules! left_sessions {
    ($stretch:expr) => {
        ended!(
            sessions,
            ends_at_ms,
            "(sessions.left_first_ms IS NOT NULL AND sessions.left_second_ms IS NOT NULL)",
            $stretch
        )
        .select((sessions::ends_at_ms, sessions::id))
    };
}

macro_rules! over_sessions {
    ($stretch:expr) => {
        ended!(
            sessions,
            ends_at_ms,
            "(sessions.left_first_ms IS NULL OR sessions.left_second_ms IS NULL)",
            $stretch
        )
        .select((sessions::ends_at_ms, sessions::id))
    };
}

/// Those of these sessions that are still announced.
macro_rules! announced {
    ($sessions:expr) => {
        outbox::table
            .filter(outbox::session_id.eq_any($sessions))
            .select(outbox::session_id)
    };
}

/// Those of these matches that have a session, which no match has that ended without one.
macro_rules! with_session {
    ($matches:expr) => {
        sessions::table
            .filter(sessions::match_id.eq_any($matches))
            .select(sessions::match_id)
    };
}

/// The matches that opened these sessions, with their tickets.
macro_rules! opened {
    ($sessions:expr) => {
        matches::table
            .filter(matches::session_id.eq_any($sessions))
            .filter(matches::ended_at_ms.is_not_null())
            .select((matches::id, matches::first_ticket, matches::second_ticket))
    };
}

macro_rules! delete {
    (sessions, $ids:expr) => {
        diesel::delete(sessions::table).filter(sessions::id.eq_any($ids))
    };
    ($table:ident, $ids:expr) => {
        diesel::delete($table::table)
            .filter($table::id.eq_any($ids))
            // Whatever else the rows may say, what is live stays.
            .filter($table::ended_at_ms.is_not_null())
    };
}

impl StoredHistory {
    pub(super) fn new(pools: Pools, handle: Handle) -> Self {
        Self { pools, handle }
    }

    /// The statements on PostgreSQL, for whoever wants to see how they are run.
    pub fn statements() -> Vec<String> {
        let stretch = Stretch::new(Timestamp::from_ms(0), Mark::START, 1);
        let ids = || vec![stretch.after];
        macro_rules! texts {
            ($($query:expr),+ $(,)?) => {
                vec![$(diesel::debug_query::<Pg, _>(&$query).to_string()),+]
            };
        }
        texts![
            ended_matches!(stretch),
            left_sessions!(stretch),
            over_sessions!(stretch),
            ended_tickets!(stretch),
            announced!(ids()),
            with_session!(ids()),
            opened!(ids()),
            delete!(sessions, ids()),
            delete!(matches, ids()),
            delete!(tickets, ids()),
        ]
    }
}

#[async_trait]
impl History for StoredHistory {
    async fn remove(
        &self,
        past: Past,
        before: Timestamp,
        after: Mark,
        limit: usize,
    ) -> Result<Removed, Away> {
        let stretch = Stretch::new(before, after, limit);
        let step = |pools| async move { remove(&pools, past, stretch).await };
        self.pools.run(&self.handle, STEP_MAX, step).await
    }
}

impl Stretch {
    fn new(before: Timestamp, after: Mark, limit: usize) -> Self {
        Self {
            before_ms: before.as_ms(),
            after_ms: after.ended_at.as_ms(),
            after: Id(after.id),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        }
    }

    /// Where the next one begins, where there may be more than was found in this one.
    fn next(self, found: &[(i64, Id)]) -> Option<Mark> {
        let (ended_at_ms, id) = found.last()?;
        let is_full = i64::try_from(found.len()).is_ok_and(|found| found >= self.limit);
        is_full.then_some(Mark {
            ended_at: Timestamp::from_ms(*ended_at_ms),
            id: id.0,
        })
    }
}

async fn remove(pools: &Pools, past: Past, stretch: Stretch) -> Result<Removed, ReadError> {
    let found = find(pools, past, stretch).await?;
    let mut ids: Vec<Id> = found.iter().map(|(_, id)| *id).collect();
    let next = stretch.next(&found);
    if ids.is_empty() {
        return Ok(Removed::default());
    }
    let kept = kept(pools, past, ids.clone()).await?;
    ids.retain(|id| !kept.contains(id));
    let rows = match past {
        Past::Matches => Rows {
            matches: ids,
            ..Rows::default()
        },
        Past::Tickets => Rows {
            tickets: ids,
            ..Rows::default()
        },
        Past::LeftSessions | Past::OverSessions => with_what_led_to(pools, ids).await?,
    };
    Ok(Removed {
        next,
        ..delete(pools, rows).await?
    })
}

async fn find(pools: &Pools, past: Past, stretch: Stretch) -> Result<Vec<(i64, Id)>, ReadError> {
    Ok(with_connection!(pools, |connection| {
        match past {
            Past::Matches => ended_matches!(stretch).load(connection).await?,
            Past::LeftSessions => left_sessions!(stretch).load(connection).await?,
            Past::OverSessions => over_sessions!(stretch).load(connection).await?,
            Past::Tickets => ended_tickets!(stretch).load(connection).await?,
        }
    }))
}

/// Those that must stay, because another row names them.
async fn kept(pools: &Pools, past: Past, ids: Vec<Id>) -> Result<HashSet<Id>, ReadError> {
    let kept: Vec<Id> = with_connection!(pools, |connection| {
        match past {
            Past::Matches => with_session!(ids).load(connection).await?,
            Past::LeftSessions | Past::OverSessions => announced!(ids).load(connection).await?,
            Past::Tickets => Vec::new(),
        }
    });
    Ok(kept.into_iter().collect())
}

/// What goes at once.
#[derive(Default)]
struct Rows {
    sessions: Vec<Id>,
    matches: Vec<Id>,
    tickets: Vec<Id>,
}

async fn with_what_led_to(pools: &Pools, sessions: Vec<Id>) -> Result<Rows, ReadError> {
    let opened: Vec<(Id, Id, Id)> = with_connection!(pools, |connection| {
        opened!(sessions.clone()).load(connection).await?
    });
    let tickets = opened
        .iter()
        .flat_map(|(_, first, second)| [*first, *second]);
    Ok(Rows {
        sessions,
        matches: opened.iter().map(|(id, ..)| *id).collect(),
        tickets: tickets.collect(),
    })
}

async fn delete(pools: &Pools, rows: Rows) -> Result<Removed, ReadError> {
    let Rows {
        sessions,
        matches,
        tickets,
    } = rows;
    Ok(with_connection!(pools, |connection| {
        let transaction = connection.transaction(async |connection| {
            let mut removed = Removed::default();
            if !sessions.is_empty() {
                let sessions = delete!(sessions, &sessions);
                removed.sessions = sessions.execute(connection).await?;
            }
            if !matches.is_empty() {
                let matches = delete!(matches, &matches);
                removed.matches = matches.execute(connection).await?;
            }
            if !tickets.is_empty() {
                let tickets = delete!(tickets, &tickets);
                removed.tickets = tickets.execute(connection).await?;
            }
            QueryResult::Ok(removed)
        });
        transaction.await?
    }))
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;
    use diesel::sqlite::Sqlite;

    use super::*;
    use crate::sqlite::{REMOVER_SETTINGS, testing};

    #[test]
    fn what_goes_is_found_along_indexes() {
        let connection = &mut testing::migrated();
        connection.batch_execute(REMOVER_SETTINGS).unwrap();
        let stretch = Stretch::new(Timestamp::from_ms(9), Mark::START, 200);
        let ids = || vec![stretch.after; 2];
        macro_rules! plan {
            ($query:expr) => {
                testing::plan(
                    connection,
                    &diesel::debug_query::<Sqlite, _>(&$query).to_string(),
                )
            };
        }

        for (plan, expected) in [
            (
                plan!(ended_matches!(stretch)),
                "matches USING INDEX matches_ended (ended_at_ms>? AND ended_at_ms<?)",
            ),
            (
                plan!(ended_tickets!(stretch)),
                "tickets USING INDEX tickets_ended (ended_at_ms>? AND ended_at_ms<?)",
            ),
            (
                plan!(left_sessions!(stretch)),
                "sessions USING INDEX sessions_left (ends_at_ms>? AND ends_at_ms<?)",
            ),
            (
                plan!(over_sessions!(stretch)),
                "sessions USING INDEX sessions_open (ends_at_ms>? AND ends_at_ms<?)",
            ),
            (
                plan!(announced!(ids())),
                "outbox USING COVERING INDEX outbox_session (session_id=?)",
            ),
            (
                plan!(with_session!(ids())),
                "sessions USING COVERING INDEX sqlite_autoindex_sessions_2 (match_id=?)",
            ),
            (
                plan!(opened!(ids())),
                "matches USING INDEX sqlite_autoindex_matches_2 (session_id=?)",
            ),
            (
                plan!(delete!(sessions, ids())),
                "sessions USING PRIMARY KEY (id=?)",
            ),
            (
                plan!(delete!(matches, ids())),
                "matches USING PRIMARY KEY (id=?)",
            ),
            (
                plan!(delete!(tickets, ids())),
                "tickets USING PRIMARY KEY (id=?)",
            ),
        ] {
            assert_eq!(plan, [format!("SEARCH {expected}")]);
        }
    }
}
